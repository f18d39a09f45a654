// The rows of data keys, each sealed by the master secret.
import type { Kysely } from 'kysely'
import type { Database } from '../db/database.ts'

export interface DataKeyRow {
  /** `seal:` or another purpose, and an id that tells nothing of the key. */
  readonly id: string
  readonly purpose: string
  readonly sealed: string
  readonly createdAtMs: number
  /** Since when it only opens and verifies. */
  readonly retiredAtMs?: number
}

interface Tables {
  data_key: {
    id: string
    purpose: string
    sealed: string
    created_at: bigint
    retired_at: bigint | null
  }
}

export class DataKeyStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** Newest first. */
  async list(): Promise<DataKeyRow[]> {
    const query = this.#sql.selectFrom('data_key').selectAll()
    const rows = await this.#db.read(query.orderBy('created_at', 'desc').orderBy('id'))
    return rows.map((row) => ({
      id: row.id,
      purpose: row.purpose,
      sealed: row.sealed,
      createdAtMs: Number(row.created_at),
      ...(row.retired_at !== null && { retiredAtMs: Number(row.retired_at) }),
    }))
  }

  /** Adds rows; those whose ids are there already stay as they are. */
  async add(rows: readonly DataKeyRow[]): Promise<void> {
    await this.#db.write(...rows.map((row) => this.#insert(row).onConflict((same) => same.doNothing())))
  }

  /** Adds rows and retires others, all or nothing. */
  async replace(added: readonly DataKeyRow[], retired: readonly string[], nowMs: number): Promise<void> {
    await this.#db.write(
      ...added.map((row) => this.#insert(row)),
      ...retired.map((id) =>
        this.#sql
          .updateTable('data_key')
          .set({ retired_at: BigInt(nowMs) })
          .where('id', '=', id),
      ),
    )
  }

  /** Replaces the sealed texts of all rows, all or nothing. */
  async rewrap(rows: readonly Pick<DataKeyRow, 'id' | 'sealed'>[]): Promise<void> {
    await this.#db.write(
      ...rows.map(({ id, sealed }) => this.#sql.updateTable('data_key').set({ sealed }).where('id', '=', id)),
    )
  }

  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#db.write(this.#sql.deleteFrom('data_key').where('id', 'in', ids))
  }

  #insert(row: DataKeyRow) {
    return this.#sql.insertInto('data_key').values({
      id: row.id,
      purpose: row.purpose,
      sealed: row.sealed,
      created_at: BigInt(row.createdAtMs),
      retired_at: null,
    })
  }
}
