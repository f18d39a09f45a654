// Events on their way out: written in the transaction of what they tell of, read and removed when they are dealt out.
import type { HotRow, HotTable } from '../db/batch.ts'
import type { Compilable, Database } from '../db/database.ts'
import type { OutboxEvent } from './event.ts'
import type { EventKind } from './webhook.ts'

export interface EventTables {
  outbox_event: { id: string; kind: EventKind; account: string; body: string; at: bigint }
}

const eventTable: HotTable = {
  name: 'outbox_event',
  mode: 'once',
  keys: ['id'],
  columns: { id: 'text', kind: 'text', account: 'text', body: 'text', at: 'integer' },
}

/** An event as a row of a hot batch. */
export const outboxRow = ({ id, kind, accountId, body, atMs }: OutboxEvent): HotRow => ({
  table: eventTable,
  values: [id, kind, accountId ?? '', JSON.stringify(body), atMs],
})

/**
 * A queue, not a log: rows are taken in any order and removed in the transaction that makes their deliveries. So an
 * event that commits late is not missed, as a cursor on time or on an id would.
 */
export class OutboxEventStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<EventTables>()
  }

  /** The statement that writes an event; it belongs into the transaction of the change. */
  add({ id, kind, accountId, body, atMs }: OutboxEvent): Compilable {
    return this.#sql.insertInto('outbox_event').values({
      id,
      kind,
      account: accountId ?? '',
      body: JSON.stringify(body),
      at: BigInt(atMs),
    })
  }

  remove(ids: readonly string[]): Compilable {
    return this.#sql.deleteFrom('outbox_event').where('id', 'in', ids)
  }

  async oldest(limit: number): Promise<OutboxEvent[]> {
    const query = this.#sql.selectFrom('outbox_event').selectAll().orderBy('at').orderBy('id').limit(limit)
    return (await this.#db.read(query)).map(({ id, kind, account, body, at }) => ({
      id,
      kind,
      body: JSON.parse(body) as Record<string, unknown>,
      atMs: Number(at),
      ...(account !== '' && { accountId: account }),
    }))
  }
}
