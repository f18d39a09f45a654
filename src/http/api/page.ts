// Lists in pages: the query that asks for one, the cursor between two, and the shape that is answered.
import { z } from 'zod'
import { GatewayError } from '../../base/errors.ts'

/** Query members of every list: `z.strictObject({ ...pageQuery, … })`. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(100).default(50).describe('How many items, 1 to 100.'),
  cursor: z
    .string()
    .max(1024)
    .optional()
    .describe('`nextCursor` of the page before; absent for the first page.'),
}

/** Shape of a page. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({
    items: z.array(item),
    nextCursor: z.string().nullable().describe('Ask for the next page with it; null on the last page.'),
  })

type Scalar = string | number | null

/** Where a page ended, as opaque text. */
const encodeCursor = (position: readonly Scalar[]): string =>
  Buffer.from(JSON.stringify(position)).toString('base64url')

/**
 * The position in a cursor: strings and numbers, as many as `length`; undefined for the first page.
 * Throws GatewayError `validation_failed` where the text is no cursor of this kind.
 */
export function decodeCursor(cursor: string | undefined, length: number): Scalar[] | undefined {
  if (cursor === undefined) return undefined
  try {
    const position: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(position) && position.length === length && position.every(isScalar)) return position
  } catch {
    // Falls through to the refusal below.
  }
  throw new GatewayError('validation_failed', {
    detail: 'The cursor is not one that this list gave; start again without it.',
    fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
  })
}

const isScalar = (value: unknown): value is Scalar =>
  value === null || typeof value === 'string' || typeof value === 'number'

/**
 * A page out of `limit + 1` fetched rows: the surplus row only says that there is more.
 * `positionOf` gives the place of a row in the list's order.
 */
export function makePage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  options: { positionOf(row: Row): readonly Scalar[]; show(row: Row): Item },
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return {
    items: shown.map((row) => options.show(row)),
    nextCursor: last === undefined ? null : encodeCursor(options.positionOf(last)),
  }
}
