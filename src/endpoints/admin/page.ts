/** What all operator pages share. */
import type { PageUser } from '#/web/pages/layout.ts'

export interface AdminPageProps {
  readonly user: PageUser
  readonly csrfToken: string
  /** What has just happened. */
  readonly notice?: string
  /** The moment that "3 minutes ago" is measured from. */
  readonly now?: Date
}
