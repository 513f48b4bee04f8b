import { z } from 'zod'
import { nameProblem, normalizeName } from '#/protocol/names.ts'

/** The full name in a form; it may be empty. */
export const fullNameField = z
  .string()
  .transform(normalizeName)
  .superRefine((name, context) => {
    const problem = name === '' ? undefined : nameProblem(name, 200)
    if (problem) context.addIssue({ code: 'custom', message: `The full name ${problem}.` })
  })
  .default('')
