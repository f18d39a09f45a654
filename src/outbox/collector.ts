// Turns usage records into deliveries of one webhook: behind a durable cursor that misses no call, however late it ends.
import type { Clock } from '../base/clock.ts'
import type { OpenCalls } from '../usage/open-calls.ts'
import type { UsageQueries } from '../usage/queries.ts'
import type { UsageRecord } from '../usage/record.ts'
import { callDeliveries } from './messages.ts'
import type { WebhookStore } from './store.ts'
import type { Position, Webhook } from './webhook.ts'

export interface CollectorParts {
  readonly store: Pick<WebhookStore, 'advance'>
  readonly queries: Pick<UsageQueries, 'recordsWithin' | 'findRecord'>
  readonly openCalls: Pick<OpenCalls, 'view' | 'openOf'>
  readonly clock: Clock
  /** URL of the gateway. */
  readonly source: () => string
}

/** A call that runs longer is passed by the cursor and waited for by name, so that others are not held up. */
const passAfterMs = 2000
const maxPassed = 500
const pageRecords = 200

/** Where a webhook that is made now begins: with the calls that have not ended. */
export function positionNow({ view }: { view: ReturnType<OpenCalls['view']> }): Position {
  return { cursor: view.bound - 1n, waiting: view.passed }
}

export const viewNow = (openCalls: Pick<OpenCalls, 'view'>): ReturnType<OpenCalls['view']> =>
  openCalls.view({ afterMs: passAfterMs, max: maxPassed })

/**
 * Invariant: every record up to the cursor is a delivery, or its id is among `waiting`. Deliveries and position commit
 * together. After a crash no id of `waiting` is open: each has its record by now or never will.
 */
export class Collector {
  readonly #parts: CollectorParts
  readonly #webhook: Webhook
  #position: Position
  /** Since when calls wait for their batch to be full. */
  #waitingSinceMs: number | undefined

  constructor(webhook: Webhook, position: Position, parts: CollectorParts) {
    this.#webhook = webhook
    this.#position = position
    this.#parts = parts
  }

  get position(): Position {
    return this.#position
  }

  /** Takes one page. `again`: there may be more at once; `waitMs`: when a batch that is not full goes anyway. */
  async collect(): Promise<{ readonly again: boolean; readonly waitMs?: number }> {
    const { store, openCalls, source } = this.#parts
    const { batch } = this.#webhook
    const limit = Math.max(batch?.maxEvents ?? 0, pageRecords)
    // First what is open, then what is stored: a call that ends in between is in both, never in neither.
    const view = viewNow(openCalls)
    const page = await this.#readPage(view.bound, limit)
    const late = await this.#readLate(limit)
    const records = [...late.records, ...page]
    const waitMs = this.#waitForMore(records.length)
    if (waitMs > 0) return { again: false, waitMs }
    this.#waitingSinceMs = undefined
    if (page.length === 0 && late.ended.size === 0) return { again: false }
    const next = this.#advanced(page, { ended: late.ended, passed: view.passed })
    await store.advance(this.#webhook.id, callDeliveries(this.#webhook, records, source()), next)
    this.#position = next
    return { again: page.length === limit || late.ended.size === limit }
  }

  #readPage(bound: bigint, limit: number): Promise<UsageRecord[]> {
    const low = this.#position.cursor + 1n
    return low < bound ? this.#parts.queries.recordsWithin({ low, high: bound }, limit) : Promise.resolve([])
  }

  /** Calls that the cursor passed and that have ended since, with those of their records that there are. */
  async #readLate(limit: number): Promise<{ ended: ReadonlySet<bigint>; records: UsageRecord[] }> {
    const { openCalls, queries } = this.#parts
    const { waiting } = this.#position
    const open = openCalls.openOf(waiting)
    const ended = new Set(waiting.filter((id) => !open.has(id)).slice(0, limit))
    const records: UsageRecord[] = []
    for (const id of ended) {
      const record = await queries.findRecord(id)
      if (record) records.push(record)
    }
    return { ended, records }
  }

  #advanced(
    page: readonly UsageRecord[],
    { ended, passed }: { ended: ReadonlySet<bigint>; passed: readonly bigint[] },
  ): Position {
    const cursor = page.at(-1)?.id ?? this.#position.cursor
    const read = new Set(page.map(({ id }) => id))
    const skipped = passed.filter((id) => id > this.#position.cursor && id < cursor && !read.has(id))
    return { cursor, waiting: [...this.#position.waiting.filter((id) => !ended.has(id)), ...skipped] }
  }

  #waitForMore(count: number): number {
    const { batch } = this.#webhook
    if (!batch || count === 0 || count >= batch.maxEvents) return 0
    const now = this.#parts.clock.monotonicMs()
    this.#waitingSinceMs ??= now
    return Math.max(0, this.#waitingSinceMs + batch.maxMs - now)
  }
}
