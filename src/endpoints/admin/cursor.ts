/** Where the next page of a list by time begins, as its address says it. */
import { z } from 'zod'
import { isUuid } from '#/protocol/ids.ts'

/** A row's moment, to the microsecond, and its id. */
interface Place {
  readonly at: string
  readonly id: string
}

const damaged = 'The address of this page is not valid.'

/** Reads `MOMENT_ID`; a moment that no calendar has is refused, and so is an id that no row can have. */
export const cursorBy = (isId: (id: string) => boolean) =>
  z
    .string()
    .regex(/^(19[7-9]\d|[2-9]\d{3})-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z_/, damaged)
    .transform((text): Place => {
      const [at = '', ...id] = text.split('_')
      return { at, id: id.join('_') }
    })
    .refine(
      ({ at, id }) => isId(id) && new Date(at).toJSON()?.slice(0, 19) === at.slice(0, 19),
      damaged,
    )

export const cursorByUuid = cursorBy(isUuid)
