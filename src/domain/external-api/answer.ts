import { z } from 'zod'
import { sanitizeName } from '#/protocol/names.ts'
import { readJson } from '#/protocol/storable.ts'

/** Whom the API vouches for. */
export interface ExternalPerson {
  /** Never given to anybody else there. */
  readonly subject: string
  readonly email: string | undefined
  readonly fullName: string | undefined
}

/** No line breaks. */
const line = (longest: number) =>
  z
    .string()
    .trim()
    .max(longest)
    .refine((text) => !/\p{Cc}/u.test(text))
const optional = <S extends z.ZodType>(schema: S) => z.union([z.literal(''), schema]).nullish()

const answer = z.discriminatedUnion('success', [
  z.object({
    success: z.literal(true),
    user_id: z.union([line(255).min(1), z.int().transform(String)]),
    email: optional(z.email().max(254)),
    full_name: optional(line(200)),
  }),
  z.object({ success: z.literal(false) }),
])

/** A person, `refused`, or undefined for what is no answer at all. */
export function parseAnswer(status: number, text: string): ExternalPerson | 'refused' | undefined {
  const parsed = answer.safeParse(readJson(text))
  if (!parsed.success) return undefined
  if (!parsed.data.success) return 'refused'
  // An error that claims success is believed by nobody.
  if (status < 200 || status > 299) return undefined
  const { user_id: subject, email, full_name: fullName } = parsed.data
  return {
    subject,
    email: email || undefined,
    fullName: (fullName && sanitizeName(fullName, 200)) || undefined,
  }
}
