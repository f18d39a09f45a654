// Rows of things with a name of their own and a definition that is kept as JSON.
import type { ColumnType, Kysely } from 'kysely'
import type { Database } from '../db/database.ts'
import type { AccessRule } from './access-rules/access-rule.ts'
import type { Limit } from './limits/limit.ts'

type Int = ColumnType<bigint, number, number>

interface Row {
  id: string
  name: string
  definition: string
  created_at: Int
  updated_at: Int
}

interface Tables {
  rate_limit: Row
  access_rule: Row
}

interface Named {
  readonly id: string
  readonly name: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export class NamedStore<Thing extends Named> {
  readonly #db: Database
  readonly #sql: Kysely<Tables>
  readonly #table: keyof Tables

  constructor(db: Database, table: keyof Tables) {
    this.#db = db
    this.#sql = db.builder<Tables>()
    this.#table = table
  }

  /** Oldest first. */
  async list(): Promise<Thing[]> {
    const rows = await this.#db.read(this.#sql.selectFrom(this.#table).selectAll().orderBy('id'))
    return rows.map(({ definition, id, name, created_at: createdAt, updated_at: updatedAt }) => {
      const named: Named = { id, name, createdAtMs: Number(createdAt), updatedAtMs: Number(updatedAt) }
      return { ...(JSON.parse(definition) as object), ...named } as Thing
    })
  }

  /** Rejects with `conflict` where the name is taken; so does `update`. */
  async insert(thing: Thing): Promise<void> {
    const row = { id: thing.id, created_at: thing.createdAtMs, ...changing(thing) }
    await this.#db.write(this.#sql.insertInto(this.#table).values(row))
  }

  async update(thing: Thing): Promise<void> {
    await this.#db.write(this.#sql.updateTable(this.#table).set(changing(thing)).where('id', '=', thing.id))
  }

  async remove(id: string): Promise<void> {
    await this.#db.write(this.#sql.deleteFrom(this.#table).where('id', '=', id))
  }
}

function changing({ id: _id, name, createdAtMs: _createdAtMs, updatedAtMs, ...definition }: Named) {
  return { name, definition: JSON.stringify(definition), updated_at: updatedAtMs }
}

export const limitStore = (db: Database): NamedStore<Limit> => new NamedStore(db, 'rate_limit')
export const accessRuleStore = (db: Database): NamedStore<AccessRule> => new NamedStore(db, 'access_rule')
