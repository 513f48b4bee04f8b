import { createHash, createHmac } from 'node:crypto'

/** How the API knows that it is us who ask. */
export type ApiProof =
  | { readonly mode: 'none' }
  | { readonly mode: 'simple' | 'hmac'; readonly header: string; readonly secret: string }

/** The proof that the settings ask for; throws where it needs a secret and there is none. */
export function apiProofOf({
  mode,
  header,
  secret,
}: {
  readonly mode: ApiProof['mode']
  readonly header: string
  readonly secret: string | undefined
}): ApiProof {
  if (mode === 'none') return { mode }
  if (!secret) throw new Error(`the proof ${mode} needs a secret`)
  return { mode, header, secret }
}

/**
 * The headers of one attempt. `hmac` signs the moment, the method, the path and the SHA-256 of the body, a line each,
 * so that what is overheard can neither be changed nor be sent again later.
 */
export function proofHeaders(
  proof: ApiProof,
  { url, body, now }: { url: URL; body: string; now: number },
): Record<string, string> {
  if (proof.mode === 'none') return {}
  if (proof.mode === 'simple') return { [proof.header]: proof.secret }
  const timestamp = String(Math.floor(now / 1000))
  const digest = createHash('sha256').update(body).digest('hex')
  const signed = [timestamp, 'POST', url.pathname, digest].join('\n')
  const signature = createHmac('sha256', proof.secret).update(signed).digest('hex')
  return { 'x-timestamp': timestamp, 'x-signature': signature }
}
