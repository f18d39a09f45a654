// Tables of invoicing/: invoices with what they billed, credit notes, their numbers, and who is billed.
import type { Migration } from '../migration.ts'

/**
 * `content` is the document as JSON, `content_hash` its SHA-256 once the document is final. An event's number within its
 * account is taken once, so that two changes of one account's invoices never cross; a document's number likewise.
 */
export const invoicingTables: Migration = {
  name: '0016-invoicing',
  statements: ({ integer, strict }) => [
    `CREATE TABLE billing_profile (
      account_id TEXT PRIMARY KEY REFERENCES account(id), name TEXT, address TEXT, country TEXT, tax_id TEXT, email TEXT,
      updated_at ${integer} NOT NULL)${strict}`,
    `CREATE TABLE invoice (
      id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES account(id), status TEXT NOT NULL, currency TEXT NOT NULL,
      period_start ${integer} NOT NULL, period_end ${integer} NOT NULL, due_days ${integer} NOT NULL,
      number TEXT, content TEXT NOT NULL, content_hash TEXT, total ${integer} NOT NULL, amount_due ${integer} NOT NULL,
      created_at ${integer} NOT NULL, updated_at ${integer} NOT NULL, finalized_at ${integer}, due_at ${integer},
      closed_at ${integer}, reference TEXT)${strict}`,
    `CREATE INDEX invoice_account ON invoice (account_id, id)`,
    `CREATE TABLE invoice_line (
      invoice_id TEXT NOT NULL REFERENCES invoice(id), position ${integer} NOT NULL, period_start ${integer} NOT NULL,
      period_end ${integer} NOT NULL, line_key TEXT NOT NULL, calls ${integer} NOT NULL, charged ${integer} NOT NULL,
      amount ${integer} NOT NULL, PRIMARY KEY (invoice_id, position))${strict}`,
    `CREATE TABLE invoice_period (
      invoice_id TEXT NOT NULL REFERENCES invoice(id), period_start ${integer} NOT NULL, period_end ${integer} NOT NULL,
      calls ${integer} NOT NULL, amount ${integer} NOT NULL, applied ${integer} NOT NULL,
      PRIMARY KEY (invoice_id, period_start, period_end))${strict}`,
    `CREATE TABLE credit_note (
      id TEXT PRIMARY KEY, invoice_id TEXT NOT NULL REFERENCES invoice(id), number TEXT NOT NULL, content TEXT NOT NULL,
      content_hash TEXT NOT NULL, net ${integer} NOT NULL, tax ${integer} NOT NULL, off_due ${integer} NOT NULL,
      off_debt ${integer} NOT NULL, granted ${integer} NOT NULL, created_at ${integer} NOT NULL)${strict}`,
    `CREATE INDEX credit_note_invoice ON credit_note (invoice_id, id)`,
    `CREATE TABLE document_number (
      kind TEXT NOT NULL, year ${integer} NOT NULL, seq ${integer} NOT NULL, number TEXT NOT NULL UNIQUE,
      document_id TEXT NOT NULL UNIQUE, at ${integer} NOT NULL, PRIMARY KEY (kind, year, seq))${strict}`,
    `CREATE TABLE invoice_event (
      account_id TEXT NOT NULL REFERENCES account(id), seq ${integer} NOT NULL, invoice_id TEXT NOT NULL, kind TEXT NOT NULL,
      actor TEXT NOT NULL, at ${integer} NOT NULL, note TEXT, PRIMARY KEY (account_id, seq))${strict}`,
    `CREATE INDEX invoice_event_invoice ON invoice_event (invoice_id, seq)`,
  ],
}
