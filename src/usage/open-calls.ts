// The calls that have an id and no end yet: who follows the records by id learns here what may still come late.
import type { Clock } from '../base/clock.ts'
import { CallIds } from '../base/id.ts'

/** A commit that was reported as failed is on disk by now if it ever will be: a lost connection's server has ended it. */
const doubtMs = 60_000

/** What a reader of records may pass; see `OpenCalls.view`. */
export interface OpenView {
  /** Every id below it has its record, never will, or is in `passed`. */
  readonly bound: bigint
  /** Open ids below the bound, ascending. */
  readonly passed: readonly bigint[]
}

/**
 * Ids are given in order of arrival, records commit in any order. An id is open from its call until its record is
 * durable or never will be. Only this process's calls are known: each node has bits of its own in its ids, and a reader
 * that follows the records of several would have to ask each; today there is one node, number 0.
 */
export class OpenCalls {
  readonly #ids: CallIds
  readonly #clock: Clock
  /** Ascending, since ids are: the first is the oldest. */
  readonly #open = new Set<bigint>()
  readonly #doubtful: { readonly id: bigint; readonly atMs: number }[] = []

  constructor(ids: CallIds, clock: Clock) {
    this.#ids = ids
    this.#clock = clock
  }

  /** A new id, open until `close`. */
  open(): bigint {
    const id = this.#ids.next()
    this.#open.add(id)
    return id
  }

  /** The record of this id is durable, or there will be none. */
  close(id: bigint): void {
    this.#open.delete(id)
  }

  /** The commit of this id's record was reported as failed: it stays open until that is beyond doubt. */
  doubt(id: bigint): void {
    this.#doubtful.push({ id, atMs: this.#clock.monotonicMs() })
  }

  isOpen(id: bigint): boolean {
    this.#endDoubts()
    return this.#open.has(id)
  }

  /**
   * How far records can be read so that none is missed. Reads that begin after this call see every record below `bound`
   * but those of `passed`: at most `max` calls that have been open for `afterMs`, so that a long call holds up nobody.
   */
  view({ afterMs, max }: { readonly afterMs: number; readonly max: number }): OpenView {
    this.#endDoubts()
    const young = CallIds.firstAt(this.#clock.now() - afterMs)
    const passed: bigint[] = []
    for (const id of this.#open) {
      if (id >= young || passed.length >= max) return { bound: id, passed }
      passed.push(id)
    }
    return { bound: this.#ids.last + 1n, passed }
  }

  #endDoubts(): void {
    const before = this.#clock.monotonicMs() - doubtMs
    let ended = 0
    while ((this.#doubtful[ended]?.atMs ?? Infinity) <= before) ended++
    for (const { id } of this.#doubtful.splice(0, ended)) this.#open.delete(id)
  }
}
