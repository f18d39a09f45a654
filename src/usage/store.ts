// The usage tables: committing batches of settled calls, and reading records, rollups and dimensions.
import { sql } from 'kysely'
import { HotBatch, type HotRow } from '../db/batch.ts'
import type { Database } from '../db/database.ts'
import type { Dimension, DimensionKind } from './dimensions.ts'
import type { StoredMeter } from './meters.ts'

export type { HotRow, HotTable } from '../db/batch.ts'

export interface UsageTables {
  dimension: { id: bigint; kind: DimensionKind; value: string }
  usage_record: {
    id: bigint
    account: bigint
    caller: bigint
    api_key: bigint | null
    session: bigint | null
    server: bigint
    method: bigint
    tool: bigint | null
    client: bigint
    route: bigint
    outcome: bigint
    status: bigint
    request_bytes: bigint
    response_bytes: bigint
    duration_us: bigint
    cost: bigint
    currency: bigint
    rule: bigint | null
    rule_version: bigint | null
    error: string | null
    idempotency_key: string | null
    tokens: bigint | null
    upstream_cost: bigint | null
    counted_before: bigint | null
  }
  usage_meter: { rule_id: string; unit: string; subject: string; period: bigint; quantity: bigint }
}

export class UsageStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<UsageTables>()
  }

  /** Commits rows of any folder's hot tables in one durable transaction. */
  commit(rows: HotRow[]): Promise<void> {
    return this.#db.commit(new HotBatch(rows))
  }

  /** Whether the store takes writes again; rejects while it does not. */
  probe(): Promise<void> {
    return this.#db.probe()
  }

  async newestRecordId(): Promise<bigint> {
    const [row] = await this.#db.read(
      this.#sql.selectFrom('usage_record').select((e) => e.fn.max('id').as('id')),
    )
    return row?.id ?? 0n
  }

  /** What was counted in periods that began at or after `fromMs`, but for sessions that have ended. */
  async loadMeters(fromMs: number): Promise<StoredMeter[]> {
    const isOpen = sql<boolean>`exists (
      select 1 from session s where s.id = usage_meter.subject and s.status not in ('closed', 'expired'))`
    const query = this.#sql
      .selectFrom('usage_meter')
      .selectAll()
      .where('period', '>=', BigInt(fromMs))
      .where((e) => e.or([e('subject', 'not like', 'ses%'), isOpen]))
    return (await this.#db.read(query)).map(({ rule_id, unit, subject, period, quantity }) => ({
      ruleId: rule_id,
      unit,
      subject,
      periodMs: Number(period),
      quantity,
    }))
  }

  /** The newest dimensions, oldest first, and the next free integer. */
  async loadDimensions(limit: number): Promise<{ known: Dimension[]; next: number }> {
    const rows = await this.#db.read(
      this.#sql.selectFrom('dimension').selectAll().orderBy('id', 'desc').limit(limit),
    )
    const known = rows.map((row) => ({ id: Number(row.id), kind: row.kind, value: row.value })).toReversed()
    return { known, next: (known.at(-1)?.id ?? 0) + 1 }
  }
}
