import type { AppContext } from '#/web/request/context.ts'

/** What a page says because of its address: one of its own texts, or nothing. */
export function noticeOf(
  c: AppContext,
  texts: Readonly<Record<string, string>>,
  parameter = 'notice',
): string | undefined {
  const key = c.req.query(parameter) ?? ''
  return Object.hasOwn(texts, key) ? texts[key] : undefined
}
