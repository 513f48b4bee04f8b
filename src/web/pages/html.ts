import { html } from 'hono/html'

/** A finished piece of a page. */
export type Html = ReturnType<typeof html>

/** Attributes in order; those that are `undefined` or `false` are left out. */
export const attributes = (
  values: Readonly<Record<string, string | number | boolean | undefined>>,
): (Html | string)[] =>
  Object.entries(values).map(([name, value]) => {
    if (value === undefined || value === false) return ''
    return value === true ? ` ${name}` : html` ${name}="${value}"`
  })
