// Rows of definitions of tools.
import type { ColumnType, Kysely } from 'kysely'
import type { Database } from '../../db/database.ts'
import type { HoldReason, SeenDefinition } from './definition.ts'

type Int = ColumnType<bigint, number, number>

interface Tables {
  tool_definition: {
    server_id: string
    tool: string
    hash: string
    definition: string | null
    waiting: string | null
    at: Int
    by_user: string | null
  }
}

type Key = Pick<SeenDefinition, 'serverId' | 'tool' | 'hash'>

export class DefinitionStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** In the order of their times. */
  async list(): Promise<SeenDefinition[]> {
    const rows = await this.#db.read(this.#sql.selectFrom('tool_definition').selectAll().orderBy('at'))
    return rows.map((row) => ({
      serverId: row.server_id,
      tool: row.tool,
      hash: row.hash,
      ...(row.definition !== null && { text: row.definition }),
      ...(row.waiting !== null && { waiting: row.waiting as HoldReason }),
      atMs: Number(row.at),
      ...(row.by_user !== null && { by: row.by_user }),
    }))
  }

  /** Removes the first and then keeps the second, all or nothing. */
  async replace(removed: readonly Key[], kept: readonly SeenDefinition[]): Promise<void> {
    const keys = new Map([...removed, ...kept].map((key) => [JSON.stringify([key.tool, key.hash]), key]))
    const deletions = [...keys.values()].map(({ serverId, tool, hash }) =>
      this.#sql
        .deleteFrom('tool_definition')
        .where('server_id', '=', serverId)
        .where('tool', '=', tool)
        .where('hash', '=', hash),
    )
    const insertions = kept.map((seen) =>
      this.#sql.insertInto('tool_definition').values({
        server_id: seen.serverId,
        tool: seen.tool,
        hash: seen.hash,
        definition: seen.text ?? null,
        waiting: seen.waiting ?? null,
        at: seen.atMs,
        by_user: seen.by ?? null,
      }),
    )
    await this.#db.write(...deletions, ...insertions)
  }

  async forget(serverId: string): Promise<void> {
    await this.#db.write(this.#sql.deleteFrom('tool_definition').where('server_id', '=', serverId))
  }
}
