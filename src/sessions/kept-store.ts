// The answers kept for the idempotency keys of calls.
import type { HotRow, HotTable } from '../db/batch.ts'
import type { Database } from '../db/database.ts'

interface Tables {
  kept_answer: {
    account_id: string
    key: string
    fingerprint: string
    record: bigint
    status: bigint
    answer: Uint8Array | null
  }
}

/** The final answer of a call that came with an idempotency key. */
export interface KeptAnswer {
  readonly accountId: string
  readonly key: string
  readonly fingerprint: string
  readonly record: bigint
  readonly status: number
  /** Null where the answer was too large to keep. */
  readonly bytes: Uint8Array | null
}

/** Deleted in one commit: records of calls wait behind it. */
const answersAtOnce = 100

const keptTable: HotTable = {
  name: 'kept_answer',
  mode: 'insert',
  keys: ['account_id', 'key'],
  columns: {
    account_id: 'text',
    key: 'text',
    fingerprint: 'text',
    record: 'integer',
    status: 'integer',
    answer: 'blob',
  },
}

/** The row that keeps an answer; commits with the record of its call. */
export const keptRow = (kept: KeptAnswer): HotRow => ({
  table: keptTable,
  values: [kept.accountId, kept.key, kept.fingerprint, kept.record, kept.status, kept.bytes],
})

export class KeptAnswerStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async findKept(accountId: string, key: string): Promise<KeptAnswer | undefined> {
    const query = this.#sql
      .selectFrom('kept_answer')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('key', '=', key)
    const [row] = await this.#db.read(query)
    if (!row) return undefined
    const { fingerprint, record, answer } = row
    return { accountId, key, fingerprint, record, status: Number(row.status), bytes: answer }
  }

  /** Forgets the answers of records below this id, a few at a time. */
  async dropBefore(record: bigint): Promise<void> {
    for (;;) {
      const query = this.#sql
        .selectFrom('kept_answer')
        .select('record')
        .where('record', '<', record)
        .orderBy('record')
        .limit(answersAtOnce)
      const last = (await this.#db.read(query)).at(-1)
      if (!last) return
      await this.#db.write(this.#sql.deleteFrom('kept_answer').where('record', '<=', last.record))
    }
  }
}
