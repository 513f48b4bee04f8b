import { z } from 'zod'
import { nameProblem, normalizeName } from '#/protocol/names.ts'

/** What a form may call a person; nothing is a name, too. */
export const fullNameField = z
  .string()
  .transform(normalizeName)
  .superRefine((name, context) => {
    const problem = name === '' ? undefined : nameProblem(name, 200)
    if (problem) context.addIssue({ code: 'custom', message: `The full name ${problem}.` })
  })
  .default('')
