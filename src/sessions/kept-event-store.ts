// The table of kept events, which outlives the process.
import type { HotRow, HotTable } from '../db/batch.ts'
import { HotBatch } from '../db/batch.ts'
import type { Compilable, Database } from '../db/database.ts'
import type { KeptEvent } from './kept-stream.ts'

interface Tables {
  kept_event: {
    session_id: string
    stream: string
    seq: bigint
    previous: bigint
    at: bigint
    request_id: string | null
    last: bigint
    frame: Uint8Array
  }
  session: { id: string; status: string }
}

/** Which event of which session; `requestId` is JSON. */
export interface KeptEventRow {
  readonly sessionId: string
  readonly stream: string
  readonly requestId: string | undefined
  readonly event: KeptEvent
}

/** Rows that are to go: all of a session, or those of a stream up to a number. */
export interface KeptEventsGone {
  readonly sessionId: string
  readonly stream?: string
  readonly through?: number
}

/** The session's own stream, of which the newest row stays: it says what a client must have read. */
export const ownStream = 'own'

const table: HotTable = {
  name: 'kept_event',
  mode: 'insert',
  keys: ['session_id', 'stream', 'seq'],
  columns: {
    session_id: 'text',
    stream: 'text',
    seq: 'integer',
    previous: 'integer',
    at: 'integer',
    request_id: 'text',
    last: 'integer',
    frame: 'blob',
  },
}

const toRow = ({ sessionId, stream, requestId, event }: KeptEventRow): HotRow => ({
  table,
  values: [
    sessionId,
    stream,
    event.seq,
    event.previous,
    event.atMs,
    requestId ?? null,
    event.last ? 1 : 0,
    event.frame,
  ],
})

export class KeptEventStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** All in one commit; one at a time. */
  insert(rows: readonly KeptEventRow[]): Promise<void> {
    return this.#db.commit(new HotBatch(rows.map(toRow)))
  }

  async delete(gone: readonly KeptEventsGone[]): Promise<void> {
    const statements = gone.map(({ sessionId, stream, through }): Compilable => {
      const query = this.#sql.deleteFrom('kept_event').where('session_id', '=', sessionId)
      if (stream === undefined) return query
      return query.where('stream', '=', stream).where('seq', '<=', BigInt(through ?? 0))
    })
    if (statements.length > 0) await this.#db.write(...statements)
  }

  /** Everything of a session, each stream in order. */
  async load(sessionId: string): Promise<KeptEventRow[]> {
    const query = this.#sql.selectFrom('kept_event').selectAll().where('session_id', '=', sessionId)
    const rows = await this.#db.read(query.orderBy('stream').orderBy('seq'))
    return rows.map((row) => ({
      sessionId,
      stream: row.stream,
      requestId: row.request_id ?? undefined,
      event: {
        seq: Number(row.seq),
        previous: Number(row.previous),
        frame: row.frame,
        atMs: Number(row.at),
        last: row.last === 1n,
      },
    }))
  }

  /** Ids of the sessions of which anything is kept. */
  async listSessions(): Promise<string[]> {
    const query = this.#sql.selectFrom('kept_event').select('session_id').distinct()
    return (await this.#db.read(query)).map((row) => row.session_id)
  }

  /** Removes what is older, and what belongs to sessions that have ended; reads the whole table. */
  async purge(beforeMs: number): Promise<void> {
    const sql = this.#sql
    const open = sql.selectFrom('session').select('id').where('status', 'not in', ['closed', 'expired'])
    await this.#db.write(
      sql.deleteFrom('kept_event').where('session_id', 'not in', open),
      sql
        .deleteFrom('kept_event')
        .where('at', '<', BigInt(beforeMs))
        .where((is) => {
          const newer = is
            .selectFrom('kept_event as newer')
            .select('newer.seq')
            .whereRef('newer.session_id', '=', 'kept_event.session_id')
            .whereRef('newer.stream', '=', 'kept_event.stream')
            .whereRef('newer.seq', '>', 'kept_event.seq')
          return is.or([is('stream', '!=', ownStream), is.exists(newer)])
        }),
    )
  }
}
