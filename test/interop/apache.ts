/** An Apache whose pages are behind mod_auth_openidc: a client that is neither JavaScript nor ours. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/ports.ts'

export interface Site {
  /** Its origin. `/private/` is for people who are signed in, `/api/` for bearers of tokens; both show what Apache knows. */
  readonly url: string
  readonly redirectUri: string
  /** Starts Apache as this client: the directives of the module. */
  start(directives: readonly string[]): Promise<Apache>
}

export interface Apache {
  /** As `TestApp.request`, so that a browser of the tests walks here as well. */
  request(path: string, init?: RequestInit): Promise<Response>
  log(): string
  stop(): Promise<void>
}

/** The address comes first: a client is registered with it, and Apache is told the client. */
export async function prepareSite(): Promise<Site> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const redirectUri = `${url}/private/redirect`
  return {
    url,
    redirectUri,
    start: (directives) =>
      startApache(url, [
        `Listen 127.0.0.1:${port}`,
        `OIDCRedirectURI ${redirectUri}`,
        ...directives,
      ]),
  }
}

async function startApache(url: string, directives: readonly string[]): Promise<Apache> {
  const directory = makeServerRoot()
  const file = join(directory, 'apache.conf')
  writeFileSync(file, configuration(directory, directives), { mode: 0o600 })
  const child = spawn('/usr/sbin/apache2', ['-DFOREGROUND', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('close', () => resolve())
  })
  const apache: Apache = {
    request: (path, init = {}) => fetch(new URL(path, url), { redirect: 'manual', ...init }),
    log: () =>
      complaints + readFileSync(join(directory, 'error.log'), { encoding: 'utf8', flag: 'a+' }),
    async stop() {
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
  let running = true
  void ended.then(() => {
    running = false
  })
  await untilItAnswers(apache, () => running)
  return apache
}

/** Apache's workers are not root: they must be able to read the pages. */
function makeServerRoot(): string {
  const directory = mkdtempSync(join(tmpdir(), 'authgate-apache-'))
  chmodSync(directory, 0o755)
  const pages = join(directory, 'pages')
  for (const name of ['private', 'api']) {
    mkdirSync(join(pages, name), { recursive: true })
    writeFileSync(join(pages, name, 'index.html'), '<!--#printenv -->')
  }
  writeFileSync(join(pages, 'index.html'), 'open to everybody')
  return directory
}

const modules = 'mpm_event authn_core authz_core authz_user dir include auth_openidc'.split(' ')

const configuration = (directory: string, directives: readonly string[]) => `
ServerRoot ${directory}
ServerName 127.0.0.1
PidFile apache.pid
DefaultRuntimeDir ${directory}
ErrorLog error.log
LogLevel warn
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${userInfo().uid === 0 ? 'User www-data\nGroup www-data' : ''}
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
DocumentRoot ${directory}/pages
DirectoryIndex index.html
<Directory ${directory}/pages>
  Options +Includes
  ForceType text/html
  SetOutputFilter INCLUDES
</Directory>
${directives.join('\n')}
OIDCCryptoPassphrase ${crypto.randomUUID()}
OIDCPassClaimsAs environment
<Location /private/>
  AuthType openid-connect
  # Whoever says sec-fetch-mode: cors, as fetch does, would be taken for a script and not be sent to sign in.
  OIDCUnAuthAction auth "true"
  Require valid-user
</Location>
<Location /api/>
  AuthType oauth20
  Require claim scope~profile
</Location>
`

async function untilItAnswers(apache: Apache, running: () => boolean) {
  for (const deadline = Date.now() + 30_000; running() && Date.now() < deadline; ) {
    const up = await apache.request('/').then(
      (response) => response.ok,
      () => false,
    )
    if (up) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const log = apache.log()
  await apache.stop()
  throw new Error(`Apache did not start:\n${log}`)
}
