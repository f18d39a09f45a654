// Routes of price books: named sets of rules for the accounts that have them.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { bookInput, bookPatch, type PriceBooks } from '../../../pricing/books/price-books.ts'
import type { PriceBook } from '../../../pricing/books/store.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface BillingBookDeps {
  readonly books: PriceBooks
  readonly ledger: Ledger
}

const bookShape = z
  .strictObject({
    name: z.string(),
    description: z.string().optional(),
    createdAt: timeShape,
    createdBy: z.string().optional(),
    updatedAt: timeShape,
  })
  .meta({ id: 'PriceBook' })

const bookView = ({ createdAtMs, updatedAtMs, ...rest }: PriceBook): z.input<typeof bookShape> => ({
  ...rest,
  createdAt: isoTime(createdAtMs),
  updatedAt: isoTime(updatedAtMs),
})

const path = '/api/v1/billing/books'
const one = `${path}/{name}`
const params = z.strictObject({ name: z.string().max(64) })

/** `/billing/books` and below. */
export function billingBookRoutes({ books, ledger }: BillingBookDeps): Route[] {
  const countAccounts = (name: string): number =>
    ledger.listAccounts().filter(({ plan, priceBook }) => plan === name || priceBook === name).length
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a price book: rules that name it are for the accounts that have it',
      permission: 'rules:manage',
      body: bookInput,
      response: bookShape,
      status: 201,
      errors: [403, 409, 422, 503],
      handler: async ({ principal, body, setHeader }) => {
        const book = await books.create(body, principal.userId)
        setHeader('location', `${path}/${book.name}`)
        return bookView(book)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists price books by name',
      permission: 'rules:read',
      query: z.strictObject(pageQuery),
      response: pageOf(bookShape),
      errors: [403],
      handler: async ({ query: { limit, cursor } }) => {
        const [after] = decodeCursor(cursor, 1) ?? []
        const rows = await books.list({
          limit: limit + 1,
          ...(after !== undefined && { after: String(after) }),
        })
        return makePage(rows, limit, { positionOf: ({ name }) => [name], show: bookView })
      },
    }),
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a price book',
      permission: 'rules:read',
      params,
      response: bookShape,
      errors: [403, 404],
      handler: async ({ params: { name } }) => bookView(await books.get(name)),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Describes a price book anew',
      permission: 'rules:manage',
      params,
      body: bookPatch,
      response: bookShape,
      errors: [403, 404, 503],
      handler: async ({ params: { name }, body }) => bookView(await books.change(name, body)),
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes a price book that no rule is in and no account has',
      permission: 'rules:manage',
      params,
      errors: [403, 404, 409, 503],
      handler: async ({ params: { name } }) => {
        await books.remove(name, () => countAccounts(name))
        return undefined
      },
    }),
  ]
}

/** Throws `validation_failed` where an account is given a book that is not there. */
export async function checkBooks(
  books: Pick<PriceBooks, 'has'>,
  given: { plan?: string | null | undefined; priceBook?: string | null | undefined },
): Promise<void> {
  for (const [field, name] of Object.entries(given)) {
    if (typeof name !== 'string' || (await books.has(name))) continue
    const message = 'names no price book; make it with POST /billing/books first'
    throw new GatewayError('validation_failed', { fields: [{ field: `/${field}`, message }] })
  }
}
