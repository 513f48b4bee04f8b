/** What all operator pages share. */
import { html } from 'hono/html'
import { caution, pageHeading } from '#/web/components.ts'
import type { Html } from '#/web/html.ts'
import type { PageUser } from '#/web/layout.ts'

export interface AdminPageProps {
  readonly user: PageUser
  readonly csrfToken: string
  /** What has just happened. */
  readonly notice?: string
  /** The moment that "3 minutes ago" is measured from. */
  readonly now?: Date
}

/** Values that are shown this once. */
export const oneTime = (page: {
  title: string
  warning: string | undefined
  values: Html
  back: { href: string; text: string }
}) =>
  html`${pageHeading(page.title, 'Press a value to select all of it.')}
<section class="card padded one-time">
${page.warning && caution(page.warning)}
<dl>${page.values}</dl>
</section>
<p><a class="button" href="${page.back.href}">${page.back.text}</a></p>`
