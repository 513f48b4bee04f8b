import { scopeWords } from '#/protocol/scopes.ts'

/** What a scope means, in words for the person who is asked. */
const words: Readonly<Record<string, { title: string; detail: string }>> = {
  openid: { title: 'Know who you are', detail: 'Recognize you when you return.' },
  profile: { title: 'See your profile', detail: 'Your name and username.' },
  email: { title: 'See your email address', detail: 'And whether it has been verified.' },
  offline_access: {
    title: 'Stay connected',
    detail: 'Keep this access while you are away, until you revoke it.',
  },
}

export interface DescribedScope {
  readonly name: string
  readonly title: string
  readonly detail: string
}

export const describeScopes = (scope: string): DescribedScope[] =>
  scopeWords(scope).map((name) => ({
    name,
    ...(words[name] ?? {
      title: name,
      detail: 'A permission defined by this application.',
    }),
  }))
