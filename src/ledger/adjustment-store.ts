// Corrections of accounts: their transfers and why they were made, in one commit.
import { HotBatch, type HotTable } from '../db/batch.ts'
import type { Database } from '../db/database.ts'
import type { Transfer } from './account.ts'
import { transferRows } from './transfer-store.ts'

interface Tables {
  adjustment: { transfer: bigint; id: string; reason: string; created_by: string }
}

/** Why an account was corrected, and by which user. One adjustment may take several transfers. */
export interface AdjustmentNote {
  readonly id: string
  readonly reason: string
  readonly createdBy: string
}

const adjustmentTable: HotTable = {
  name: 'adjustment',
  mode: 'insert',
  keys: ['transfer'],
  columns: { transfer: 'integer', id: 'text', reason: 'text', created_by: 'text' },
}

export class AdjustmentStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async add(transfers: readonly Transfer[], { id, reason, createdBy }: AdjustmentNote): Promise<void> {
    const rows = transfers.map((transfer) => ({
      table: adjustmentTable,
      values: [transfer.id, id, reason, createdBy],
    }))
    await this.#db.commit(new HotBatch([...transferRows(transfers), ...rows]))
  }

  /** The notes of those of these transfers that are adjustments. */
  async notes(transfers: readonly Transfer[]): Promise<ReadonlyMap<bigint, AdjustmentNote>> {
    const ids = transfers.filter(({ kind }) => kind === 'adjustment').map(({ id }) => id)
    if (ids.length === 0) return new Map()
    const rows = await this.#db.read(
      this.#sql.selectFrom('adjustment').selectAll().where('transfer', 'in', ids),
    )
    return new Map(
      rows.map(({ transfer, id, reason, created_by: createdBy }) => [transfer, { id, reason, createdBy }]),
    )
  }
}
