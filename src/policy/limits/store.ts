// The rows of limits.
import type { ColumnType, Kysely } from 'kysely'
import type { Database } from '../../db/database.ts'
import type { Limit } from './limit.ts'

type Int = ColumnType<bigint, number, number>

interface Tables {
  rate_limit: { id: string; name: string; definition: string; created_at: Int; updated_at: Int }
}

type Definition = Omit<Limit, 'id' | 'name' | 'createdAtMs' | 'updatedAtMs'>

export class LimitStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async list(): Promise<Limit[]> {
    const rows = await this.#db.read(this.#sql.selectFrom('rate_limit').selectAll().orderBy('id'))
    return rows.map((row) => ({
      ...(JSON.parse(row.definition) as Definition),
      id: row.id,
      name: row.name,
      createdAtMs: Number(row.created_at),
      updatedAtMs: Number(row.updated_at),
    }))
  }

  /** Rejects with `conflict` where the name is taken; so does `update`. */
  async insert({ id, createdAtMs, ...limit }: Limit): Promise<void> {
    await this.#db.write(
      this.#sql.insertInto('rate_limit').values({ id, created_at: createdAtMs, ...changing(limit) }),
    )
  }

  async update({ id, createdAtMs: _createdAtMs, ...limit }: Limit): Promise<void> {
    await this.#db.write(this.#sql.updateTable('rate_limit').set(changing(limit)).where('id', '=', id))
  }

  async remove(id: string): Promise<void> {
    await this.#db.write(this.#sql.deleteFrom('rate_limit').where('id', '=', id))
  }
}

const changing = ({ name, updatedAtMs, ...definition }: Omit<Limit, 'id' | 'createdAtMs'>) => ({
  name,
  definition: JSON.stringify(definition satisfies Definition),
  updated_at: updatedAtMs,
})
