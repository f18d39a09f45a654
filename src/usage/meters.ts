// What was counted of each price that goes by the quantities of a period: in memory, and written with the records.
import type { GatewayError } from '../base/errors.ts'
import type { HotRow } from './store.ts'
import { meterTable } from './tables.ts'

/** Whose quantities of which rule and period are counted together. */
export interface MeterKey {
  readonly ruleId: string
  /** What is counted; a rule whose next version counts something else begins anew. */
  readonly unit: string
  /** The id of the account, key or session. */
  readonly subject: string
  readonly periodMs: number
}

/** One count. Quantities are in base units: calls, bytes, microseconds, tokens, nano-units. */
export class Meter {
  readonly key: MeterKey
  /** Undefined until the first call of the period was charged. */
  counted: bigint | undefined
  /** What calls on their way may count at most. */
  ahead = 0n
  /** Calls on their way; `cover` makes sure that one can be paid wherever it comes. */
  readonly flight = new Set<{ cover(): GatewayError | undefined }>()
  /** What each of them is held for at least, where all count the same. */
  level = 0n

  constructor(key: MeterKey, counted: bigint | undefined) {
    this.key = key
    this.counted = counted
  }
}

/** What a settled call counts; a row of the batch that its record is in. */
export interface MeterCount {
  readonly meter: MeterKey
  readonly quantity: bigint
}

export interface StoredMeter extends MeterKey {
  readonly quantity: bigint
}

/** The longest period, and as much again for calls that take their time. */
const keptMs = 2 * 32 * 86_400_000
const minPruneSize = 1000

/**
 * The counts of this node. A settled charge counts at once and is durable with its record; after a failed commit
 * `load` brings back what the store has.
 */
export class Meters {
  /** By subject, so that one can be forgotten. */
  readonly #meters = new Map<string, Map<string, Meter>>()
  #size = 0
  #pruneSize = minPruneSize

  /** Replaces what was counted by what is stored. Calls in flight keep their meters. */
  load(stored: readonly StoredMeter[]): void {
    for (const meters of this.#meters.values()) for (const meter of meters.values()) meter.counted = undefined
    for (const { quantity, ...key } of stored) this.of(key).counted = quantity
  }

  of(key: MeterKey): Meter {
    const name = `${key.periodMs} ${key.unit} ${key.ruleId}`
    const ofSubject = this.#meters.get(key.subject)
    const known = ofSubject?.get(name)
    if (known) return known
    const meter = new Meter(key, undefined)
    if (ofSubject) ofSubject.set(name, meter)
    else this.#meters.set(key.subject, new Map([[name, meter]]))
    if (++this.#size > this.#pruneSize) this.#prune(key.periodMs)
    return meter
  }

  get size(): number {
    return this.#size
  }

  /** A session has ended: nothing more will be begun in it. What still runs there counts to the end. */
  forget(subject: string): void {
    this.#size -= this.#meters.get(subject)?.size ?? 0
    this.#meters.delete(subject)
  }

  /** Counts a charged call: from here on others pay what comes after it. */
  count(meter: Meter, quantity: bigint): MeterCount {
    meter.counted = (meter.counted ?? 0n) + quantity
    return { meter: meter.key, quantity }
  }

  /** Periods that nothing can fall into any more leave. */
  #prune(nowMs: number): void {
    for (const [subject, meters] of this.#meters) {
      for (const [name, { key, ahead }] of meters)
        if (ahead === 0n && key.periodMs < nowMs - keptMs && meters.delete(name)) this.#size--
      if (meters.size === 0) this.#meters.delete(subject)
    }
    this.#pruneSize = Math.max(minPruneSize, 2 * this.#size)
  }
}

/** The earliest start of a period that a call may still fall into. */
export const oldestPeriodMs = (nowMs: number): number => nowMs - keptMs

/** The rows of a batch's counts, one for each meter. */
export function meterRows(counts: readonly MeterCount[]): HotRow[] {
  const sums = new Map<MeterKey, bigint>()
  for (const { meter, quantity } of counts) sums.set(meter, (sums.get(meter) ?? 0n) + quantity)
  return [...sums].map(([{ ruleId, unit, subject, periodMs }, quantity]) => ({
    table: meterTable,
    values: [ruleId, unit, subject, periodMs, quantity],
  }))
}
