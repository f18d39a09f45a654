// The shapes of invoices and credit notes: the document as it is kept, and the state around it.

/** draft → finalized → paid | void | uncollectible; never back. */
export const invoiceStates = ['draft', 'finalized', 'paid', 'void', 'uncollectible'] as const
export type InvoiceState = (typeof invoiceStates)[number]

/** Who sends or pays an invoice; empty members are left out of the document. */
export interface Party {
  readonly name?: string
  /** Lines separated by line feeds. */
  readonly address?: string
  /** ISO 3166 alpha-2. */
  readonly country?: string
  readonly taxId?: string
  readonly email?: string
}

/** The seller, with how to pay. */
export interface Seller extends Party {
  readonly payment?: string
}

export interface DocumentPeriod {
  /** ISO 8601 in UTC; `end` is the first instant after the period. */
  readonly start: string
  readonly end: string
}

/**
 * A line. Amounts are decimal strings: `exactAmount` with up to 9 decimals, `amount` with the currency's. `late` lines
 * bill what an earlier invoice's period has got since; `summary` lines bill calls that are no longer kept one by one.
 */
export interface InvoiceLine {
  readonly position: number
  readonly kind: 'usage' | 'late' | 'summary'
  readonly description: string
  /** The price and what else a reader may ask for. */
  readonly detail?: string
  readonly period: DocumentPeriod
  readonly server?: string
  readonly serverId?: string
  readonly method?: string
  readonly tool?: string
  readonly ruleId?: string
  readonly ruleVersion?: number
  /** Calls that cost something. */
  readonly quantity: number
  /** Calls that cost nothing. */
  readonly freeCalls: number
  /** Where the line is quantity × unit price and nothing else. */
  readonly unitPrice?: string
  readonly exactAmount: string
  readonly amount: string
  /** Path and query of the calls behind the line. */
  readonly usage?: string
  /** What earlier invoices billed of the calls behind the line; it is not in the line's amounts. */
  readonly alreadyBilled?: { readonly calls: number; readonly exactAmount: string }
}

export interface TaxLine {
  readonly name: string
  /** A fraction: "0.19" is 19 %. */
  readonly rate: string
  readonly base: string
  readonly amount: string
}

/** The document. Its JSON text is what the SHA-256 covers. */
export interface InvoiceContent {
  readonly invoiceId: string
  readonly number?: string
  readonly issuedAt?: string
  readonly dueAt?: string
  readonly currency: string
  readonly period: DocumentPeriod
  readonly timeZone: string
  readonly seller: Seller
  readonly customer: Party & { readonly accountId: string; readonly accountName: string }
  readonly lines: readonly InvoiceLine[]
  readonly exactTotal: string
  readonly subtotal: string
  readonly taxes: readonly TaxLine[]
  readonly total: string
  /** What grants have paid already. */
  readonly appliedCredit: string
  readonly exactAppliedCredit: string
  readonly amountDue: string
}

export interface Invoice {
  readonly id: string
  readonly accountId: string
  readonly status: InvoiceState
  readonly currency: string
  readonly periodStartMs: number
  readonly periodEndMs: number
  readonly dueDays: number
  readonly number?: string
  /** Nano-units, as `amountDue`; rounded at the currency's exponent. */
  readonly total: bigint
  /** What was due when it was made, before credit notes. */
  readonly amountDue: bigint
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly finalizedAtMs?: number
  readonly dueAtMs?: number
  /** When it was paid, voided or given up. */
  readonly closedAtMs?: number
  /** Of the payment, or why it was voided or given up. */
  readonly reference?: string
}

/** An invoice with its document: the text as it is kept, and its SHA-256 (hex) once it is final. */
export interface FullInvoice extends Invoice {
  readonly contentText: string
  readonly content: InvoiceContent
  readonly contentHash?: string
}

export interface CreditNoteContent {
  readonly creditNoteId: string
  readonly number: string
  readonly invoiceId: string
  readonly invoiceNumber: string
  readonly issuedAt: string
  readonly currency: string
  readonly seller: Seller
  readonly customer: InvoiceContent['customer']
  readonly reason: string
  /** Lines of the invoice that it credits; none where it credits an amount. */
  readonly lines: readonly {
    readonly position: number
    readonly description: string
    readonly amount: string
  }[]
  readonly net: string
  readonly tax: string
  readonly total: string
}

/** Nano-units: `offDue` is what less is due of the net, `offDebt` what the ledger's debt fell by, `granted` the credit. */
export interface CreditNote {
  readonly id: string
  readonly invoiceId: string
  readonly number: string
  readonly content: CreditNoteContent
  readonly contentHash: string
  readonly net: bigint
  readonly tax: bigint
  readonly offDue: bigint
  readonly offDebt: bigint
  readonly granted: bigint
  readonly createdAtMs: number
}
