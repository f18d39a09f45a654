// Questions about usage: records by filter, one record, sums by group over any period, and a month's cost so far.
import type { Clock } from '../base/clock.ts'
import { CallIds } from '../base/id.ts'
import { monthOf } from '../base/zone.ts'
import { Adder, idsOf, lastBucket, type UsageStores } from './adder.ts'
import type { UsageFilter, Where } from './filter.ts'
import { UsageGroups, type GroupName, type UsageGroup } from './groups.ts'
import type { BucketRange, IdRange, RecordRow, UsageQueryStore } from './query-store.ts'
import { idsOfBuckets } from './query-store.ts'
import { toRecord } from './read-record.ts'
import { rollupMs, type UsageRecord } from './record.ts'
import { addSum, emptySum, totalsOf, type UsageSum, type UsageTotals } from './summary.ts'

export interface UsageSummary extends UsageTotals {
  /** Where the filter has no start: the quarter-hour of the first call. */
  readonly periodStartMs: number
  readonly periodEndMs: number
  readonly groups: readonly UsageGroup[]
}

export interface SummaryOptions {
  readonly groupBy: readonly GroupName[]
  /** IANA zone of the groups `month`, `week`, `day` and `hour`. */
  readonly timeZone: string
  /** Named where nothing was found. */
  readonly currency?: string
}

export interface QueryLimits {
  /** Groups that one summary may have. */
  readonly maxGroups: number
  /** Rows that are read at once. */
  readonly pageRows: number
}

const defaultQueryLimits: QueryLimits = { maxGroups: 10_000, pageRows: 2000 }

const bucketsAtOnce = 200

export class UsageQueries {
  readonly #store: UsageQueryStore
  readonly #clock: Clock
  readonly #limits: QueryLimits
  readonly #adder: Adder

  constructor(stores: UsageStores, options: { clock: Clock; limits?: Partial<QueryLimits> }) {
    this.#store = stores.records
    this.#adder = new Adder(stores)
    this.#clock = options.clock
    this.#limits = { ...defaultQueryLimits, ...options.limits }
  }

  /** Records newest first, at most `limit` of those older than the record `before`. */
  async listRecords(
    filter: UsageFilter,
    page: { readonly before?: bigint; readonly limit: number },
  ): Promise<UsageRecord[]> {
    const where = await this.#store.resolve(filter)
    if (!where) return []
    const { low, high } = idsOf(filter)
    const range = { low, high: page.before !== undefined && page.before < high ? page.before : high }
    // An index gives these in order; anything else is looked for only where the rollups say that it is.
    const ordered = where.size === 0 || where.has('session') || (where.size === 1 && where.has('account'))
    const rows = ordered
      ? await this.#store.newest(where, range, page.limit)
      : await this.#newestByRollups(where, range, page.limit)
    return this.#toRecords(rows)
  }

  /** All matching records, oldest first, in pages; what arrives meanwhile may or may not be among them. */
  async *eachPage(filter: UsageFilter): AsyncGenerator<UsageRecord[]> {
    const where = await this.#store.resolve(filter)
    if (!where) return
    const { pageRows } = this.#limits
    const { low, high } = idsOf(filter)
    for (let next = low; next < high;) {
      const rows = await this.#store.oldest(where, { low: next, high }, pageRows)
      if (rows.length > 0) yield await this.#toRecords(rows)
      const last = rows.at(-1)
      if (!last || rows.length < pageRows) return
      next = last.id + 1n
    }
  }

  /** At most `limit` records with ids of this range, oldest first. */
  async recordsWithin(range: IdRange, limit: number): Promise<UsageRecord[]> {
    return this.#toRecords(await this.#store.oldest(new Map(), range, limit))
  }

  async findRecord(id: bigint): Promise<UsageRecord | undefined> {
    const row = await this.#store.findRecord(id)
    return row && (await this.#toRecords([row]))[0]
  }

  /**
   * Sums over the matching records; see `Adder`.
   * Throws GatewayError `unprocessable` where there are more groups than the limit.
   */
  async summarise(filter: UsageFilter, options: SummaryOptions): Promise<UsageSummary> {
    const groups = new UsageGroups(this.#store, { ...options, maxGroups: this.#limits.maxGroups })
    const earliestMs = await this.#adder.addAll(filter, groups, options)
    const nowMs = this.#clock.now()
    return {
      periodStartMs: filter.fromMs ?? earliestMs ?? filter.toMs ?? nowMs,
      periodEndMs: filter.toMs ?? nowMs,
      ...totalsOf(sumsByCurrency(groups.list()), filter.currency ?? options.currency),
      groups: options.groupBy.length === 0 ? [] : groups.list(),
    }
  }

  /** What an account's calls of the current calendar month in its time zone have cost so far, in nano-units. */
  async currentCost(account: {
    readonly id: string
    readonly currency: string
    readonly timeZone: string
  }): Promise<{ cost: bigint; startMs: number; endMs: number }> {
    const { startMs, endMs } = monthOf(this.#clock.now(), account.timeZone)
    const groups = new UsageGroups(this.#store, { groupBy: [], maxGroups: 1 })
    const filter = { account: account.id, currency: account.currency, fromMs: startMs, toMs: endMs }
    await this.#adder.addAll(filter, groups, { groupBy: [], timeZone: account.timeZone })
    return { cost: groups.list()[0]?.sum.cost ?? 0n, startMs, endMs }
  }

  /** Rare matches are not searched for among all records: the rollups name the quarter-hours that have them. */
  async #newestByRollups(where: Where, range: IdRange, limit: number): Promise<RecordRow[]> {
    const found: RecordRow[] = []
    const first = bucketOf(range.low)
    let end = Math.min(lastBucket, bucketOf(range.high - 1n) + 1)
    while (found.length < limit && first < end) {
      const busy = await this.#store.busyBuckets(where, { first, end }, bucketsAtOnce)
      if (busy.length === 0) break
      while (busy.length > 0 && found.length < limit) {
        const run = takeRun(busy, limit - found.length)
        const ids = idsOfBuckets(run)
        const part = { low: max(ids.low, range.low), high: min(ids.high, range.high) }
        found.push(...(await this.#store.newest(where, part, limit - found.length)))
        end = run.first
      }
    }
    return found
  }

  async #toRecords(rows: readonly RecordRow[]): Promise<UsageRecord[]> {
    const texts = await this.#store.texts(rows.flatMap(dimensionsOf))
    return rows.map((row) => toRecord(row, texts))
  }
}

const bucketOf = (id: bigint): number => Math.floor(CallIds.timeMs(id) / rollupMs)
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)

/** Takes adjoining buckets off the front until they hold `calls`. */
function takeRun(busy: { bucket: number; calls: number }[], calls: number): BucketRange {
  const newest = busy[0]?.bucket ?? 0
  let first = newest + 1
  let held = 0
  while (busy[0]?.bucket === first - 1 && held < calls) {
    held += busy[0].calls
    first = busy.shift()?.bucket ?? first
  }
  return { first, end: newest + 1 }
}

function dimensionsOf(row: RecordRow): bigint[] {
  const { account, caller, server, method, client, route, outcome, currency } = row
  const optional = [row.api_key, row.session, row.tool, row.rule].filter((id) => id !== null)
  return [account, caller, server, method, client, route, outcome, currency, ...optional]
}

function sumsByCurrency(groups: readonly UsageGroup[]): UsageSum[] {
  const sums = new Map<string, UsageSum>()
  for (const { sum } of groups) {
    const known = sums.get(sum.currency) ?? emptySum(sum.currency)
    sums.set(sum.currency, known)
    addSum(known, sum)
  }
  return [...sums.values()].sort((a, b) => (a.currency < b.currency ? -1 : 1))
}
