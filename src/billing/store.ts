// What an audit reads of the usage and ledger tables. Each method is one statement, so it sees one state of the store.
import { sql, type RawBuilder } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import { rollupMs } from '../usage/record.ts'
import { latencyColumns } from '../usage/tables.ts'
import { SpendAuditStore } from './spend-audit-store.ts'
import { SumAuditStore } from './sum-audit-store.ts'

/** Ids that are larger than `after` and not larger than `until`. */
export interface Stretch {
  readonly after: bigint
  readonly until: bigint
}

/** A record with the texts that its cost depends on; null where the dimension is missing. */
export interface AuditedRecord {
  readonly id: bigint
  readonly cost: bigint
  readonly request_bytes: bigint
  readonly response_bytes: bigint
  readonly duration_us: bigint
  readonly rule: bigint | null
  readonly rule_version: bigint | null
  readonly tokens: bigint | null
  readonly upstream_cost: bigint | null
  readonly counted_before: bigint | null
  readonly account_id: string | null
  readonly outcome: string | null
  readonly currency: string | null
  readonly rule_id: string | null
  readonly key_id: string | null
}

/** A transfer with what it points to; null where that is missing. */
export interface AuditedTransfer {
  readonly id: bigint
  readonly kind: string
  readonly debit: bigint
  readonly credit: bigint
  readonly amount: bigint
  readonly record: bigint | null
  readonly found_record: bigint | null
  readonly record_account: string | null
  readonly record_currency: string | null
  readonly debit_kind: string | null
  readonly debit_account: string | null
  readonly debit_currency: string | null
  readonly credit_kind: string | null
  readonly credit_account: string | null
  readonly credit_currency: string | null
  readonly grant_amount: bigint | null
  readonly adjustment: string | null
}

export interface AuditedBalance {
  readonly id: bigint
  /** Null where the ledger account itself is missing. */
  readonly kind: string | null
  readonly debits: bigint
  readonly credits: bigint
}

/** A balance beside the sums of its transfers. */
export interface RecheckedBalance extends AuditedBalance {
  readonly sent: bigint
  readonly received: bigint
}

export interface ChargeDifference {
  readonly id: bigint
  readonly cost: bigint
  readonly charged: bigint
}

export interface RollupDifference {
  /** What the group is: account, user, key, server, method, tool, outcome and currency, as far as they have a text. */
  readonly name: string
  readonly record_calls: bigint
  readonly record_cost: bigint
  readonly rollup_calls: bigint
  readonly rollup_cost: bigint
}

export interface AuditedGrant {
  readonly id: string
  readonly amount: bigint
  /** Credits of its ledger account. */
  readonly received: bigint
}

const groupColumns = ['account', 'caller', 'api_key', 'server', 'method', 'tool', 'outcome', 'currency']
const summedColumns = ['calls', 'unpriced', 'cost', 'request_bytes', 'response_bytes', 'duration_us', 'timed']

const list = (texts: readonly string[]): RawBuilder<unknown> => sql.raw(texts.join(', '))

export class AuditStore {
  readonly sums: SumAuditStore
  readonly spends: SpendAuditStore
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.sums = new SumAuditStore(db)
    this.spends = new SpendAuditStore(db)
    this.#sql = new PlainSql(db)
  }

  /** The newest record, the newest transfer, and the last quarter-hour with rollups: where an audit ends. */
  async newest(): Promise<{ record: bigint; transfer: bigint; bucket: number }> {
    const [row] = await this.#sql.read(sql<{
      record: bigint | null
      transfer: bigint | null
      bucket: bigint | null
    }>`
      select (select max(id) from usage_record) as record, (select max(id) from transfer) as transfer,
        (select max(bucket) from usage_rollup) as bucket`)
    const record = row?.record ?? 0n
    const bucket = Math.max(Math.floor(CallIds.timeMs(record) / rollupMs), Number(row?.bucket ?? 0))
    return { record, transfer: row?.transfer ?? 0n, bucket }
  }

  /** Records of a stretch, oldest first. */
  records({ after, until }: Stretch, limit: number): Promise<AuditedRecord[]> {
    return this.#sql.read(sql<AuditedRecord>`
      select r.id, r.cost, r.request_bytes, r.response_bytes, r.duration_us, r.rule, r.rule_version,
        r.tokens, r.upstream_cost, r.counted_before,
        a.value as account_id, o.value as outcome, c.value as currency, u.value as rule_id,
        k.value as key_id
      from usage_record r left join dimension a on a.id = r.account left join dimension o on o.id = r.outcome
        left join dimension c on c.id = r.currency left join dimension u on u.id = r.rule
        left join dimension k on k.id = r.api_key
      where r.id > ${after} and r.id <= ${until} order by r.id limit ${limit}`)
  }

  /** Transfers of a stretch, in the order of their ids. */
  transfers({ after, until }: Stretch, limit: number): Promise<AuditedTransfer[]> {
    return this.#sql.read(sql<AuditedTransfer>`
      select t.id, t.kind, t.debit, t.credit, t.amount, t.record, r.id as found_record,
        a.value as record_account, c.value as record_currency,
        d.kind as debit_kind, d.account_id as debit_account, d.currency as debit_currency,
        k.kind as credit_kind, k.account_id as credit_account, k.currency as credit_currency,
        g.amount as grant_amount, j.id as adjustment
      from transfer t left join usage_record r on r.id = t.record left join dimension a on a.id = r.account
        left join dimension c on c.id = r.currency left join ledger_account d on d.id = t.debit
        left join ledger_account k on k.id = t.credit left join credit_grant g on g.ledger_account = t.credit
        left join adjustment j on j.transfer = t.id
      where t.id > ${after} and t.id <= ${until} order by t.id limit ${limit}`)
  }

  /** Records of a quarter-hour whose charges do not sum to their cost. */
  chargeDifferences(bucket: number, limit: number): Promise<ChargeDifference[]> {
    const [low, high] = [CallIds.firstAt(bucket * rollupMs), CallIds.firstAt((bucket + 1) * rollupMs)]
    return this.#sql.read(sql<ChargeDifference>`
      select r.id, r.cost, coalesce(t.charged, 0) as charged from usage_record r left join (
        select record, sum(case kind when 'charge' then amount else -amount end) as charged from transfer
        where kind in ('charge', 'reprice') and record >= ${low} and record < ${high} group by record) t on t.record = r.id
      where r.id >= ${low} and r.id < ${high} and r.cost <> coalesce(t.charged, 0) order by r.id limit ${limit}`)
  }

  /** The first quarter-hour from this one on that has records or rollups. */
  async nextBucket(from: number): Promise<number | undefined> {
    const [row] = await this.#sql.read(sql<{ record: bigint | null; bucket: bigint | null }>`
      select (select min(id) from usage_record where id >= ${CallIds.firstAt(from * rollupMs)}) as record,
        (select min(bucket) from usage_rollup where bucket >= ${from}) as bucket`)
    const ofRecord = row?.record == null ? Infinity : Math.floor(CallIds.timeMs(row.record) / rollupMs)
    const next = Math.min(ofRecord, row?.bucket == null ? Infinity : Number(row.bucket))
    return Number.isFinite(next) ? next : undefined
  }

  /** Groups of a quarter-hour whose rollup is not the sum of its records. */
  async rollupDifferences(bucket: number, limit: number): Promise<RollupDifference[]> {
    const [low, high] = [CallIds.firstAt(bucket * rollupMs), CallIds.firstAt((bucket + 1) * rollupMs)]
    const rows = await this.#sql.read(sql<Record<string, bigint>>`
      select ${list(groupColumns)},
        sum(case when side = 1 then calls else 0 end) as record_calls,
        sum(case when side = 1 then cost else 0 end) as record_cost,
        sum(case when side = -1 then calls else 0 end) as rollup_calls,
        sum(case when side = -1 then cost else 0 end) as rollup_cost
      from (
        select 1 as side, account, caller, coalesce(api_key, 0) as api_key, server, method,
          coalesce(tool, 0) as tool, outcome, currency, 1 as calls,
          case when rule is null then 1 else 0 end as unpriced, cost, request_bytes, response_bytes,
          duration_us, 1 as timed
        from usage_record where id >= ${low} and id < ${high}
        union all
        select -1 as side, ${list(groupColumns)}, calls, unpriced, cost, request_bytes, response_bytes,
          duration_us, ${sql.raw(latencyColumns.join(' + '))} as timed
        from usage_rollup where bucket = ${bucket}
      ) both_sides
      group by ${list(groupColumns)}
      having ${sql.raw(summedColumns.map((name) => `sum(side * ${name}) <> 0`).join(' or '))}
      limit ${limit}`)
    return Promise.all(rows.map((row) => this.#named(row)))
  }

  async #named(row: Record<string, bigint>): Promise<RollupDifference> {
    const ids = groupColumns.map((column) => row[column] ?? 0n)
    const texts = await this.#sql.read(sql<{ id: bigint; value: string }>`
      select id, value from dimension where id in (${sql.join(ids)})`)
    const textOf = new Map(texts.map(({ id, value }) => [id, value]))
    const name = ids.filter((id) => id !== 0n).map((id) => textOf.get(id) ?? `dimension ${id}`)
    return { ...row, name: name.join(' ').replaceAll('\u001f', ':') } as unknown as RollupDifference
  }

  /** Balances after a ledger account, in the order of their ids. */
  balances({ after }: Stretch, limit: number): Promise<AuditedBalance[]> {
    return this.#sql.read(sql<AuditedBalance>`
      select b.ledger_account as id, l.kind, b.debits, b.credits
      from ledger_balance b left join ledger_account l on l.id = b.ledger_account
      where b.ledger_account > ${after} order by b.ledger_account limit ${limit}`)
  }

  /** These ledger accounts' balances beside the sums of their transfers, of one moment. Reads all transfers. */
  recheckBalances(ids: readonly bigint[]): Promise<RecheckedBalance[]> {
    const those = sql.join(ids)
    return this.#sql.read(sql<RecheckedBalance>`
      select l.id, l.kind, coalesce(b.debits, 0) as debits, coalesce(b.credits, 0) as credits,
        coalesce(d.total, 0) as sent, coalesce(c.total, 0) as received
      from ledger_account l left join ledger_balance b on b.ledger_account = l.id
        left join (select debit, sum(amount) as total from transfer where debit in (${those}) group by debit) d
          on d.debit = l.id
        left join (select credit, sum(amount) as total from transfer where credit in (${those}) group by credit) c
          on c.credit = l.id
      where l.id in (${those})`)
  }

  /** All debits and all credits of each currency. */
  balanceTotals(): Promise<{ currency: string; debits: bigint; credits: bigint }[]> {
    return this.#sql.read(sql<{ currency: string; debits: bigint; credits: bigint }>`
      select l.currency, sum(b.debits) as debits, sum(b.credits) as credits
      from ledger_balance b join ledger_account l on l.id = b.ledger_account group by l.currency order by l.currency`)
  }

  /** Grants after an id, oldest first. */
  grants(after: string, limit: number): Promise<AuditedGrant[]> {
    return this.#sql.read(sql<AuditedGrant>`
      select g.id, g.amount, coalesce(b.credits, 0) as received
      from credit_grant g left join ledger_balance b on b.ledger_account = g.ledger_account
      where g.id > ${after} order by g.id limit ${limit}`)
  }
}
