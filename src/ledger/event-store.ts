// The table of billing events: append-only, written with the record that caused them or on their own.
import { HotBatch, type HotRow, type HotTable } from '../db/batch.ts'
import type { Database } from '../db/database.ts'
import type { BillingEvent, BillingEventKind } from './event.ts'

interface Tables {
  billing_event: { id: string; kind: BillingEventKind; account: string; body: string; at: bigint }
}

const eventTable: HotTable = {
  name: 'billing_event',
  mode: 'once',
  keys: ['id'],
  columns: { id: 'text', kind: 'text', account: 'text', body: 'text', at: 'integer' },
}

/** An event as a row of a hot batch. */
export const eventRow = ({ id, kind, accountId, body, atMs }: BillingEvent): HotRow => ({
  table: eventTable,
  values: [id, kind, accountId ?? '', JSON.stringify(body), atMs],
})

/** Where a page of events goes on: before this one, newest first. */
export interface EventPosition {
  readonly atMs: number
  readonly id: string
}

export class EventStore {
  readonly #db: Database
  readonly #sql

  readonly #announce: (event: BillingEvent) => HotRow[]

  /** `announce` makes rows for those who are told of events; they commit with the event. */
  constructor(db: Database, announce: (event: BillingEvent) => HotRow[] = () => []) {
    this.#db = db
    this.#sql = db.builder<Tables>()
    this.#announce = announce
  }

  /** Writes events that belong to no call. One that is there already stays as it is. */
  async record(events: readonly BillingEvent[]): Promise<void> {
    if (events.length === 0) return
    await this.#db.commit(
      new HotBatch(events.flatMap((event) => [eventRow(event), ...this.#announce(event)])),
    )
  }

  /** Newest first; of one account, or of all where none is named. */
  async list(page: { limit: number; before?: EventPosition; accountId?: string }): Promise<BillingEvent[]> {
    let query = this.#sql.selectFrom('billing_event').selectAll()
    if (page.accountId !== undefined) query = query.where('account', '=', page.accountId)
    const { before } = page
    if (before) {
      const at = BigInt(before.atMs)
      query = query.where((e) => e.or([e('at', '<', at), e.and([e('at', '=', at), e('id', '<', before.id)])]))
    }
    const rows = await this.#db.read(query.orderBy('at', 'desc').orderBy('id', 'desc').limit(page.limit))
    return rows.map(({ id, kind, account, body, at }) => ({
      id,
      kind,
      body: JSON.parse(body) as Record<string, unknown>,
      atMs: Number(at),
      ...(account !== '' && { accountId: account }),
    }))
  }
}
