// Making rollups anew out of the records that they are the sums of.
import { sql } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import { hourSpan, startOf } from './cubes.ts'
import { rollupMs } from './record.ts'
import { latencySums } from './sum-store.ts'
import { latencyColumns } from './tables.ts'

export class RollupRebuildStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** Replaces the rollups of one quarter-hour by the sums of its records, and marks its hour, in one transaction. */
  async replaceRollups(bucket: number): Promise<void> {
    const [low, high] = [CallIds.firstAt(bucket * rollupMs), CallIds.firstAt((bucket + 1) * rollupMs)]
    const hour = startOf(bucket, hourSpan)
    const keys = 'account, caller, coalesce(api_key, 0), server, method, coalesce(tool, 0), outcome, currency'
    await this.#sql.write(
      sql`delete from usage_rollup where bucket = ${bucket}`,
      sql`insert into usage_rollup (bucket, account, caller, api_key, server, method, tool, outcome, currency,
          calls, unpriced, cost, request_bytes, response_bytes, duration_us, ${sql.raw(latencyColumns.join(', '))})
        select ${sql.raw(String(bucket))}, ${sql.raw(keys)}, count(*), sum(case when rule is null then 1 else 0 end), sum(cost),
          sum(request_bytes), sum(response_bytes), sum(duration_us), ${sql.raw(latencySums.join(', '))}
        from usage_record where id >= ${low} and id < ${high} group by ${sql.raw(keys)}`,
      sql`insert into usage_stale (span, bucket, marks) values (${hourSpan}, ${hour}, 1)
        on conflict (span, bucket) do update set marks = usage_stale.marks + 1`,
    )
  }
}
