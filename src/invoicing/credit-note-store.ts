// The table of credit notes; rows are only ever added.
import type { Compilable, Database } from '../db/database.ts'
import type { CreditNote, CreditNoteContent } from './invoice.ts'

interface Tables {
  credit_note: {
    id: string
    invoice_id: string
    number: string
    content: string
    content_hash: string
    net: bigint
    tax: bigint
    off_due: bigint
    off_debt: bigint
    granted: bigint
    created_at: bigint
  }
}

export class CreditNoteStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** The credit notes of these invoices, oldest first. */
  async list(invoiceIds: readonly string[]): Promise<CreditNote[]> {
    if (invoiceIds.length === 0) return []
    const query = this.#sql.selectFrom('credit_note').selectAll().where('invoice_id', 'in', invoiceIds)
    return (await this.#db.read(query.orderBy('created_at').orderBy('number'))).map((row) => ({
      id: row.id,
      invoiceId: row.invoice_id,
      number: row.number,
      content: JSON.parse(row.content) as CreditNoteContent,
      contentHash: row.content_hash,
      net: row.net,
      tax: row.tax,
      offDue: row.off_due,
      offDebt: row.off_debt,
      granted: row.granted,
      createdAtMs: Number(row.created_at),
    }))
  }

  /** The statement that adds one; `contentText` is what its hash covers. */
  add(note: CreditNote, contentText: string): Compilable {
    const { id, invoiceId, number, contentHash, net, tax, offDue, offDebt, granted, createdAtMs } = note
    return this.#sql.insertInto('credit_note').values({
      id,
      invoice_id: invoiceId,
      number,
      content: contentText,
      content_hash: contentHash,
      net,
      tax,
      off_due: offDue,
      off_debt: offDebt,
      granted,
      created_at: BigInt(createdAtMs),
    })
  }
}
