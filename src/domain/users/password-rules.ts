/**
 * Which passwords may be chosen (NIST SP 800-63B-4 §3.1.1.2): any characters and no rules of composition, but not what
 * is tried first: the passwords that many people use, and what goes with the account.
 */

export const minPasswordLength = 8
export const maxPasswordLength = 1024

/** Why a password is refused, in words for whoever chooses it. */
export const passwordProblems = {
  short: `Use at least ${minPasswordLength} characters.`,
  long: `Use at most ${maxPasswordLength} characters.`,
  simple: 'This is a simple pattern that is easy to guess. Try a few unrelated words.',
  common: 'This is a common password, or close to one. Try a few unrelated words.',
  personal:
    'This is too close to a name or address of the account or this site. Try a few unrelated words.',
} as const

export type PasswordProblem = keyof typeof passwordProblems

/** What an attacker knows of the account and of where it is. */
export interface PasswordContext {
  readonly username: string
  readonly fullName: string
  readonly email: string | null
  readonly issuer: string
}

/** What is wrong with a password that somebody wants to have, if anything. */
export async function findPasswordProblem(
  password: string,
  context: PasswordContext,
): Promise<PasswordProblem | undefined> {
  const typed = fold(password)
  if (lengthOf(typed) < minPasswordLength) return 'short'
  if (password.length > maxPasswordLength || typed.length > maxPasswordLength) return 'long'
  const repeated = /^(.+?)\1+$/su.exec(typed)?.[1] ?? typed
  if (lengthOf(repeated) < minPasswordLength || isRun(typed)) return 'simple'
  const common = await commonPasswords()
  const rest = wordsOf(context).reduce((left, word) => left.replaceAll(word, ''), repeated)
  const isLittle = lengthOf(rest) < minPasswordLength || isDressed(rest, common)
  if (rest !== repeated && isLittle) return 'personal'
  return isDressed(repeated, common) ? 'common' : undefined
}

/** As passwords are hashed, and in lower case, since capitals hide nothing. */
const fold = (text: string) => text.normalize('NFKC').toLowerCase()

/** A character is a code point, whatever it takes to store it. */
const lengthOf = (text: string) => [...text].length

/** `abcdefgh`, `98765432`. */
function isRun(text: string): boolean {
  const points = [...text].map((character) => character.codePointAt(0) ?? 0)
  const [first = 0, second = 0] = points
  const step = second - first
  return Math.abs(step) === 1 && points.every((point, at) => point === first + at * step)
}

/** Whether it is a word of the list with little around it: `password`, `Dragon2026!`. */
function isDressed(text: string, words: ReadonlySet<string>): boolean {
  const bare = text.replace(/^[^\p{L}]+/u, '').replace(/[^\p{L}]+$/u, '')
  const isBare = bare !== '' && lengthOf(text) - lengthOf(bare) < minPasswordLength
  return words.has(text) || (isBare && words.has(bare))
}

/** Shorter ones stand in many honest words by accident. */
const minWord = 3

/** The longest first, so that none hides in a longer one. */
function wordsOf({ username, fullName, email, issuer }: PasswordContext): string[] {
  const [local = '', domain = ''] = (email ?? '').split('@')
  const hosts = [domain, new URL(issuer).hostname].map((host) => host.replace(/\.[^.]*$/, ''))
  const texts = ['authgate', username, fullName, local, ...hosts].map(fold)
  const words = texts.flatMap((text) => [text, ...text.split(/[^\p{L}\p{N}]+/u)])
  return [...new Set(words)]
    .filter((word) => lengthOf(word) >= minWord)
    .sort((one, other) => other.length - one.length)
}

let known: Promise<ReadonlySet<string>> | undefined

/** Read when the first password is chosen: most processes live long before, and many never need it. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  known ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common']),
  )
  return known
}
