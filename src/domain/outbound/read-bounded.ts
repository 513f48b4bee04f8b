/** An answer that is larger than anything honest: whoever sits there can write without end. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError'
}

/** The text of an answer, of so many bytes at most; throws a `TooLargeError`, and lets go of the rest. */
export async function readBounded(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const read: Uint8Array[] = []
  let size = 0
  // Leaving the loop ends the connection.
  for await (const part of parts) {
    size += part.length
    if (size > maxBytes) throw new TooLargeError(`the answer is larger than ${maxBytes / 1024} KiB`)
    read.push(part)
  }
  return Buffer.concat(read).toString('utf8')
}
