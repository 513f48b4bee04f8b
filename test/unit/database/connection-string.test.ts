import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ConnectionStringError,
  describeHosts,
  parseConnectionString,
  sslModeFor,
} from '#/database/connection-string.ts'

const parse = (text: string) => parseConnectionString(text, 'DATABASE_URL')
const whyNot = (text: string) => {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof ConnectionStringError) return error.message
    throw error
  }
  return undefined
}

describe('a connection string', () => {
  it.each<[string, object]>([
    ['postgres://', { hosts: [{ host: 'localhost', port: 5432 }], user: undefined }],
    ['postgresql://u@db/n', { user: 'u', database: 'n', hosts: [{ host: 'db', port: 5432 }] }],
    ['postgres://u:p@[::1]:5433/n', { hosts: [{ host: '::1', port: 5433 }], password: 'p' }],
    [
      'postgres:///n?host=/var/run/postgresql',
      { hosts: [{ host: '/var/run/postgresql', port: 5432 }], database: 'n' },
    ],
    [
      'postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/n',
      { hosts: [{ host: '/var/run/postgresql', port: 5433 }], user: 'u' },
    ],
    [
      'postgres://u@a:5432,b:5433/n',
      {
        hosts: [
          { host: 'a', port: 5432 },
          { host: 'b', port: 5433 },
        ],
        writable: true,
      },
    ],
    ['postgres://a,b/n?target_session_attrs=any', { writable: false }],
    ['postgres://a/n?target_session_attrs=read-write', { writable: true }],
    [
      'postgres:///n?host=a,b&port=6000',
      { hosts: [6000, 6000].map((port, i) => ({ host: 'ab'[i], port })) },
    ],
    ['postgres://u:a%40b%2F%3Fc%25@db/n', { password: 'a@b/?c%' }],
    ['postgres://u:a@b@db/n', { password: 'a@b', hosts: [{ host: 'db', port: 5432 }] }],
    ['postgres://db/n?user=u&password=p&dbname=m', { user: 'u', password: 'p', database: 'm' }],
    ['postgres://db/n', { applicationName: 'authgate', connectTimeoutSeconds: 10 }],
    [
      'postgres://db/n?application_name=a&connect_timeout=3&options=-c%20search_path%3Dx',
      { applicationName: 'a', connectTimeoutSeconds: 3, options: '-c search_path=x' },
    ],
    ['postgres://db/n?sslrootcert=system', { sslMode: 'verify-full' }],
    [
      'postgres://db/n?sslmode=verify-ca&sslrootcert=/ca&sslcert=/c&sslkey=/k',
      { sslMode: 'verify-ca', sslRootCert: '/ca', sslCert: '/c', sslKey: '/k' },
    ],
    ['postgres://db/n?channel_binding=prefer&gssencmode=disable', {}],
  ])('%s is read as libpq reads it', (text, parts) => {
    expect(parse(text)).toMatchObject(parts)
  })

  it.each([
    [
      'postgres://u:hunter2@db/n?sslmod=require',
      /^the parameter sslmod is not known; known are .*sslmode/,
    ],
    [
      'postgres://u:hunter2@db/n?sslmode=verify_full',
      /^sslmode must be one of disable, prefer, .*verify-full$/,
    ],
    ['postgres://u:hunter2@db/n?sslmode=allow', /^sslmode must be one of/],
    ['postgres://u:hunter2@db/n?sslmode=disable&sslmode=require', /^it has sslmode twice$/],
    ['postgres://u:hunter2@db/n?sslmode', /^write sslmode as name=value$/],
    ['postgres://u:hunter2@db/n?sslmode=verify-ca', /^sslmode=verify-ca needs sslrootcert/],
    ['postgres://u:hunter2@db/n?sslmode=require&sslrootcert=system', /needs sslmode=verify-full$/],
    ['postgres://u:hunter2@db/n?sslcert=/c', /^sslcert and sslkey need one another$/],
    [
      'postgres://u:hunter2@db/n?target_session_attrs=standby',
      /^target_session_attrs must be one of any/,
    ],
    ['postgres://u:hunter2@db/n?channel_binding=require', /^channel_binding must be one of/],
    ['postgres://u:hunter2@db:0/n', /^port must be a whole number from 1 to 65535$/],
    ['postgres://u:hunter2@a,b/n?port=1,2,3', /^it has a different number of ports than hosts$/],
    ['postgres://u:hunter2%@db/n', /^the password has a % that is not part of an escape/],
    ['postgres://u:hun?ter2@db/n', /^(?!.*ter2)/],
    ['mysql://u:hunter2@db/n', /^write postgres:\/\//],
  ])('%s is refused by name, without its password', (text, message) => {
    const problem = whyNot(text)
    expect(problem).toMatch(message)
    expect(problem).not.toContain('hunter2')
  })

  it('keeps any user, password and database that are percent-encoded', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((s) => s.isWellFormed())
    fc.assert(
      fc.property(text, text, text, (user, password, database) => {
        const [u, p, d] = [user, password, database].map(encodeURIComponent)
        expect(parse(`postgres://${u}:${p}@db/${d}`)).toMatchObject({ user, password, database })
      }),
    )
  })

  it('is described by its hosts alone', () => {
    expect(describeHosts(parse('postgres://u:p@a,b:1/n'))).toBe('a:5432, b:1')
    expect(describeHosts(parse('postgres:///n?host=/run/pg'))).toBe('/run/pg/.s.PGSQL.5432')
  })
})

it('asks for TLS where it is offered, but not within this machine, and takes a mode at its word', () => {
  const mode = (text: string) => {
    const target = parse(text)
    return target.hosts.map((place) => sslModeFor(target, place))
  }
  expect(mode('postgres://db.example/n')).toEqual(['prefer'])
  expect(mode('postgres://localhost,127.0.0.1,[::1]/n')).toEqual(['disable', 'disable', 'disable'])
  expect(mode('postgres://localhost/n?sslmode=require')).toEqual(['require'])
  expect(mode('postgres:///n?host=/run/pg&sslmode=verify-full&sslrootcert=/ca')).toEqual([
    'disable',
  ])
})
