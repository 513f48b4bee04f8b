/** Forms that are shown again, as they were sent and with what is wrong with them. */

import { outdated } from '#/web/guards/csrf.ts'
import {
  type ChoiceProps,
  choices,
  type FieldProps,
  selectField,
  textArea,
  textField,
} from './components.ts'

/** What was sent and why it was not taken, to be corrected. */
export interface RefusedForm {
  readonly values: URLSearchParams
  readonly problem: string
  /** The field at fault. */
  readonly field: string
  readonly status?: 400 | 403 | 409
}

/** A form that came out of date, as it was sent. */
export const outdatedForm = (values: URLSearchParams): RefusedForm => ({
  values,
  problem: outdated,
  field: '',
  status: 403,
})

/** The id of the text that says what is wrong. */
export const problemId = 'form-problem'

/** Field makers that remember what was sent. */
export function filledIn(refused: RefusedForm | undefined) {
  const again = <P extends Pick<FieldProps, 'name'>>(props: P) => ({
    autocomplete: 'off',
    ...props,
    ...(refused && { value: refused.values.get(props.name) ?? '' }),
    ...(refused?.field === props.name && { invalidBecause: problemId }),
  })
  const isTicked = ({ name, value }: ChoiceProps) =>
    refused?.values.getAll(name).includes(value) === true
  return {
    open: refused !== undefined,
    text: (props: FieldProps) => textField(again(props)),
    area: (props: FieldProps & { readonly rows?: number }) =>
      textArea(again({ rows: 3, ...props })),
    select: (props: Parameters<typeof selectField>[0]) => selectField(again(props)),
    /** With `offered`: those, and what is ticked already. */
    choices: (legend: string, options: readonly ChoiceProps[], offered?: readonly string[]) =>
      choices(
        legend,
        options
          .filter((option) => !offered || offered.includes(option.value) || isTicked(option))
          .map((option) => ({ ...option, ...(refused && { checked: isTicked(option) }) })),
      ),
  }
}
