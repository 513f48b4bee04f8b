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

type Texts = Readonly<Record<string, string>>

/** What has just happened, or what did not: what a form has led to, as its address says. */
export function noticesOf(
  c: AppContext,
  { notices, warnings }: { readonly notices: Texts; readonly warnings: Texts },
): { notice?: string; warning?: string } {
  const [notice, warning] = [noticeOf(c, notices), noticeOf(c, warnings)]
  return { ...(notice && { notice }), ...(warning && { warning }) }
}
