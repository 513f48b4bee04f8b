import { html } from 'hono/html'
import { caution, pageHeading } from './components.ts'
import type { Html } from './html.ts'

/** Values that are shown this once. */
export const oneTime = (page: {
  title: string
  warning: string | undefined
  values: Html
  back: { href: string; text: string }
}): Html =>
  html`${pageHeading(page.title, 'Click a value to select it.')}
<section class="card padded one-time">
${page.warning && caution(page.warning)}
<dl>${page.values}</dl>
</section>
<p><a class="button" href="${page.back.href}">${page.back.text}</a></p>`
