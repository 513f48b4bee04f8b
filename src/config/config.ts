/**
 * The only reader of the environment. Each setting stands in the file of its area, with its schema, default and meaning;
 * docs/CONFIGURATION.md and `.env.example` follow from there. Every problem is reported at once.
 */
import { audit } from './audit.ts'
import { authorization } from './authorization.ts'
import { clients } from './clients.ts'
import { database } from './database.ts'
import { limits } from './limits.ts'
import { providers } from './providers.ts'
import { renamed } from './renamed.ts'
import { server } from './server.ts'
import { sessions } from './sessions.ts'
import type { Area, IsWritten, Setting, ValuesOf } from './setting.ts'
import { signIn } from './sign-in.ts'
import { telemetry } from './telemetry.ts'
import { tokens } from './tokens.ts'

/** In the order of the documentation. */
export const areas = {
  server,
  database,
  sessions,
  signIn,
  authorization,
  tokens,
  clients,
  providers,
  limits,
  telemetry,
  audit,
} satisfies Record<string, Area>

export const settings = {
  ...server.settings,
  ...database.settings,
  ...sessions.settings,
  ...signIn.settings,
  ...authorization.settings,
  ...tokens.settings,
  ...clients.settings,
  ...providers.settings,
  ...limits.settings,
  ...telemetry.settings,
  ...audit.settings,
}

type Values = ValuesOf<typeof settings>
type Environment = Readonly<Record<string, string | undefined>>

/** Every problem of a configuration, each naming the setting and what to write. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((text) => `  ${text}`).join('\n')}`,
    )
    this.problems = problems
  }
}

export type Config = ReturnType<typeof readAreas>

/** Parses and freezes the configuration, or throws a `ConfigError` that lists everything wrong with it. */
export function parseConfig(environment: Environment): Config {
  const { values, problems } = parseValues(environment)
  const isWritten: IsWritten = (name) => textOf(environment, name) !== undefined
  const all = [
    ...Object.entries(renamed).flatMap(([name, advice]) =>
      isWritten(name) ? [`${name}: is no longer known; ${advice}.`] : [],
    ),
    ...problems,
    ...Object.values(areas).flatMap((area) => area.problems(values, isWritten)),
  ]
  if (all.length > 0) throw new ConfigError(all)
  return freeze(readAreas(values as Values))
}

/** An empty value means "not set", as in a .env file whose lines were left blank. */
const textOf = (environment: Environment, name: string) => environment[name]?.trim() || undefined

function parseValues(environment: Environment) {
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [name, setting] of Object.entries<Setting>(settings)) {
    const text = textOf(environment, name) ?? setting.default
    const parsed = text === undefined ? undefined : setting.schema.safeParse(text)
    if (parsed?.success) values[name] = parsed.data
    else if (parsed)
      problems.push(
        `${name}: ${parsed.error.issues[0]?.message}${setting.secret ? '' : ` (it is "${text}")`}.`,
      )
  }
  return { values: values as Partial<Values>, problems }
}

const readAreas = (values: Values) => ({
  server: server.read(values),
  database: database.read(values),
  sessions: sessions.read(values),
  signIn: signIn.read(values),
  authorization: authorization.read(values),
  tokens: tokens.read(values),
  clients: clients.read(values),
  providers: providers.read(values),
  limits: limits.read(values),
  telemetry: telemetry.read(values),
  audit: audit.read(values),
})

/** Its groups and lists, too; what is neither, such as the addresses of proxies, stays as it is. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  if (!isPlain) return value
  for (const part of Object.values(value)) freeze(part)
  return Object.freeze(value)
}
