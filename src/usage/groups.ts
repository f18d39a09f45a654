// The groups of one summary while it is added up: sums of cubes, rollups and single records fall into the same ones.
import { GatewayError } from '../base/errors.ts'
import { serverParts, type RollupColumn } from './filter.ts'
import type { UsageQueryStore } from './query-store.ts'
import type { SumRow } from './sum-store.ts'
import { addSum, emptySum, type UsageSum } from './summary.ts'
import { latencyColumns } from './tables.ts'
import { timeUnits, type TimeUnit } from './time-units.ts'

const columnOf = {
  server: 'server',
  tool: 'tool',
  method: 'method',
  user: 'caller',
  account: 'account',
  key: 'api_key',
  outcome: 'outcome',
  currency: 'currency',
} as const satisfies Record<string, RollupColumn>

/**
 * What usage can be grouped by. A server's group is its name; the units of time are local to the summary's zone, and a
 * week goes by its Monday.
 */
export type GroupName = keyof typeof columnOf | TimeUnit
const dimensionNames = Object.keys(columnOf) as (keyof typeof columnOf)[]
export const groupNames: readonly GroupName[] = [...dimensionNames, ...timeUnits.toReversed()]

export interface UsageGroup {
  /** A text for each name that was asked for; null where the call had none (a method that is no tool). */
  readonly keys: Readonly<Partial<Record<GroupName, string | null>>>
  readonly sum: UsageSum
}

export interface GroupOptions {
  readonly groupBy: readonly GroupName[]
  readonly maxGroups: number
}

/** The names of a row's local times. */
export type TimeKeys = Readonly<Partial<Record<TimeUnit, string>>>

export const isTimeUnit = (name: GroupName): name is TimeUnit =>
  (timeUnits as readonly string[]).includes(name)

export class UsageGroups {
  /** Columns that sums have to be told apart by, besides the currency. */
  readonly columns: readonly RollupColumn[]
  readonly #store: UsageQueryStore
  readonly #options: GroupOptions
  readonly #groups = new Map<string, UsageGroup>()

  constructor(store: UsageQueryStore, options: GroupOptions) {
    this.#store = store
    this.#options = options
    const columns = options.groupBy.flatMap((name) => (isTimeUnit(name) ? [] : [columnOf[name]]))
    this.columns = [...new Set(columns)].filter((column) => column !== 'currency')
  }

  /** Rows that can at most be read for the groups: one text may have a few integers. */
  get maxRows(): number {
    return 4 * this.#options.maxGroups + 100
  }

  /** Sorted by their keys, then by currency. */
  list(): UsageGroup[] {
    return [...this.#groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
  }

  /** Throws GatewayError `unprocessable` where there are more groups than the limit. */
  async add(rows: readonly SumRow[], timeKeysOf: (row: SumRow) => TimeKeys): Promise<void> {
    if (rows.length >= this.maxRows) throw this.tooMany()
    const columns = [...this.columns, 'currency'] as const
    const ids = rows.flatMap((row) => columns.map((column) => row[column] ?? 0n).filter((id) => id !== 0n))
    const texts = await this.#store.texts(ids)
    for (const row of rows) {
      const keys = this.#keysOf(row, timeKeysOf(row), texts)
      const currency = texts.get(row['currency'] ?? 0n) ?? ''
      addSum(this.#groupOf(keys, currency).sum, toSum(row, currency))
    }
  }

  tooMany(): GatewayError {
    const detail = `The summary would have more than ${this.#options.maxGroups} groups; choose a shorter period or fewer groups.`
    return new GatewayError('unprocessable', { detail })
  }

  #keysOf(row: SumRow, times: TimeKeys, texts: ReadonlyMap<bigint, string>): UsageGroup['keys'] {
    const keys: Partial<Record<GroupName, string | null>> = {}
    for (const name of this.#options.groupBy) {
      if (isTimeUnit(name)) keys[name] = times[name] ?? null
      else {
        const text = texts.get(row[columnOf[name]] ?? 0n) ?? null
        keys[name] = name === 'server' && text !== null ? serverParts(text).server : text
      }
    }
    return keys
  }

  #groupOf(keys: UsageGroup['keys'], currency: string): UsageGroup {
    const name = JSON.stringify([...Object.values(keys), currency])
    const known = this.#groups.get(name)
    if (known) return known
    const { maxGroups, groupBy } = this.#options
    if (this.#groups.size >= maxGroups && groupBy.length > 0) throw this.tooMany()
    const group = { keys, sum: emptySum(currency) }
    this.#groups.set(name, group)
    return group
  }
}

const toSum = (row: SumRow, currency: string): UsageSum => ({
  currency,
  calls: Number(row['calls']),
  failed: Number(row['failed']),
  unpriced: Number(row['unpriced']),
  cost: row['cost'] ?? 0n,
  requestBytes: Number(row['request_bytes']),
  responseBytes: Number(row['response_bytes']),
  durationUs: Number(row['duration_us']),
  latency: latencyColumns.map((name) => Number(row[name])),
})
