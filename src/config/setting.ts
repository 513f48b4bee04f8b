/** What a setting is, and what an area of them gives to the rest. */
import type { z } from 'zod'

export interface Setting<S extends z.ZodType = z.ZodType> {
  readonly schema: S
  /** As a user would write it; undefined where the setting is optional and has none. */
  readonly default: string | undefined
  readonly about: string
  /** Never printed, also not in a problem. */
  readonly secret?: true
}

export type Settings = Readonly<Record<string, Setting>>

export const setting = <S extends z.ZodType, D extends string | undefined = undefined>(
  schema: S,
  fallback: D,
  about: string,
  more: { secret?: true } = {},
) => ({ schema, default: fallback, about, ...more })

/** What settings parse to: undefined only where nothing was written and there is no default. */
export type ValuesOf<S extends Settings> = {
  readonly [K in keyof S]:
    | z.output<S[K]['schema']>
    | (S[K]['default'] extends string ? never : undefined)
}

/** Whether anything was written for a setting, be it wrong: that is told of where it is read. */
export type IsWritten = (name: string) => boolean

export interface Area {
  /** Its heading in the documentation. */
  readonly title: string
  readonly settings: Settings
  /** What no single setting can know. A value that is wrong is undefined here. */
  readonly problems: (values: never, isWritten: IsWritten) => readonly string[]
  /** The area as its readers use it. */
  readonly read: (values: never) => unknown
}

export const noProblems = (): readonly string[] => []
