import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { lockDirectory } from '#/database/lock-directory.ts'

const directory = () => mkdtempSync(join(tmpdir(), 'authgate-lock-'))

it('refuses a directory that a running process holds, and says which', async () => {
  const dir = directory()
  const unlock = lockDirectory(dir)
  expect(() => lockDirectory(dir)).toThrow(
    `${dir} is in use by another AuthGate (process ${process.pid})`,
  )
  unlock()
  lockDirectory(dir)()
  expect(existsSync(join(dir, 'authgate.lock'))).toBe(false)
})

it('takes over the lock of a process that was killed', async () => {
  const dir = directory()
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await once(child, 'spawn')
  writeFileSync(join(dir, 'authgate.lock'), `${child.pid} - x\n`)
  child.kill('SIGKILL')
  await once(child, 'exit')
  lockDirectory(dir)()
})

it.runIf(process.platform === 'linux')(
  'takes over the lock of an earlier process that had the same number',
  () => {
    const dir = directory()
    writeFileSync(join(dir, 'authgate.lock'), `${process.pid} another-boot:1 x\n`)
    lockDirectory(dir)()
  },
)

it('takes over an empty or damaged lock', () => {
  const dir = directory()
  writeFileSync(join(dir, 'authgate.lock'), '')
  lockDirectory(dir)()
})
