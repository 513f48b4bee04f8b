import { isUuid } from '#/protocol/ids.ts'
import type { AppContext } from './context.ts'

/** A row id from the path, or undefined when it cannot be one: such a row cannot exist. */
export function uuidParameter(c: AppContext, name: string): string | undefined {
  const value = c.req.param(name)
  return value !== undefined && isUuid(value) ? value : undefined
}
