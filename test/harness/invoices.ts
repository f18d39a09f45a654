// Invoices over a real store, for tests: the money of a harness, and what bills it.
import { buildInvoicing } from '../../src/assembly/invoicing.ts'
import type { InvoiceSettings } from '../../src/invoicing/invoices.ts'

export const invoiceSettings: InvoiceSettings = {
  numberFormat: 'INV-{year}-{seq:6}',
  creditNoteFormat: 'CN-{year}-{seq:6}',
  timeZone: 'UTC',
  dueDays: 14,
  tax: [],
  seller: {
    name: 'Maut GmbH',
    address: 'Brückenstraße 1\n10179 Berlin',
    country: 'DE',
    payment: 'IBAN DE00',
  },
}

type Parts = Omit<Parameters<typeof buildInvoicing>[0], 'settings'>

export const openInvoices = (money: Parts, settings: Partial<InvoiceSettings> = {}) =>
  buildInvoicing({
    db: money.db,
    clock: money.clock,
    ledger: money.ledger,
    rules: money.rules,
    queries: money.queries,
    settings: { ...invoiceSettings, ...settings },
  })
