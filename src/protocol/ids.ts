/** Ids of rows: Postgres refuses to compare a `uuid` with any other text. */

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether a text can be the id of a row, as we write it: in small letters. */
export const isUuid = (text: string): boolean => uuid.test(text)
