/** `prompt` (OIDC Core §3.1.2.1): how the client wants its user to be met. */
import { OAuthError } from './errors.ts'

export const prompts = ['none', 'login', 'consent', 'select_account'] as const
export type Prompt = (typeof prompts)[number]

/** The values of a `prompt`. Throws `invalid_request` for an unknown one (Initiating User Registration §4) and for `none` with others. */
export function parsePrompt(value: string): readonly Prompt[] {
  const words = [...new Set(value.split(' ').filter((word) => word !== ''))]
  if (!words.every(isPrompt)) throw new OAuthError('invalid_request', 'the prompt is not supported')
  if (words.includes('none') && words.length > 1)
    throw new OAuthError('invalid_request', 'the prompt none must stand alone')
  return words
}

const isPrompt = (word: string): word is Prompt => (prompts as readonly string[]).includes(word)
