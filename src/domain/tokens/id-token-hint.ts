import { jwtVerify } from 'jose'
import { type KeySet, verificationKey } from '#/domain/keys/keys.ts'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'

/** What an ID token of ours says about itself, however old it is. */
export interface IdTokenHint {
  readonly clientId: string
  readonly subject: string
  readonly sid: string | undefined
}

/** Reads an `id_token_hint`: signed by us for one client; expired ones count (RP-Initiated Logout §2, OIDC Core §3.1.2.1). */
export async function readIdTokenHint(
  keys: KeySet,
  issuer: string,
  hint: string,
): Promise<IdTokenHint | undefined> {
  try {
    const { payload } = await jwtVerify(hint, verificationKey(keys), {
      typ: 'JWT',
      algorithms: [...signingAlgorithms],
      issuer,
      // A hint says who somebody was, not that they still are.
      currentDate: new Date(0),
    })
    const { aud, sub, sid } = payload
    if (typeof aud !== 'string' || sub === undefined) return undefined
    return { clientId: aud, subject: sub, sid: typeof sid === 'string' ? sid : undefined }
  } catch {
    return undefined
  }
}
