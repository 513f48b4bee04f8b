/** The `claims` request parameter (OIDC Core §5.5). */

/** What is said about one claim (§5.5.1); `null` asks for it as voluntary. */
interface ClaimRequest {
  readonly essential?: boolean
  readonly value?: unknown
  readonly values?: readonly unknown[]
}

type Requests = Readonly<Record<string, ClaimRequest | null>>

export interface ClaimsRequest {
  readonly id_token?: Requests
  readonly userinfo?: Requests
}
