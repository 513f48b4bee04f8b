import { html } from 'hono/html'
import type { Html } from './html.ts'
import { renderPage } from './layout.ts'
import type { WayBack } from './page-error.ts'

export interface ErrorPageProps {
  readonly status: number
  readonly title: string
  readonly message: string
  /** The trace id: what support needs to find this very request. */
  readonly reference: string
  readonly back?: WayBack | undefined
}

/** What went wrong, what to do about it, and a reference for those who ask for help. */
export const renderErrorPage = (props: ErrorPageProps): Html =>
  renderPage(
    { title: props.title },
    html`<section class="card card-alone error-page">
<p class="error-status">Error ${props.status}</p>
<h1>${props.title}</h1>
<p class="error-message">${props.message}</p>
<p><a class="button" href="${props.back?.href ?? '/'}">${props.back?.text ?? 'Go to the start page'}</a></p>
<div class="reference">
<p>Give this reference to support if you need help.</p>
<code>${props.reference}</code>
</div>
</section>`,
  )
