/** Just enough of HTML to judge our own pages: their tags, and the attributes in them. */
export interface Tag {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
}

const opening = /<([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"<>]*")?)*)\s*\/?>/g
const written = /<!doctype html>|<\/[a-z][a-z0-9]*>/g

/** Throws where a tag is not written in the one strict form: lower case, values in double quotes, no `<` or `>` inside. */
export function tagsOf(markup: string): Tag[] {
  const tags = [...markup.matchAll(opening)].map(([, name = '', attributes = '']) => ({
    name,
    attributes: new Map(
      [...attributes.matchAll(/([a-zA-Z-]+)(?:="([^"]*)")?/g)].map(
        ([, attribute = '', value = '']) => [attribute, value] as const,
      ),
    ),
  }))
  const rest = markup.replaceAll(opening, '').replaceAll(written, '')
  if (/[<>]/.test(rest)) throw new Error(`not a tag of ours: ${/.{0,80}[<>].{0,80}/s.exec(rest)}`)
  return tags
}

export interface Form extends Tag {
  readonly controls: readonly Tag[]
}

/** Each form with the inputs, buttons and text areas inside it. */
export const formsOf = (markup: string): Form[] =>
  [...markup.matchAll(/<form.*?<\/form>/gs)].flatMap(([text]) => {
    const [form, ...inside] = tagsOf(text)
    return form ? [{ ...form, controls: inside.filter(({ name }) => isControl(name)) }] : []
  })

export const isControl = (name: string): boolean =>
  ['input', 'button', 'textarea', 'select'].includes(name)

/** Tags and attribute names in order: what must stay the same whatever the data is. */
export const shapeOf = (markup: string): string[] =>
  tagsOf(markup).map(({ name, attributes }) => [name, ...attributes.keys()].join(' '))

/** Where the forms lead that can be sent without opening any `<details>` first. */
export function actionsInPlainSight(markup: string): string[] {
  let depth = 0
  return [...markup.matchAll(/<(\/?)(details|form)[^>]*>/g)].flatMap(([text, closing, name]) => {
    if (name === 'details') depth += closing ? -1 : 1
    if (name === 'details' || closing || depth > 0) return []
    return tagsOf(text).flatMap(({ attributes }) => attributes.get('action') ?? [])
  })
}
