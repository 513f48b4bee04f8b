/** What the list of clients is asked for. A wrong value is refused: the answer would look like more than it is. */
import { z } from 'zod'
import type { ClientCursor, ClientFilter } from '#/domain/clients/find-clients.ts'
import { isUuid } from '#/protocol/ids.ts'
import { clientStatuses } from '#/protocol/vocabulary.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'

/** The filters as they were sent, so that the form shows them again. */
export interface SentFilter {
  readonly search?: string
  readonly status?: string
}

export interface ClientFilterInput {
  readonly sent: SentFilter
  readonly filter: ClientFilter
  readonly after: ClientCursor | undefined
}

const asked = z.object({
  search: z.string().max(100).optional(),
  status: z.enum(clientStatuses).optional(),
  after_name: z.string().optional(),
  after_id: z.string().max(200).optional(),
})

export function readClientFilter(c: AppContext): ClientFilterInput {
  const sent = Object.entries(c.req.query()).map(([name, value]) => [name, value.trim()])
  const parsed = asked.safeParse(Object.fromEntries(sent.filter(([, value]) => value !== '')))
  if (!parsed.success)
    throw new PageError(400, 'Invalid filter', 'Go back to the list and search again.')
  const { search, status, after_id: clientId } = parsed.data
  const id = search?.toLowerCase() ?? ''
  return {
    sent: { ...(search && { search }), ...(status && { status }) },
    filter: { status, ...(isUuid(id) ? { clientId: id } : { namePrefix: search }) },
    // As it was sent: a name may begin or end with a space.
    after: clientId ? { sortName: c.req.query('after_name') ?? '', clientId } : undefined,
  }
}
