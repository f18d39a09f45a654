// The rows of price books.
import type { Kysely } from 'kysely'
import { GatewayError } from '../../base/errors.ts'
import type { Database } from '../../db/database.ts'

/** A set of rules for the accounts that have it, as their plan's or as their own. */
export interface PriceBook {
  readonly name: string
  readonly description?: string
  readonly createdAtMs: number
  readonly createdBy?: string
  readonly updatedAtMs: number
}

interface BookRow {
  readonly name: string
  readonly description: string | null
  readonly created_at: bigint
  readonly created_by: string | null
  readonly updated_at: bigint
}

/** Reads and writes price books. Every write is durable when it resolves. */
export class PriceBookStore {
  readonly #db: Database
  readonly #sql: Kysely<{ price_book: BookRow }>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<{ price_book: BookRow }>()
  }

  /** In the order of their names, after `after`. */
  async list(page: { limit: number; after?: string | undefined }): Promise<PriceBook[]> {
    let query = this.#sql.selectFrom('price_book').selectAll().orderBy('name').limit(page.limit)
    if (page.after !== undefined) query = query.where('name', '>', page.after)
    return (await this.#db.read<BookRow>(query)).map(toBook)
  }

  async find(name: string): Promise<PriceBook | undefined> {
    const [row] = await this.#db.read<BookRow>(
      this.#sql.selectFrom('price_book').selectAll().where('name', '=', name),
    )
    return row && toBook(row)
  }

  async count(): Promise<number> {
    const [row] = await this.#db.read(
      this.#sql.selectFrom('price_book').select((e) => e.fn.countAll<bigint>().as('books')),
    )
    return Number(row?.books ?? 0n)
  }

  /** Rejects with `conflict` where the name is taken. */
  async insert({ name, description, createdAtMs, createdBy }: PriceBook): Promise<void> {
    const row: BookRow = {
      name,
      description: description ?? null,
      created_at: BigInt(createdAtMs),
      created_by: createdBy ?? null,
      updated_at: BigInt(createdAtMs),
    }
    await this.#db.write(this.#sql.insertInto('price_book').values(row))
  }

  /** Throws `not_found`. */
  async describe(name: string, description: string | null, nowMs: number): Promise<void> {
    const query = this.#sql.updateTable('price_book').set({ description, updated_at: BigInt(nowMs) })
    const [changed] = await this.#db.write(query.where('name', '=', name))
    if (changed !== 1) throw new GatewayError('not_found')
  }

  async remove(name: string): Promise<void> {
    await this.#db.write(this.#sql.deleteFrom('price_book').where('name', '=', name))
  }
}

const toBook = (row: BookRow): PriceBook => ({
  name: row.name,
  ...(row.description !== null && { description: row.description }),
  createdAtMs: Number(row.created_at),
  ...(row.created_by !== null && { createdBy: row.created_by }),
  updatedAtMs: Number(row.updated_at),
})
