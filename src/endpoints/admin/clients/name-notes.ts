/** Warnings for administrators about a client's name, since users rely on it when they consent. */
import type { Database } from '#/database/client.ts'
import { listLookalikes } from '#/domain/clients/names.ts'
import { type NameWarning, nameWarningFor } from '#/protocol/names.ts'

const doubts: Readonly<Record<NameWarning, string>> = {
  mixed_scripts: 'The name mixes letters from several alphabets, some of which look alike.',
  looks_latin: 'The name has letters from another alphabet that look like Latin ones.',
}

const maxNamed = 3

/** The clients of a page, each with the warnings about its name. */
export async function withNameNotes<C extends { clientId: string; name: string }>(
  db: Database,
  clients: readonly C[],
): Promise<(C & { readonly nameNotes: readonly string[] })[]> {
  const lookalikes = await listLookalikes(db, clients)
  return clients.map((client) => ({
    ...client,
    nameNotes: notesOn(client.name, lookalikes.get(client.clientId) ?? []),
  }))
}

function notesOn(name: string, lookalikes: readonly string[]): string[] {
  const doubt = nameWarningFor(name)
  const named = lookalikes.slice(0, maxNamed).map((other) => `“${other}”`)
  const more =
    lookalikes.length > named.length ? ` and ${lookalikes.length - named.length} more` : ''
  return [
    ...(doubt ? [doubts[doubt]] : []),
    ...(named.length > 0
      ? [`The name can be confused with another client: ${named.join(', ')}${more}.`]
      : []),
  ]
}
