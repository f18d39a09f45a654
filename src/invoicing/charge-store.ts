// What an invoice reads of usage and ledger: sums of calls by what a bill tells apart, and what grants paid of them.
import { sql } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Period } from '../base/zone.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import { serverParts } from '../usage/filter.ts'
import type { UsageQueryStore } from '../usage/query-store.ts'
import { emptyCallSum, keyOf, type CallSum, type LineSubject } from './lines.ts'

export interface SubjectSum {
  readonly subject: LineSubject
  readonly sum: CallSum
}

/** The calls of a period: of each subject, all together, and what grants paid of them. */
export interface PeriodCharges {
  readonly subjects: ReadonlyMap<string, SubjectSum>
  readonly total: CallSum
  readonly applied: bigint
}

interface ChargeRow {
  /** 0: a group of records; 1: what grants paid. */
  readonly part: bigint
  readonly server: bigint
  readonly method: bigint
  readonly tool: bigint
  readonly rule: bigint
  readonly version: bigint
  readonly calls: bigint
  readonly charged: bigint
  readonly cost: bigint
}

const dayMs = 86_400_000
const lastId = 2n ** 63n - 1n

export class ChargeStore {
  readonly #sql: PlainSql
  readonly #usage: UsageQueryStore

  constructor(db: Database, usage: UsageQueryStore) {
    this.#sql = new PlainSql(db)
    this.#usage = usage
  }

  /** Reads a period of an account in one statement, so that records and charges are of one state of the store. */
  async charges(account: { id: string; currency: string }, period: Period): Promise<PeriodCharges> {
    const where = await this.#usage.resolve({ account: account.id, currency: account.currency })
    const [accounts, currencies] = [where?.get('account'), where?.get('currency')]
    if (!accounts || !currencies) return { subjects: new Map(), total: emptyCallSum, applied: 0n }
    const low = CallIds.firstAt(period.startMs)
    const high = min(CallIds.firstAt(period.endMs), lastId)
    // A charge is made at the end of its call; a clock that was set back may put it a little before.
    const earliest = CallIds.firstAt(period.startMs - dayMs)
    const query = sql<ChargeRow>`
      select 0 as part, server, method, coalesce(tool, 0) as tool, coalesce(rule, 0) as rule,
        coalesce(rule_version, 0) as version, count(*) as calls,
        sum(case when cost <> 0 then 1 else 0 end) as charged, sum(cost) as cost
      from usage_record
      where account in (${sql.join(accounts)}) and currency in (${sql.join(currencies)}) and id >= ${low} and id < ${high}
      group by server, method, coalesce(tool, 0), coalesce(rule, 0), coalesce(rule_version, 0)
      union all
      select 1, 0, 0, 0, 0, 0, count(*), 0, coalesce(sum(t.amount), 0)
      from transfer t join ledger_account l on l.id = t.debit
      where l.account_id = ${account.id} and l.kind = 'grant' and t.kind = 'charge' and t.id >= ${earliest}
        and t.record >= ${low} and t.record < ${high}`
    return this.#fold(await this.#sql.read(query))
  }

  async #fold(rows: readonly ChargeRow[]): Promise<PeriodCharges> {
    const groups = rows.filter(({ part }) => part === 0n)
    const ids = groups.flatMap(({ server, method, tool, rule }) => [server, method, tool, rule])
    const texts = await this.#usage.texts(ids.filter((id) => id !== 0n))
    const subjects = new Map<string, SubjectSum>()
    let total = emptyCallSum
    // The newest text of a server comes last, so that its newest name stays.
    for (const row of groups.toSorted((a, b) => Number(a.server - b.server))) {
      const subject = subjectOf(row, texts)
      const sum = { calls: Number(row.calls), charged: Number(row.charged), amount: row.cost }
      const key = keyOf(subject)
      subjects.set(key, { subject, sum: addCalls(subjects.get(key)?.sum ?? emptyCallSum, sum) })
      total = addCalls(total, sum)
    }
    const applied = rows.find(({ part }) => part === 1n)?.cost ?? 0n
    return { subjects, total, applied }
  }
}

const addCalls = (a: CallSum, b: CallSum): CallSum => ({
  calls: a.calls + b.calls,
  charged: a.charged + b.charged,
  amount: a.amount + b.amount,
})

function subjectOf(row: ChargeRow, texts: ReadonlyMap<bigint, string>): LineSubject {
  return {
    ...serverParts(texts.get(row.server) ?? ''),
    method: texts.get(row.method) ?? '',
    tool: texts.get(row.tool) ?? null,
    ruleId: texts.get(row.rule) ?? null,
    ruleVersion: row.version === 0n ? null : Number(row.version),
  }
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)
