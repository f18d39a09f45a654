// The calls that have an id and no end yet: who follows the records by id learns here what may still come late.
import type { Clock } from '../base/clock.ts'
import { CallIds } from '../base/id.ts'
import { LinkedList, type ListNode } from '../base/linked-list.ts'

/** A commit that was reported as failed is on disk by now if it ever will be: a lost connection's server has ended it. */
const doubtMs = 60_000

/** One call that is open; what `close` and `doubt` take. */
export interface OpenCall {
  readonly id: bigint
  readonly place: ListNode<bigint>
}

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
  readonly #open = new LinkedList<bigint>()
  readonly #doubtful: { readonly call: OpenCall; readonly atMs: number }[] = []

  constructor(ids: CallIds, clock: Clock) {
    this.#ids = ids
    this.#clock = clock
  }

  /** A new id, open until `close`. */
  open(): OpenCall {
    const id = this.#ids.next()
    return { id, place: this.#open.add(id) }
  }

  /** The call's record is durable, or there will be none. */
  close({ place }: OpenCall): void {
    this.#open.remove(place)
  }

  /** The commit of the call's record was reported as failed: it stays open until that is beyond doubt. */
  doubt(call: OpenCall): void {
    this.#doubtful.push({ call, atMs: this.#clock.monotonicMs() })
  }

  /** Those of these ids that are open. */
  openOf(ids: readonly bigint[]): Set<bigint> {
    this.#endDoubts()
    const open = new Set(this.#open)
    return new Set(ids.filter((id) => open.has(id)))
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
    for (const { call } of this.#doubtful.splice(0, ended)) this.close(call)
  }
}
