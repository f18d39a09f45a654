// Builds what an audit reads: records, sums, ledger and budgets, and the documents that were issued.
import { AuditStore } from '../billing/store.ts'
import type { VerifyOptions } from '../billing/verify.ts'
import type { Database } from '../db/database.ts'
import { InvoiceAuditStore } from '../invoicing/audit-store.ts'
import { checkDocuments } from '../invoicing/audit.ts'

export type Audited = Pick<VerifyOptions, 'store' | 'checkDocuments'>

export function buildAudit(db: Database): Audited {
  const documents = new InvoiceAuditStore(db)
  return {
    store: new AuditStore(db),
    checkDocuments: (tell, signal) => checkDocuments(documents, tell, signal),
  }
}
