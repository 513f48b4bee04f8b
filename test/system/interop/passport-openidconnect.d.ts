/** What the tests use of the package, which brings no types. */
declare module 'passport-openidconnect' {
  interface Outcome {
    success(user: unknown): void
    fail(challenge: unknown, status?: number): void
    redirect(url: string): void
    error(error: Error): void
  }
  export interface Profile {
    readonly id: string
    readonly displayName?: string
    readonly emails?: readonly { readonly value: string }[]
  }
  export default class Strategy {
    constructor(
      options: Readonly<Record<string, string | boolean>>,
      verify: (
        issuer: string,
        profile: Profile,
        done: (error: Error | null, user: unknown) => void,
      ) => void,
    )
    authenticate(this: Strategy & Outcome, request: object): void
  }
}
