// The groups of one summary while it is added up: rollups and single records fall into the same ones.
import { GatewayError } from '../base/errors.ts'
import { CallIds } from '../base/id.ts'
import { localDate, localHour } from '../base/zone.ts'
import { serverParts, type RollupColumn } from './filter.ts'
import type { RecordRow, RollupSum, UsageQueryStore } from './query-store.ts'
import { latencyBucket, rollupMs } from './record.ts'
import { addSum, emptySum, type UsageSum } from './summary.ts'
import { latencyColumns } from './tables.ts'

const columnOf = {
  server: 'server',
  tool: 'tool',
  method: 'method',
  user: 'caller',
  account: 'account',
  key: 'api_key',
  outcome: 'outcome',
  currency: 'currency',
  day: 'bucket',
  hour: 'bucket',
} as const satisfies Record<string, RollupColumn | 'bucket'>

/** What usage can be grouped by. A server's group is its name; `day` and `hour` are local to the summary's zone. */
export type GroupName = keyof typeof columnOf
export const groupNames = Object.keys(columnOf) as [GroupName, ...GroupName[]]

export interface UsageGroup {
  /** A text for each name that was asked for; null where the call had none (a method that is no tool). */
  readonly keys: Readonly<Partial<Record<GroupName, string | null>>>
  readonly sum: UsageSum
}

export interface GroupOptions {
  readonly groupBy: readonly GroupName[]
  readonly timeZone: string
  readonly maxGroups: number
}

export class UsageGroups {
  /** Columns that rollups have to be told apart by. */
  readonly columns: readonly (RollupColumn | 'bucket')[]
  readonly #store: UsageQueryStore
  readonly #options: GroupOptions
  readonly #groups = new Map<string, UsageGroup>()
  /** Local days and hours by quarter-hour. */
  readonly #times = new Map<string, string>()
  #earliest = Infinity

  constructor(store: UsageQueryStore, options: GroupOptions) {
    this.#store = store
    this.#options = options
    this.columns = [
      ...new Set([...options.groupBy.map((name) => columnOf[name]), 'outcome', 'currency'] as const),
    ]
  }

  /** The quarter-hour of the first call, in milliseconds. */
  get earliestMs(): number | undefined {
    return Number.isFinite(this.#earliest) ? this.#earliest * rollupMs : undefined
  }

  /** Sorted by their keys, then by currency. */
  list(): UsageGroup[] {
    return [...this.#groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
  }

  async addRollups(rows: readonly RollupSum[]): Promise<void> {
    await this.#add(rows, (row, text) => {
      const calls = Number(row['calls'])
      return {
        bucket: Number(row['earliest']),
        sum: {
          currency: text(row['currency']),
          calls,
          failed: text(row['outcome']) === 'success' ? 0 : calls,
          unpriced: Number(row['unpriced']),
          cost: row['cost'] ?? 0n,
          requestBytes: Number(row['request_bytes']),
          responseBytes: Number(row['response_bytes']),
          durationUs: Number(row['duration_us']),
          latency: latencyColumns.map((name) => Number(row[name])),
        },
      }
    })
  }

  async addRecords(rows: readonly RecordRow[]): Promise<void> {
    await this.#add(rows, (row, text) => {
      const sum = emptySum(text(row.currency))
      const durationUs = Number(row.duration_us)
      sum.latency[latencyBucket(durationUs)] = 1
      return {
        bucket: Math.floor(CallIds.timeMs(row.id) / rollupMs),
        sum: {
          ...sum,
          calls: 1,
          failed: text(row.outcome) === 'success' ? 0 : 1,
          unpriced: row.rule === null ? 1 : 0,
          cost: row.cost,
          requestBytes: Number(row.request_bytes),
          responseBytes: Number(row.response_bytes),
          durationUs,
        },
      }
    })
  }

  async #add<Row extends RollupSum | RecordRow>(
    rows: readonly Row[],
    read: (row: Row, text: (id: bigint | undefined) => string) => { bucket: number; sum: UsageSum },
  ): Promise<void> {
    const columns = this.columns.filter((column) => column !== 'bucket')
    const texts = await this.#store.texts(
      rows.flatMap((row) => columns.map((column) => row[column] ?? 0n).filter((id) => id !== 0n)),
    )
    const text = (id: bigint | undefined): string => texts.get(id ?? 0n) ?? ''
    for (const row of rows) {
      const { bucket, sum } = read(row, text)
      this.#earliest = Math.min(this.#earliest, bucket)
      addSum(this.#groupOf(this.#keysOf(row, bucket, texts), sum.currency).sum, sum)
    }
  }

  #keysOf(
    row: RollupSum | RecordRow,
    bucket: number,
    texts: ReadonlyMap<bigint, string>,
  ): Partial<Record<GroupName, string | null>> {
    const keys: Partial<Record<GroupName, string | null>> = {}
    for (const name of this.#options.groupBy) {
      const column = columnOf[name]
      if (column === 'bucket') keys[name] = this.#timeOf(name, bucket)
      else {
        const text = texts.get(row[column] ?? 0n) ?? null
        keys[name] = name === 'server' && text !== null ? serverParts(text).server : text
      }
    }
    return keys
  }

  #timeOf(name: GroupName, bucket: number): string {
    const key = `${name} ${bucket}`
    const known = this.#times.get(key)
    if (known !== undefined) return known
    const time = (name === 'day' ? localDate : localHour)(bucket * rollupMs, this.#options.timeZone)
    this.#times.set(key, time)
    return time
  }

  #groupOf(keys: UsageGroup['keys'], currency: string): UsageGroup {
    const name = JSON.stringify([...Object.values(keys), currency])
    const known = this.#groups.get(name)
    if (known) return known
    const { maxGroups, groupBy } = this.#options
    if (this.#groups.size >= maxGroups && groupBy.length > 0) {
      const detail = `The summary would have more than ${maxGroups} groups; choose a shorter period or fewer groups.`
      throw new GatewayError('unprocessable', { detail })
    }
    const group = { keys, sum: emptySum(currency) }
    this.#groups.set(name, group)
    return group
  }
}
