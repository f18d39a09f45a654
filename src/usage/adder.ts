// Adds usage up over any period: cuts it into stretches that have sums, and puts the answer together.
import { CallIds } from '../base/id.ts'
import type { CubeStore } from './cube-store.ts'
import { cubeFor, cutPeriod, StaleSpans, type Cube, type Piece } from './cubes.ts'
import { isRollupColumn, needsRecords, type UsageFilter } from './filter.ts'
import { isTimeUnit, type GroupName, type TimeKeys, type UsageGroups } from './groups.ts'
import { idsOfBuckets, type BucketRange, type IdRange, type UsageQueryStore } from './query-store.ts'
import { rollupMs } from './record.ts'
import type { RetentionStore } from './retention-store.ts'
import type { StretchPiece, SumQuery, SumRow, SumStore } from './sum-store.ts'
import { cutByTime, type TimeStretch } from './time-units.ts'

/** What questions about usage are answered from. */
export interface UsageStores {
  readonly records: UsageQueryStore
  readonly sums: SumStore
  readonly cubes: Pick<CubeStore, 'marks'>
  readonly retention: Pick<RetentionStore, 'droppedBeforeMs'>
}

interface AddOptions {
  readonly groupBy: readonly GroupName[]
  readonly timeZone: string
}

const lastId = 2n ** 63n - 1n
/** Beyond every id. */
const latestMs = Number.MAX_SAFE_INTEGER
export const lastBucket = Math.floor(CallIds.timeMs(lastId) / rollupMs)
/** Sums that went out of date while they were read are read again so often, and then from the rollups. */
const maxTries = 3

/** Ids of the records that a filter's times allow. */
export function idsOf({ fromMs, toMs, within }: UsageFilter): IdRange {
  const low = CallIds.firstAt(Math.max(fromMs ?? 0, within?.fromMs ?? 0))
  const high = CallIds.firstAt(Math.min(toMs ?? latestMs, within?.toMs ?? latestMs))
  return { low: min(low, lastId), high: min(high, lastId) }
}

/**
 * Whole quarter-hours come out of the longest sums that are up to date, what is left at the edges out of the records,
 * so that any period is exact; what sums do not tell apart (a session, a rule) comes out of
 * the records. Where records were dropped, a quarter-hour
 * belongs to the period that it begins in.
 */
export class Adder {
  readonly #stores: UsageStores

  constructor(stores: UsageStores) {
    this.#stores = stores
  }

  /** Adds what fits to the groups; returns the quarter-hour of the first call where the filter has no start. */
  async addAll(filter: UsageFilter, groups: UsageGroups, options: AddOptions): Promise<number | undefined> {
    const where = await this.#stores.records.resolve(filter)
    if (!where) return undefined
    const ids = await this.#stores.records.successIds()
    const success = ids.length > 0 ? ids : [0n]
    const query = { where, by: groups.columns, success, maxRows: groups.maxRows }
    const sum = new Sum(this.#stores, { filter, groups, query, ...options })
    return needsRecords(where) ? sum.addRecords(idsOf(filter)) : sum.addPeriod()
  }
}

interface SumParts extends AddOptions {
  readonly filter: UsageFilter
  readonly groups: UsageGroups
  readonly query: SumQuery
}

/** One summary. */
class Sum {
  readonly #stores: UsageStores
  readonly #parts: SumParts
  readonly #cube: Cube
  readonly #timeNames = new Map<bigint, TimeKeys>()

  constructor(stores: UsageStores, parts: SumParts) {
    this.#stores = stores
    this.#parts = parts
    const { where, by } = parts.query
    const asked = [...where.keys()].filter(isRollupColumn)
    this.#cube = cubeFor([...asked, ...by])
  }

  async addPeriod(): Promise<number | undefined> {
    const { filter } = this.#parts
    const { low, high } = idsOf(filter)
    const { fromMs, toMs } = filter
    const droppedMs = await this.#stores.retention.droppedBeforeMs()
    const first = fromMs === undefined ? 0 : Math.ceil(fromMs / rollupMs)
    const end = Math.min(lastBucket, toMs === undefined ? lastBucket : endBucket(toMs, droppedMs))
    if (first >= end) return this.addRecords({ low, high })
    const whole = idsOfBuckets({ first, end })
    const found = await Promise.all([
      fromMs === undefined || fromMs < droppedMs ? undefined : this.addRecords({ low, high: whole.low }),
      this.#addSums({ first, end }),
      toMs === undefined || toMs < droppedMs ? undefined : this.addRecords({ low: whole.high, high }),
    ])
    return fromMs === undefined ? found.find((each) => each !== undefined) : undefined
  }

  /** Adds single records; returns the quarter-hour of the first. */
  async addRecords({ low, high }: IdRange): Promise<number | undefined> {
    if (low >= high) return undefined
    const { query, groups, groupBy } = this.#parts
    const byTime = groupBy.some(isTimeUnit)
    const rows = await this.#stores.sums.recordSums({ low, high }, { ...query, byTime })
    await groups.add(rows, (row) => (byTime ? this.#timeNamesOf(row['stretch'] ?? 0n) : {}))
    return rows.length === 0 ? undefined : earliestOf(rows) * rollupMs
  }

  async #addSums(range: BucketRange): Promise<number | undefined> {
    const { sums, cubes } = this.#stores
    const { query, groups, filter } = this.#parts
    const span = await sums.span()
    const part = { first: Math.max(range.first, span?.first ?? 0), end: Math.min(range.end, span?.end ?? 0) }
    if (part.first >= part.end) return undefined
    const { stretches, numbers } = this.#stretches(part)
    let stale = new StaleSpans(await cubes.marks())
    for (let tries = 1; ; tries++) {
      const cube = tries < maxTries ? this.#cube : { ...this.#cube, spans: [] }
      const pieces = stretches.flatMap((stretch, index): StretchPiece[] =>
        cutPeriod(stretch, cube, stale).map((piece) => ({ ...piece, stretch: numbers[index] ?? 0 })),
      )
      const rows = await sums.sums(cube, joined(pieces), query)
      const after = new StaleSpans(await cubes.marks())
      if (after.touches(pieces)) {
        stale = after
        continue
      }
      const keys = new Map(numbers.map((number, index) => [BigInt(number), stretches[index]?.keys ?? {}]))
      await groups.add(rows, (row) => keys.get(row['stretch'] ?? 0n) ?? {})
      if (rows.length === 0 || filter.fromMs !== undefined) return undefined
      return (await this.#firstBucket(pieces, earliestOf(rows))) * rollupMs
    }
  }

  /** Where the local times begin that are asked for, and for each stretch the number of its names. */
  #stretches(range: BucketRange): { stretches: readonly TimeStretch[]; numbers: number[] } {
    const { groupBy, timeZone, groups } = this.#parts
    const units = groupBy.filter(isTimeUnit)
    if (units.length === 0) return { stretches: [{ ...range, keys: {} }], numbers: [0] }
    const stretches = cutByTime(range, { units, zone: timeZone, max: groups.maxRows })
    if (!stretches) throw groups.tooMany()
    const known = new Map<string, number>()
    const numbers = stretches.map(({ keys }) => {
      const name = JSON.stringify(keys)
      const number = known.get(name) ?? known.size
      known.set(name, number)
      return number
    })
    return { stretches, numbers }
  }

  /** The first quarter-hour within the sum that begins at `bucket`: looked for in ever shorter ones. */
  async #firstBucket(pieces: readonly Piece[], bucket: number): Promise<number> {
    const piece = pieces.find(({ first, end }) => first <= bucket && bucket < end)
    let [at, span] = [bucket, piece?.span ?? 0]
    const shorter = this.#cube.spans.filter((each) => each < span).toReversed()
    for (const next of [...shorter, 0]) {
      if (span <= 1) break
      const inside = { span: next, first: at, end: at + span }
      at = (await this.#stores.sums.firstBucket(this.#cube, inside, this.#parts.query.where)) ?? at
      span = next
    }
    return at
  }

  #timeNamesOf(bucket: bigint): TimeKeys {
    const known = this.#timeNames.get(bucket)
    if (known) return known
    const { groupBy, timeZone: zone } = this.#parts
    const at = { first: Number(bucket), end: Number(bucket) + 1 }
    const keys = cutByTime(at, { units: groupBy.filter(isTimeUnit), zone, max: 1 })?.[0]?.keys ?? {}
    this.#timeNames.set(bucket, keys)
    return keys
  }
}

/** Neighbours of one stretch and one length as one. */
function joined(pieces: readonly StretchPiece[]): StretchPiece[] {
  const found: StretchPiece[] = []
  for (const piece of pieces) {
    const last = found.at(-1)
    if (last && last.stretch === piece.stretch && last.span === piece.span && last.end === piece.first)
      found[found.length - 1] = { ...last, end: piece.end }
    else found.push(piece)
  }
  return found
}

/** Behind the last quarter-hour that belongs to a period as a whole. */
function endBucket(toMs: number, droppedMs: number): number {
  return toMs < droppedMs ? Math.ceil(toMs / rollupMs) : Math.floor(toMs / rollupMs)
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)

const earliestOf = (rows: readonly SumRow[]): number =>
  rows.reduce((earliest, row) => Math.min(earliest, Number(row['earliest'])), Infinity)
