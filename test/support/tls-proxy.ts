/** A reverse proxy that ends TLS in front of a server, with a certificate that nobody has signed. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'

export interface TlsProxy {
  readonly url: string
  /** What the server has to be told, its port among it. */
  readonly settings: Record<string, string>
  close(): Promise<void>
}

export async function startTlsProxy(): Promise<TlsProxy> {
  const [port, serverPort] = [await freePort(), await freePort()]
  const server = createServer(makeCertificate(), (incoming, outgoing) => {
    const { method, url: path, headers } = incoming
    const onward = request({ port: serverPort, host: '127.0.0.1', path, method, headers })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const url = `https://localhost:${port}`
  return {
    url,
    settings: { BASE_URL: url, PORT: String(serverPort), TRUSTED_PROXIES: '127.0.0.1' },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function makeCertificate() {
  const directory = mkdtempSync(join(tmpdir(), 'authgate-tls-'))
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  try {
    const made = ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', cert]
    execFileSync('openssl', made, { stdio: 'pipe' })
    return { key: readFileSync(key), cert: readFileSync(cert) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
