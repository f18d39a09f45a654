// What the answers of many resources have in common: times, ids in paths, and pages in the order of ids.
import { z } from 'zod'
import { GatewayError } from '../../base/errors.ts'
import { parseCallId, type IdPrefix } from '../../base/id.ts'
import { decodeCursor, makePage } from './page.ts'

/** A time as every answer carries it: ISO 8601 in UTC. */
export const timeShape = z.iso.datetime()

/** Milliseconds since the epoch as `timeShape`. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()

/** Parameters of `…/{id}`. */
export const idParams = z.strictObject({ id: z.string() })

const idPattern = /^[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}$/

/** The id in a path; what cannot be an id of this kind is not there (`not_found`), and no store is asked for it. */
export function readId(text: string, prefix: IdPrefix): string {
  if (!text.startsWith(`${prefix}_`) || !idPattern.test(text)) throw new GatewayError('not_found')
  return text
}

/** Rows in the order of their ids, and how one is shown. `fetch` gives at most `limit` of those beyond `id`. */
export interface IdList<Row, Item> {
  fetch(page: { limit: number; id: string | undefined }): readonly Row[] | Promise<readonly Row[]>
  show(row: Row): Item
}

/** One page of such a list. Throws `validation_failed` where the cursor is none of this list. */
export async function pageById<Row extends { readonly id: string }, Item>(
  query: { limit: number; cursor?: string | undefined },
  list: IdList<Row, Item>,
): Promise<{ items: Item[]; nextCursor: string | null }> {
  const [id] = decodeCursor(query.cursor, 1) ?? []
  if (id !== undefined && !idPattern.test(String(id)))
    throw new GatewayError('validation_failed', {
      fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
    })
  const rows = await list.fetch({ limit: query.limit + 1, id: id === undefined ? undefined : String(id) })
  return makePage(rows, query.limit, { positionOf: (row) => [row.id], show: (row) => list.show(row) })
}

/** The record at which a page of records ended; undefined for the first page. Throws `validation_failed`. */
export function decodeCallCursor(cursor: string | undefined): bigint | undefined {
  const [position] = decodeCursor(cursor, 1) ?? []
  if (position === undefined) return undefined
  const id = parseCallId(String(position))
  if (id !== undefined) return id
  throw new GatewayError('validation_failed', {
    fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
  })
}

/** A time that must lie ahead, in milliseconds; throws `validation_failed` naming the field. */
export function readFuture(text: string, { field, nowMs }: { field: string; nowMs: number }): number {
  const timeMs = Date.parse(text)
  if (timeMs > nowMs) return timeMs
  throw new GatewayError('validation_failed', { fields: [{ field, message: 'must be in the future' }] })
}
