// The table of payloads: sealed, each with the time at which it goes.
import { formatCallId } from '../base/id.ts'
import { HotBatch, type HotRow, type HotTable } from '../db/batch.ts'
import type { Compilable, Database } from '../db/database.ts'
import type { SealedColumn } from '../db/sealed-column.ts'
import type { KeptPayload, Payload } from './payload.ts'

interface Tables {
  payload: { id: string; server_id: string; expires_at: bigint; sealed: string }
}

interface Sealer {
  seal(plaintext: string, context: string): string
  open(sealed: string, context: string): string
}

const table: HotTable = {
  name: 'payload',
  mode: 'once',
  keys: ['id'],
  columns: { id: 'text', server_id: 'text', expires_at: 'integer', sealed: 'text' },
}

/** Deleted in one commit: records of calls wait behind it. */
const atOnce = 200

const contextOf = (id: string): string => `payload:${id}`

export const payloadTexts: SealedColumn = {
  holds: 'payloads of calls',
  table: 'payload',
  column: 'sealed',
  id: ['id'],
  contextOf: ({ id = '' }) => contextOf(id),
}

export class PayloadStore {
  readonly #db: Database
  readonly #sql
  readonly #sealer: Sealer

  constructor(db: Database, sealer: Sealer) {
    this.#db = db
    this.#sql = db.builder<Tables>()
    this.#sealer = sealer
  }

  /** All in one commit; one at a time. */
  insert(payloads: readonly KeptPayload[]): Promise<void> {
    return this.#db.commit(new HotBatch(payloads.map((each) => this.#rowOf(each))))
  }

  #rowOf({ id, serverId, expiresAtMs, payload }: KeptPayload): HotRow {
    const text = formatCallId(id)
    return {
      table,
      values: [text, serverId, expiresAtMs, this.#sealer.seal(JSON.stringify(payload), contextOf(text))],
    }
  }

  /** Undefined where none was kept, or where its time is over at `nowMs`. */
  async find(id: bigint, nowMs: number): Promise<(Payload & { readonly expiresAtMs: number }) | undefined> {
    const text = formatCallId(id)
    const query = this.#sql.selectFrom('payload').select(['expires_at', 'sealed']).where('id', '=', text)
    const [row] = await this.#db.read(query)
    if (!row || Number(row.expires_at) <= nowMs) return undefined
    const payload = JSON.parse(this.#sealer.open(row.sealed, contextOf(text))) as Payload
    return { ...payload, expiresAtMs: Number(row.expires_at) }
  }

  /** Deletes those whose time is over; resolves with how many went. */
  deleteExpired(nowMs: number, signal?: AbortSignal): Promise<number> {
    const query = this.#sql.selectFrom('payload').select('id').where('expires_at', '<=', BigInt(nowMs))
    return this.#delete(query.orderBy('expires_at').limit(atOnce), signal)
  }

  /** Deletes those of records below this id. */
  deleteBefore(record: bigint): Promise<number> {
    const query = this.#sql.selectFrom('payload').select('id').where('id', '<', formatCallId(record))
    return this.#delete(query.orderBy('id').limit(atOnce))
  }

  deleteOf(serverId: string): Promise<number> {
    const query = this.#sql.selectFrom('payload').select('id').where('server_id', '=', serverId)
    return this.#delete(query.limit(atOnce))
  }

  /** A few at a time, so that no call waits long. */
  async #delete(due: Compilable<{ id: string }>, signal?: AbortSignal): Promise<number> {
    let deleted = 0
    for (;;) {
      if (signal?.aborted) break
      const ids = (await this.#db.read(due)).map(({ id }) => id)
      if (ids.length === 0) break
      await this.#db.write(this.#sql.deleteFrom('payload').where('id', 'in', ids))
      deleted += ids.length
    }
    return deleted
  }
}
