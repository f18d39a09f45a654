// Dropping records that are old enough: what they summed to is written down in the commit that removes them.
import { sql } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'

export const dayMs = 86_400_000

export class RetentionStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** Everything that arrived before this time was or is being dropped; 0 where nothing ever was. Milliseconds. */
  async droppedBeforeMs(): Promise<number> {
    const query = sql<{ day: bigint | null }>`select max(day) as day from usage_dropped`
    const [row] = await this.#sql.read(query)
    return row?.day == null ? 0 : (Number(row.day) + 1) * dayMs
  }

  /** The oldest records below `before`, at most `limit`, all of one UTC day. */
  async oldest(before: bigint, limit: number): Promise<{ day: number; ids: bigint[] } | undefined> {
    const query = sql<{
      id: bigint
    }>`select id from usage_record where id < ${before} order by id limit ${limit}`
    const ids = (await this.#sql.read(query)).map(({ id }) => id)
    if (ids[0] === undefined) return undefined
    const day = dayOf(ids[0])
    return { day, ids: ids.filter((id) => dayOf(id) === day) }
  }

  /** Removes these records of one day and adds their sums to the day's, in one transaction. */
  async drop(day: number, ids: readonly bigint[]): Promise<void> {
    const those = sql.join(ids)
    // Two nodes that drop the same records come one after the other: the second finds none.
    const lock = this.#sql.engine === 'postgres' ? [sql`select pg_advisory_xact_lock(8311206417520122)`] : []
    const statements = [
      ...lock,
      sql`insert into usage_dropped (day, currency, calls, cost)
        select ${sql.raw(String(day))}, coalesce(c.value, ''), count(*), sum(r.cost)
        from usage_record r left join dimension c on c.id = r.currency where r.id in (${those}) group by c.value
        on conflict (day, currency) do update set calls = usage_dropped.calls + excluded.calls,
          cost = usage_dropped.cost + excluded.cost`,
      sql`delete from usage_record where id in (${those})`,
    ]
    await this.#sql.write(...statements)
  }
}

const dayOf = (id: bigint): number => Math.floor(CallIds.timeMs(id) / dayMs)
