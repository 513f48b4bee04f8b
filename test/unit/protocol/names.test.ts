import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isPlainText,
  nameProblem,
  nameWarningFor,
  normalizeName,
  sanitizeName,
  skeletonOf,
} from '#/protocol/names.ts'

/** Any text, with what makes names deceive more often than chance would. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        ...[
          '\u200b',
          '\u200d',
          '\u202e',
          '\u2066',
          '\u00ad',
          '\u034f',
          '\ufe0f',
          '\u3164',
          '\u2800',
        ],
        ...[
          '\u0301',
          '\u0489',
          '\u{e0041}',
          '\u2028',
          '\u00a0',
          'ﷺ',
          '👩‍💻',
          'क्‍ष',
          'AuthGate',
          'а',
          '\ud800',
        ],
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))
const wellFormed = anyText.map((text) => text.toWellFormed())
const visible = (text: string) => text.replaceAll(/\p{RGI_Emoji}/gv, '')

describe('a name', () => {
  it.each([
    'AuthGate CLI',
    'Füße & 日本語 👩‍💻',
    'Привет мир',
    'Παράδειγμα',
    'می‌خواهم',
    'क्‍ष',
    'བསྒྲུབས',
    'שָׁלוֹם',
    'Tiếng Việt',
    'Café “Zum Löwen”, 2. Stock',
    '👨‍👩‍👧',
    'C++',
  ])('can be %s', (name) => {
    expect(nameProblem(normalizeName(name), 100)).toBeUndefined()
    expect(sanitizeName(name, 100)).toBe(normalizeName(name))
  })

  it.each([
    ['nothing', '', 'must contain a letter or a digit'],
    ['spaces', '\u2003\u00a0', 'must contain a letter or a digit'],
    ['dots', '…', 'must contain a letter or a digit'],
    ['a filler', '\u3164', 'must be plain text'],
    ['a blank', '\u2800', 'must be plain text'],
    ['a zero-width space', 'Auth\u200bGate', 'must be plain text'],
    ['a joiner between Latin letters', 'Auth\u200dGate', 'must be plain text'],
    ['a soft hyphen', 'Auth\u00adGate', 'must be plain text'],
    ['a variation selector', 'A\ufe00', 'must be plain text'],
    ['letters that are only tags', 'A\u{e0062}', 'must be plain text'],
    ['a line break', 'a\nb', 'must be plain text'],
    ['a paragraph separator', 'a\u2029b', 'must be plain text'],
    ['text that turns around', '\u202eknab', 'must be plain text'],
    ['an isolate', '\u2067knab', 'must be plain text'],
    ['a private-use character', '\ue000a', 'must be plain text'],
    ['sixty marks', `a${'\u0301'.repeat(60)}`, 'must not stack combining marks'],
    ['four marks on a composed letter', 'á\u0302\u0303\u0304', 'must not stack combining marks'],
    ['a mark on nothing', '\u0301a', 'must not stack combining marks'],
    ['what is long once it is written out', 'ﷺ'.repeat(6), 'must have at most 100 characters'],
    ['101 characters', '𝒙'.repeat(101), 'must have at most 100 characters'],
  ])('cannot be %s', (_, name, problem) => {
    expect(nameProblem(normalizeName(name), 100)).toBe(problem)
  })

  it('counts characters, not the halves of which JavaScript makes them', () => {
    expect(nameProblem('𐍈'.repeat(100), 100)).toBeUndefined()
  })

  it('shows all that it is made of, whatever was sent', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        const name = normalizeName(text)
        if (nameProblem(name, 100) !== undefined) return
        expect(name).toBe(normalizeName(name))
        expect(visible(name)).not.toMatch(
          /[\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\u00ad\p{Cc}]/u,
        )
        expect(name).not.toMatch(/\p{Mn}{6}/u)
        expect(name.trim()).not.toBe('')
        expect([...name].length).toBeLessThanOrEqual(100)
      }),
    )
  })

  it('comes of whatever another server says, or is empty', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const name = sanitizeName(text, 20)
        expect(name === '' || nameProblem(name, 20) === undefined).toBe(true)
      }),
    )
    expect(sanitizeName('Ada\u202e\u200b Lovelace\n', 100)).toBe('Ada Lovelace')
    expect(sanitizeName(`Zal${'\u0301'.repeat(30)}go`, 100)).toBe(
      'Zal\u0301\u0301\u0301go'.normalize('NFKC'),
    )
    expect(sanitizeName('\u0301\u0301x', 100)).toBe('x')
    expect(sanitizeName('a b'.repeat(100), 10)).toBe('a ba ba ba')
  })
})

describe('the skeleton of a name', () => {
  it.each([
    ['small and capital letters', 'authgate cli'],
    ['spaces and punctuation', 'Auth-Gate: CLI!'],
    ['no space', 'AuthGateCLI'],
    ['a Cyrillic А', 'АuthGate CLI'],
    ['Greek letters', 'ΑuthGαte CLΙ'],
    ['small l for capital I', 'AuthGate CLl'],
    ['a digit', 'AuthGate CL1'],
    ['accents', 'ÂuthGaté CLÍ'],
    ['marks that are invisible', 'Auth\u200bGate\u2060 CLI\ufe0f'],
    ['compatibility characters', 'Ａｕｔｈ𝔊𝔞𝔱𝔢 ⅭⅬⅠ'],
    ['Cherokee', 'AuthGate ᏟLI'],
    ['an overlay', 'Au\u0335thGate CLI'],
    ['a symbol', 'AuthGate CLI ✓'],
  ])('is the same with %s', (_, name) => {
    expect(skeletonOf(name)).toBe(skeletonOf('AuthGate CLI'))
  })

  it.each([
    ['AuthGate', 'AuthGate CLI'],
    ['Shop', 'Shop 2'],
    ['Foto', 'Toto'],
    ['東京', '京都'],
    ['के', 'का'],
    ['C', 'C++'],
    ['👩‍💻', '👨‍👩‍👧'],
    ['★', '☆'],
  ])('tells %s from %s', (a, b) => {
    expect(skeletonOf(a)).not.toBe(skeletonOf(b))
  })

  it('is the same for symbols with and without spaces', () => {
    expect(skeletonOf(' 👩‍💻\u200b')).toBe(skeletonOf('👩‍💻'))
  })

  it('takes rn for m, and modern for modem', () => {
    expect(skeletonOf('modern')).toBe(skeletonOf('modem'))
  })

  it('is never empty for a name, and the same for what is the same name', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        const name = normalizeName(text)
        if (nameProblem(name, 100) !== undefined) return
        expect(skeletonOf(name)).not.toBe('')
        expect(skeletonOf(name.normalize('NFD'))).toBe(skeletonOf(name))
        expect(skeletonOf(` ${name}\u200b`)).toBe(skeletonOf(name))
      }),
      { examples: [['👩‍💻'], ['ﷺ'], ['ß']] },
    )
  })
})

describe('a doubt about a name', () => {
  it.each([
    ['AuthGate CLI', undefined],
    ['GitHub 東京 カフェ', undefined],
    ['서울 Map', undefined],
    ['Привет мир', undefined],
    ['42', undefined],
    ['АuthGate', 'looks_latin'],
    ['ЅНОР', 'looks_latin'],
    ['Shop Привет', 'mixed_scripts'],
    ['Shop Ж', 'mixed_scripts'],
    ['Привет Ελλάδα', 'mixed_scripts'],
  ])('of %s is %s', (name, doubt) => {
    expect(nameWarningFor(name)).toBe(doubt)
  })
})

it('plain text has nothing that is hidden, whatever its length and shape', () => {
  expect(isPlainText('')).toBe(true)
  expect(isPlainText('… — 👩‍💻')).toBe(true)
  expect(isPlainText('a\u200b')).toBe(false)
})
