// Pages of an aggregate's lists: the cursor says after what the next page begins, so that nothing is kept between pages.

/** Where a page ended: at a member, and at something of it by its name in the aggregate. */
export interface Position {
  readonly server: string
  readonly after: string
}

/** One member's part of a list, in the member's own order. */
export interface Part<Item> {
  readonly server: string
  readonly entries: readonly Entry<Item>[]
}

export interface Entry<Item> {
  /** The name, or URI, in the aggregate. */
  readonly exposed: string
  readonly item: Item
}

const maxCursorLength = 16_384

/** `list` tells the cursors of one list from those of another. */
export const encodeCursor = (list: string, { server, after }: Position): string =>
  Buffer.from(JSON.stringify([list, server, after])).toString('base64url')

/** Undefined where the text is no cursor of this list. */
export function decodeCursor(list: string, cursor: string): Position | undefined {
  if (cursor.length > maxCursorLength) return undefined
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (!Array.isArray(parts) || parts.length !== 3 || parts[0] !== list) return undefined
    const [, server, after] = parts as unknown[]
    return typeof server === 'string' && typeof after === 'string' ? { server, after } : undefined
  } catch {
    return undefined
  }
}

export interface Page<Item> {
  readonly entries: readonly Entry<Item>[]
  /** Where it ended; undefined for the last page. */
  readonly end: Position | undefined
}

/**
 * The page after a position, of parts that are ordered by their server's name. Undefined where the thing that the last
 * page ended with is no longer there; a member that is gone altogether is passed over.
 */
export function pageAfter<Item>(
  parts: readonly Part<Item>[],
  position: Position | undefined,
  pageSize: number,
): Page<Item> | undefined {
  const entries: Entry<Item>[] = []
  let last: Position | undefined
  for (const { server, entries: own } of parts) {
    if (position && server < position.server) continue
    let at = 0
    if (position?.server === server) {
      at = own.findIndex(({ exposed }) => exposed === position.after) + 1
      if (at === 0) return undefined
    }
    for (const entry of at === 0 ? own : own.slice(at)) {
      if (entries.length === pageSize) return { entries, end: last }
      entries.push(entry)
      last = { server, after: entry.exposed }
    }
  }
  return { entries, end: undefined }
}
