/**
 * Names that people see and decide by, of clients and of people: what may be one (RFC 8266 and its restrictions, UTS 39
 * §5.4), what it looks like (UTS 39 §4), and whether it mixes alphabets (UTS 39 §5.2).
 */
import { lookalikes } from './lookalikes.ts'

/** A name as it is stored: compatibility characters as what they stand for, single spaces, none around it (RFC 8266 §2.3). */
export const normalizeName = (text: string): string =>
  text
    .normalize('NFKC')
    .replaceAll(/[\p{Zs}\t]+/gu, ' ')
    .trim()

/** What is wrong with a normalized name, as the rest of a sentence; undefined when nothing is. */
export function nameProblem(name: string, longest: number): string | undefined {
  if ([...name].length > longest) return `must have at most ${longest} characters`
  if (!isPlainText(name)) return 'must be plain text'
  if (stackedMarks.test(name)) return 'must not stack combining marks'
  if (!readable.test(name)) return 'must contain a letter or a digit'
  return undefined
}

/** Whether all of a line can be seen, in the order in which it is read. */
export const isPlainText = (text: string): boolean =>
  !hidden.test(text.replaceAll(emoji, '').replaceAll(joiner, ''))

/** Made of characters some of which are invisible by themselves. */
const emoji = /\p{RGI_Emoji}/gv

/** Control, format, unassigned and ignorable characters, and a blank that counts as a symbol. */
const hidden = /[\p{C}\p{DI}\p{Zl}\p{Zp}\u2800]/v
/** Joiners: some scripts need them (RFC 5892 appendix A); elsewhere they are invisible. */
const joiner =
  /(?<=[[\p{scx=Arab}\p{scx=Beng}\p{scx=Deva}\p{scx=Gujr}\p{scx=Guru}\p{scx=Knda}\p{scx=Mlym}\p{scx=Orya}\p{scx=Sinh}\p{scx=Taml}\p{scx=Telu}]&&[\p{L}\p{M}]])[\u200c\u200d](?=\p{L})/gv
/** Marks of a script of their own stack by its rules; those that go with any letter have no business in threes. */
const stackedMarks = /^\p{M}|\p{M}{5}|[\p{M}&&\p{sc=Zinh}]{3}/v
const readable = /[\p{L}\p{N}\p{Emoji_Presentation}]/u

/** Whatever is no name, made into one that may be empty: for what others say of people who have to be let in. */
export function sanitizeName(text: string, longest: number): string {
  const visible = text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
  const name = normalizeName(visible)
  if (nameProblem(name, longest) === undefined) return name
  const tamed = normalizeName(
    name
      .replaceAll(/[\p{C}\p{DI}\u2800]/gv, '')
      .replaceAll(/(?<=\p{M}{2})\p{M}+/gu, '')
      .replace(/^[\p{M} ]+/u, ''),
  )
  const cut = [...tamed].slice(0, longest).join('').trim()
  return nameProblem(cut, longest) === undefined ? cut : ''
}

/**
 * What a name looks like: two names with one skeleton can be taken for each other. Beyond UTS 39 §4 it knows no small and
 * capital letters, accents, spaces and punctuation: they are no difference to somebody in a hurry.
 */
export function skeletonOf(name: string): string {
  const visible = name.normalize('NFKD').replaceAll(unseen, '')
  const letters = [...visible].map(likeness).join('')
  const skeleton = letters.normalize('NFKD').replaceAll(unseen, '').replaceAll(separators, '')
  // Some names are symbols alone.
  return skeleton || visible.replaceAll(/\p{Z}/gu, '') || name
}

const unseen = /[\p{M}&&\p{sc=Zinh}]|\p{DI}|\p{C}/gv
const separators = /[\p{P}\p{Z}\p{So}\p{Sk}]/gu

/** In capitals, or in most fonts, these are one. */
const inLatin: Readonly<Record<string, string>> = {
  i: 'l',
  '1': 'l',
  '|': 'l',
  '0': 'o',
  m: 'rn',
}

const latinLike: ReadonlyMap<string, string> = new Map(
  Object.entries(lookalikes).flatMap(([letters, points]) =>
    points.split(' ').map((point) => [String.fromCodePoint(Number.parseInt(point, 16)), letters]),
  ),
)

function likeness(character: string): string {
  const small = character.toLowerCase()
  return latinLike.get(character) ?? latinLike.get(small) ?? inLatin[small] ?? small
}

/** Why an operator should read a name letter by letter. */
export type NameWarning = 'mixed_scripts' | 'looks_latin'

/** The warning about a name: letters from several alphabets, or from another one that all look Latin. */
export function nameWarningFor(name: string): NameWarning | undefined {
  const letters = name.replaceAll(/\P{L}/gu, '')
  if (letters === '' || /^\p{scx=Latn}*$/u.test(letters)) return undefined
  if (/^[a-z]+$/.test(skeletonOf(letters))) return 'looks_latin'
  return oneScript.some((script) => script.test(letters)) ? undefined : 'mixed_scripts'
}

/** Scripts in common use (UAX 31, table 5); Chinese, Japanese and Korean are written in several, Latin among them. */
const oneScript = [
  /^[\p{scx=Latn}\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}]*$/u,
  /^[\p{scx=Latn}\p{scx=Hani}\p{scx=Bopo}]*$/u,
  /^[\p{scx=Latn}\p{scx=Hani}\p{scx=Hang}]*$/u,
  ...'Arab Armn Beng Cyrl Deva Ethi Geor Grek Gujr Guru Hebr Khmr Knda Laoo Mlym Mymr Orya Sinh Taml Telu Thaa Thai Tibt'
    .split(' ')
    .map((script) => new RegExp(`^\\p{scx=${script}}*$`, 'u')),
]
