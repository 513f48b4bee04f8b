/** Attempts to sign in that failed, as their account's owner and operators see them. */
import { html } from 'hono/html'
import type { FailedSignIn } from '#/domain/audit/failed-sign-ins.ts'
import { nameBrowser } from '#/domain/sessions/browser.ts'
import { fact } from './components.ts'
import type { Html } from './html.ts'
import { renderTime } from './times.ts'

/** One line for each: when, and from where; nothing when there was none. */
export function failedSignIns(
  attempts: readonly FailedSignIn[],
  { advice, now }: { advice: Html | string; now: Date },
): Html | '' {
  if (attempts.length === 0) return ''
  const lines = attempts.map(({ at, ip, userAgent, count }) => {
    const { browser, platform } = nameBrowser(userAgent ?? '')
    const times = count > 1 ? `, ${count} times` : ''
    return fact(
      `${browser} on ${platform}`,
      html`${renderTime(at, now)}, from ${ip ?? 'unknown'}${times}`,
    )
  })
  return html`<section class="card padded" aria-labelledby="failed-sign-ins">
<h2 id="failed-sign-ins">Recent failed sign-ins</h2>
<dl class="facts">${lines}</dl>
<p class="hint">${advice}</p>
</section>`
}
