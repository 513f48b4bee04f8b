/** Cells of the audit export: whatever a stranger sent, no spreadsheet takes it for a formula. */
import { expect, it } from 'vitest'
import { cell } from '#/endpoints/admin/audit/export.ts'

it.each([
  ['plain', 'plain'],
  ['', ''],
  [null, ''],
  [7, '7'],
  ['a,b', '"a,b"'],
  ['a"b', '"a""b"'],
  ['a=b+c-d@e', 'a=b+c-d@e'],
  ['=1+1', `"'=1+1"`],
  ['+1', `"'+1"`],
  ['-1', `"'-1"`],
  ['@x', `"'@x"`],
  ['＝1', `"'＝1"`],
  ['＋1', `"'＋1"`],
  ['－1', `"'－1"`],
  ['＠x', `"'＠x"`],
  ['  =1', `"  '=1"`],
  ['\tx', `"'\tx"`],
  ['\rx', `"'\rx"`],
  ['\nx', `"'\nx"`],
  ['\t=1', `"'\t'=1"`],
  ['x;=1+1', `"x;'=1+1"`],
  ['x; @y', `"x; '@y"`],
  ['x;y', '"x;y"'],
  ['x;＝1', `"x;'＝1"`],
  ['x\t=1', `"x\t'=1"`],
  ['x\ty', '"x\ty"'],
  ['x\r=1', `"x\r'=1"`],
  ['x\r\n-1', `"x\r\n'-1"`],
  ['";=1', `""";'=1"`],
  [{ said: ';=1' }, `"{""said"":"";'=1""}"`],
])('%j becomes %j', (value, written) => {
  expect(cell(value)).toBe(written)
})

it('takes no longer for many separators than for few', () => {
  const start = performance.now()
  cell('\t'.repeat(50_000))
  expect(performance.now() - start).toBeLessThan(500)
})
