/** The operator's commands, as processes of their own on the database of a server. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openBrowser } from '../support/browser.ts'
import { onPostgres } from '../support/database.ts'
import { createHome, type Home, runNode, type ServerProcess } from '../support/process.ts'

const adminPath = fileURLToPath(new URL('../../src/admin.ts', import.meta.url))

let home: Home
beforeEach(async () => {
  home = await createHome()
})
afterEach(() => home.remove())

const admin = (...args: string[]) =>
  runNode([adminPath, ...args], { settings: home.settings }).exited

const signIn = async (server: ServerProcess, password: string) => {
  const browser = openBrowser(server)
  const { status } = await browser.signIn('admin', { password })
  return { browser, status }
}

describe('npm run admin', () => {
  it('resets a password: the old one and its sessions end, the new one signs in', async () => {
    const first = await home.start()
    const { password: old } = home.credentials()
    const { browser } = await signIn(first, old)
    if (!onPostgres) await first.stop()
    const { code, stdout, stderr } = await admin('reset-password', ' Admin ')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('Revoked: 1 sessions')
    const password = /shown only once: ([\w-]{20})$/m.exec(stdout)?.[1] ?? ''
    const server = onPostgres ? first : await home.start()
    const again = openBrowser(server, { cookies: browser.cookies })
    expect((await again.get('/account/devices')).status).toBe(303)
    expect((await signIn(server, old)).status).toBe(401)
    const { browser: inside, status } = await signIn(server, password)
    const held = (await inside.get('/account/devices')).headers.get('location')
    expect([status, held]).toEqual([303, expect.stringMatching(/^\/account\/password\?/)])
  })

  it('says in words what it cannot do, and ends with 1', async () => {
    const nothing = {
      ...home.settings,
      DATABASE_URL: '',
      SESSION_SECRET: '',
      DATA_DIR: join(home.dataDir, 'nothing'),
    }
    const empty = await runNode([adminPath, 'reset-password', 'admin'], { settings: nothing })
      .exited
    expect([empty.code, empty.stderr]).toEqual([1, expect.stringContaining('There is no database')])
    const server = await home.start()
    if (!onPostgres) {
      const busy = await admin('reset-password', 'admin')
      expect([busy.code, busy.stdout]).toEqual([1, ''])
      expect(busy.stderr).toContain('is in use by another AuthGate')
      await server.stop()
    }
    const unknown = await admin('reset-password', 'nobody')
    expect([unknown.code, unknown.stdout]).toEqual([1, ''])
    expect(unknown.stderr).toContain('no user named')
    expect((await admin('delete-everything', 'admin')).code).toBe(1)
    expect(await admin('enable', 'admin')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('already'),
    })
  })

  it('explains itself', async () => {
    expect(await admin('--help')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('reset-password NAME'),
    })
    expect(await admin()).toMatchObject({ code: 1, stderr: expect.stringContaining('Usage') })
    expect((await admin('enable')).code).toBe(1)
  })
})
