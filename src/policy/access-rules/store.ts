// The rows of access rules.
import type { ColumnType, Kysely } from 'kysely'
import type { Database } from '../../db/database.ts'
import type { AccessRule } from './access-rule.ts'

type Int = ColumnType<bigint, number, number>

interface Tables {
  access_rule: { id: string; name: string; definition: string; created_at: Int; updated_at: Int }
}

type Definition = Omit<AccessRule, 'id' | 'name' | 'createdAtMs' | 'updatedAtMs'>

export class AccessRuleStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async list(): Promise<AccessRule[]> {
    const rows = await this.#db.read(this.#sql.selectFrom('access_rule').selectAll().orderBy('id'))
    return rows.map((row) => ({
      ...(JSON.parse(row.definition) as Definition),
      id: row.id,
      name: row.name,
      createdAtMs: Number(row.created_at),
      updatedAtMs: Number(row.updated_at),
    }))
  }

  /** Rejects with `conflict` where the name is taken; so does `update`. */
  async insert({ id, createdAtMs, ...rule }: AccessRule): Promise<void> {
    await this.#db.write(
      this.#sql.insertInto('access_rule').values({ id, created_at: createdAtMs, ...changing(rule) }),
    )
  }

  async update({ id, createdAtMs: _createdAtMs, ...rule }: AccessRule): Promise<void> {
    await this.#db.write(this.#sql.updateTable('access_rule').set(changing(rule)).where('id', '=', id))
  }

  async remove(id: string): Promise<void> {
    await this.#db.write(this.#sql.deleteFrom('access_rule').where('id', '=', id))
  }
}

const changing = ({ name, updatedAtMs, ...definition }: Omit<AccessRule, 'id' | 'createdAtMs'>) => ({
  name,
  definition: JSON.stringify(definition satisfies Definition),
  updated_at: updatedAtMs,
})
