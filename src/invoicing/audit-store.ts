// What an audit reads of final invoices and credit notes. Each method is one statement, so it sees one state of the store.
import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'

export interface AuditedDocument {
  readonly id: string
  readonly number: string | null
  /** The document's text as it is kept. */
  readonly content: string
  readonly hash: string | null
  /** What an invoice billed of its periods, in nano-units; undefined for a credit note. */
  readonly billed?: bigint
}

export class InvoiceAuditStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** Documents after an id, in the order of their ids; drafts are none. */
  async documents(
    kind: 'invoice' | 'credit-note',
    { after, limit }: { after: string; limit: number },
  ): Promise<AuditedDocument[]> {
    if (kind === 'credit-note')
      return this.#sql.read(sql<AuditedDocument>`
        select id, number, content, content_hash as hash from credit_note
        where id > ${after} order by id limit ${limit}`)
    return this.#sql.read(sql<AuditedDocument>`
      select i.id, i.number, i.content, i.content_hash as hash,
        (select coalesce(sum(p.amount), 0) from invoice_period p where p.invoice_id = i.id) as billed
      from invoice i where i.id > ${after} and i.finalized_at is not null order by i.id limit ${limit}`)
  }

  /** How many numbers each series gave, and how many lie between its first and its last. */
  async numbers(): Promise<{ kind: string; year: number; given: number; span: number }[]> {
    const rows = await this.#sql.read(sql<{ kind: string; year: bigint; given: bigint; span: bigint }>`
      select kind, year, count(*) as given, max(seq) - min(seq) + 1 as span
      from document_number group by kind, year order by kind, year`)
    return rows.map(({ kind, year, given, span }) => ({
      kind,
      year: Number(year),
      given: Number(given),
      span: Number(span),
    }))
  }

  /** Numbers whose document is not there, or has another number. */
  lostNumbers(limit: number): Promise<{ number: string; documentId: string }[]> {
    return this.#sql.read(sql<{ number: string; documentId: string }>`
      select d.number, d.document_id as "documentId" from document_number d
      where not exists (select 1 from invoice i where i.id = d.document_id and i.number = d.number)
        and not exists (select 1 from credit_note c where c.id = d.document_id and c.number = d.number)
      order by d.number limit ${limit}`)
  }
}
