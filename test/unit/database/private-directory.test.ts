import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { protectDirectory } from '#/database/private-directory.ts'

const directory = () => mkdtempSync(join(tmpdir(), 'authgate-private-'))
const modeOf = (path: string) => statSync(path).mode & 0o777

it('makes a directory that only its owner enters', () => {
  const dir = join(directory(), 'a', 'b')
  protectDirectory(dir)
  expect(modeOf(dir)).toBe(0o700)
})

it('takes from group and others what they were allowed, at any depth, and leaves the owner the rest', () => {
  const dir = directory()
  mkdirSync(join(dir, 'pgdata', 'base'), { recursive: true })
  writeFileSync(join(dir, 'pgdata', 'base', '1'), 'row')
  chmodSync(dir, 0o755)
  chmodSync(join(dir, 'pgdata', 'base', '1'), 0o666)
  protectDirectory(dir)
  expect(modeOf(dir)).toBe(0o700)
  expect(modeOf(join(dir, 'pgdata', 'base'))).toBe(0o700)
  expect(modeOf(join(dir, 'pgdata', 'base', '1'))).toBe(0o600)
  expect(readFileSync(join(dir, 'pgdata', 'base', '1'), 'utf8')).toBe('row')
})

it('follows the link that moves pgdata to another disk, and no other', () => {
  const [dir, disk, elsewhere] = [directory(), directory(), directory()]
  for (const place of [disk, elsewhere]) chmodSync(place, 0o755)
  symlinkSync(disk, join(dir, 'pgdata'))
  symlinkSync(elsewhere, join(disk, 'other'))
  protectDirectory(dir)
  expect(modeOf(disk)).toBe(0o700)
  expect(modeOf(elsewhere)).toBe(0o755)
})

it('refuses what belongs to another user, and touches nothing of it', () => {
  const foreign = foreignDirectory()
  const before = modeOf(foreign)
  expect(() => protectDirectory(foreign)).toThrow(
    `${foreign} belongs to another user of this machine`,
  )
  expect(modeOf(foreign)).toBe(before)
})

/** Only root can give a directory away; whoever else runs the tests does not own this one. */
function foreignDirectory() {
  if (process.getuid?.() !== 0) return '/usr'
  const dir = directory()
  chownSync(dir, 65_534, 65_534)
  return dir
}
