// What an audit reads of cubes and of days whose records were dropped. Each method is one statement.
import { sql } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import { commonColumns, hourSpan, type Cube } from '../usage/cubes.ts'
import { dayMs } from '../usage/retention-store.ts'
import { rollupMs } from '../usage/record.ts'
import { cubeSums } from '../usage/tables.ts'

/** What a day's dropped records came to, in one currency. */
export interface DroppedDay {
  readonly day: number
  readonly currency: string
  readonly calls: bigint
  readonly cost: bigint
}

/** A stretch of a cube, and the length of what it must be the sum of; 0: the rollups. */
export interface CubeStretch {
  readonly cube: Cube
  readonly span: number
  readonly source: number
  /** Quarter-hours, in whole stretches. */
  readonly first: number
  readonly end: number
}

const dayBuckets = dayMs / rollupMs

export class SumAuditStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** Stretches of cubes that are out of date. */
  async marks(): Promise<{ span: number; bucket: number }[]> {
    const rows = await this.#sql.read(
      sql<{ span: bigint; bucket: bigint }>`select span, bucket from usage_stale`,
    )
    return rows.map(({ span, bucket }) => ({ span: Number(span), bucket: Number(bucket) }))
  }

  async dropped(): Promise<DroppedDay[]> {
    const rows = await this.#sql.read(sql<{ day: bigint; currency: string; calls: bigint; cost: bigint }>`
      select day, currency, calls, cost from usage_dropped order by day, currency`)
    return rows.map((row) => ({ ...row, day: Number(row.day) }))
  }

  /** A dropped day's sums with the records of it that are still there, beside its rollups. */
  async droppedRollups({ day, currency }: DroppedDay): Promise<{ kept: DayTotals; summed: DayTotals }> {
    const [low, high] = [CallIds.firstAt(day * dayMs), CallIds.firstAt((day + 1) * dayMs)]
    const [first, end] = [day * dayBuckets, (day + 1) * dayBuckets]
    const [row] = await this.#sql.read(sql<Record<string, bigint | null>>`
      select d.calls + (select count(*) from usage_record r join dimension c on c.id = r.currency
          where r.id >= ${low} and r.id < ${high} and c.value = ${currency}) as kept_calls,
        d.cost + (select coalesce(sum(r.cost), 0) from usage_record r join dimension c on c.id = r.currency
          where r.id >= ${low} and r.id < ${high} and c.value = ${currency}) as kept_cost,
        (select sum(u.calls) from usage_rollup u join dimension c on c.id = u.currency
          where u.bucket >= ${first} and u.bucket < ${end} and c.value = ${currency}) as calls,
        (select sum(u.cost) from usage_rollup u join dimension c on c.id = u.currency
          where u.bucket >= ${first} and u.bucket < ${end} and c.value = ${currency}) as cost
      from usage_dropped d where d.day = ${day} and d.currency = ${currency}`)
    return {
      kept: { calls: row?.['kept_calls'] ?? 0n, cost: row?.['kept_cost'] ?? 0n },
      summed: { calls: row?.['calls'] ?? 0n, cost: row?.['cost'] ?? 0n },
    }
  }

  /** A dropped day's cost with the records of it that are still there, beside its charges. Reads all transfers. */
  async droppedCharges({ day, currency }: DroppedDay): Promise<{ cost: bigint; charged: bigint }> {
    const [low, high] = [CallIds.firstAt(day * dayMs), CallIds.firstAt((day + 1) * dayMs)]
    const [row] = await this.#sql.read(sql<{ cost: bigint; charged: bigint | null }>`
      select d.cost + (select coalesce(sum(r.cost), 0) from usage_record r join dimension c on c.id = r.currency
          where r.id >= ${low} and r.id < ${high} and c.value = ${currency}) as cost,
        (select sum(case t.kind when 'charge' then t.amount else -t.amount end) from transfer t
          join ledger_account l on l.id = t.debit where t.kind in ('charge', 'reprice')
          and t.record >= ${low} and t.record < ${high} and l.currency = ${currency}) as charged
      from usage_dropped d where d.day = ${day} and d.currency = ${currency}`)
    return { cost: row?.cost ?? 0n, charged: row?.charged ?? 0n }
  }

  /** Starts of stretches that are not marked as out of date and are not the sum of what they are made of. */
  async cubeDifferences({ cube, span, source, first, end }: CubeStretch, limit: number): Promise<number[]> {
    const keys = [...cube.columns, ...commonColumns].join(', ')
    const marked = Math.max(span, hourSpan)
    const of =
      source === 0 ? 'usage_rollup where' : `usage_cube where cube = ${cube.id} and span = ${source} and`
    const range = `bucket >= ${first} and bucket < ${end}`
    const rows = await this.#sql.read(
      sql<{ start: bigint }>`${sql.raw(`
      select distinct start from (
        select start, ${keys} from (
          select 1 as side, bucket - bucket % ${span} as start, ${keys}, ${named(source === 0)} from ${of} ${range}
          union all
          select -1 as side, bucket as start, ${keys}, ${named(false)} from usage_cube
          where cube = ${cube.id} and span = ${span} and ${range}
        ) sides group by start, ${keys}
        having ${cubeSums(false)
          .map((name) => `sum(side * ${name}) <> 0`)
          .join(' or ')}
      ) wrong where not exists (
        select 1 from usage_stale m where m.span <= ${marked} and m.bucket >= start - start % ${marked}
          and m.bucket < start - start % ${marked} + ${marked})
      limit ${limit}`)}`,
    )
    return rows.map(({ start }) => Number(start))
  }
}

/** The sums under the cubes' own names. */
const named = (ofRollups: boolean): string =>
  cubeSums(ofRollups)
    .map((sum, index) => `${sum} as ${cubeSums(false)[index]}`)
    .join(', ')

export interface DayTotals {
  readonly calls: bigint
  readonly cost: bigint
}
