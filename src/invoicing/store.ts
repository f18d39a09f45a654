// The tables of invoices: reading them, and the statements that change them, which commit together or not at all.
import { sql } from 'kysely'
import type { Compilable, Database } from '../db/database.ts'
import type { FullInvoice, Invoice, InvoiceContent, InvoiceState } from './invoice.ts'
import type { CallSum } from './lines.ts'

export type { Compilable } from '../db/database.ts'

interface InvoiceRow {
  id: string
  account_id: string
  status: InvoiceState
  currency: string
  period_start: bigint
  period_end: bigint
  due_days: bigint
  number: string | null
  content: string
  content_hash: string | null
  total: bigint
  amount_due: bigint
  created_at: bigint
  updated_at: bigint
  finalized_at: bigint | null
  due_at: bigint | null
  closed_at: bigint | null
  reference: string | null
}

interface Tables {
  invoice: InvoiceRow
  invoice_line: {
    invoice_id: string
    position: bigint
    period_start: bigint
    period_end: bigint
    line_key: string
    calls: bigint
    charged: bigint
    amount: bigint
  }
  invoice_period: {
    invoice_id: string
    period_start: bigint
    period_end: bigint
    calls: bigint
    amount: bigint
    applied: bigint
  }
  document_number: {
    kind: string
    year: bigint
    seq: bigint
    number: string
    document_id: string
    at: bigint
  }
  invoice_event: {
    account_id: string
    seq: bigint
    invoice_id: string
    kind: string
    actor: string
    at: bigint
    note: string | null
  }
}

/** Invoices that stand: what they billed is billed. */
const standing = ['finalized', 'paid', 'uncollectible'] as const

/** What standing invoices billed of one period. */
export interface BilledPeriod {
  readonly startMs: number
  readonly endMs: number
  readonly calls: number
  readonly amount: bigint
  readonly applied: bigint
}

/** `isOwned`: one of them is the invoice of this period itself; else it was billed as late calls alone. */
export interface StandingPeriod extends BilledPeriod {
  readonly isOwned: boolean
}

export interface BilledLine extends CallSum {
  readonly position: number
  readonly startMs: number
  readonly endMs: number
  readonly key: string
}

export interface InvoiceEvent {
  readonly accountId: string
  readonly seq: number
  readonly invoiceId: string
  readonly kind: string
  readonly actor: string
  readonly atMs: number
  readonly note?: string
}

/** Makes statements for those who are told of events; they commit with the event. */
export type Announce = (event: InvoiceEvent, facts: Readonly<Record<string, string>>) => Compilable[]

export interface NumberedDocument {
  readonly kind: 'invoice' | 'credit-note'
  readonly year: number
  readonly seq: number
  readonly number: string
  readonly documentId: string
  readonly atMs: number
}

export interface InvoiceFilter {
  readonly account?: string
  readonly status?: InvoiceState
  readonly withoutDrafts?: boolean
}

export class InvoiceStore {
  readonly #db: Database
  readonly #sql

  readonly #announce: Announce

  constructor(db: Database, announce: Announce = () => []) {
    this.#db = db
    this.#sql = db.builder<Tables>()
    this.#announce = announce
  }

  /** Commits all or nothing; rejects with `conflict` where an event or a number was taken meanwhile. */
  async write(...statements: Compilable[]): Promise<void> {
    await this.#db.write(...statements)
  }

  async find(id: string): Promise<FullInvoice | undefined> {
    const [row] = await this.#db.read(this.#sql.selectFrom('invoice').selectAll().where('id', '=', id))
    return row && toFullInvoice(row)
  }

  /** Newest first, at most `limit` of those older than `before`. */
  async list(filter: InvoiceFilter, page: { limit: number; before: string | undefined }): Promise<Invoice[]> {
    let query = this.#sql.selectFrom('invoice').selectAll()
    if (filter.account !== undefined) query = query.where('account_id', '=', filter.account)
    if (filter.status !== undefined) query = query.where('status', '=', filter.status)
    if (filter.withoutDrafts) query = query.where('status', '<>', 'draft')
    if (page.before !== undefined) query = query.where('id', '<', page.before)
    return (await this.#db.read(query.orderBy('id', 'desc').limit(page.limit))).map(toInvoice)
  }

  /** An invoice that is not void and whose period shares an instant with this one. */
  async findOverlap(
    accountId: string,
    period: { startMs: number; endMs: number },
  ): Promise<Invoice | undefined> {
    const query = this.#sql
      .selectFrom('invoice')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('status', '<>', 'void')
      .where('period_start', '<', BigInt(period.endMs))
      .where('period_end', '>', BigInt(period.startMs))
    const [row] = await this.#db.read(query.limit(1))
    return row && toInvoice(row)
  }

  /** Where the last invoice that is not void and ends before this time ends. */
  async findLastEnd(accountId: string, beforeMs: number): Promise<number | undefined> {
    const query = this.#sql
      .selectFrom('invoice')
      .select((e) => e.fn.max('period_end').as('end'))
      .where('account_id', '=', accountId)
      .where('status', '<>', 'void')
      .where('period_end', '<', BigInt(beforeMs))
    const [row] = (await this.#db.read(query)) as { end: bigint | null }[]
    return row?.end == null ? undefined : Number(row.end)
  }

  /** All periods that standing invoices of the account billed, with what they billed of each. */
  async billedPeriods(accountId: string): Promise<StandingPeriod[]> {
    const query = this.#sql
      .selectFrom('invoice_period as p')
      .innerJoin('invoice as i', 'i.id', 'p.invoice_id')
      .select((e) => [
        'p.period_start',
        'p.period_end',
        e.fn.sum<bigint>('p.calls').as('calls'),
        e.fn.sum<bigint>('p.amount').as('amount'),
        e.fn.sum<bigint>('p.applied').as('applied'),
        sql<bigint>`sum(case when i.period_start = p.period_start and i.period_end = p.period_end then 1 else 0 end)`.as(
          'owners',
        ),
      ])
      .where('i.account_id', '=', accountId)
      .where('i.status', 'in', standing)
      .groupBy(['p.period_start', 'p.period_end'])
      .orderBy('p.period_start')
    return (await this.#db.read(query)).map((row) => ({
      startMs: Number(row.period_start),
      endMs: Number(row.period_end),
      calls: Number(row.calls),
      amount: row.amount,
      applied: row.applied,
      isOwned: row.owners > 0n,
    }))
  }

  /** What standing invoices billed of one period, by line key. */
  async billedLines(
    accountId: string,
    period: { startMs: number; endMs: number },
  ): Promise<Map<string, CallSum>> {
    const query = this.#sql
      .selectFrom('invoice_line as l')
      .innerJoin('invoice as i', 'i.id', 'l.invoice_id')
      .select((e) => [
        'l.line_key',
        e.fn.sum<bigint>('l.calls').as('calls'),
        e.fn.sum<bigint>('l.charged').as('charged'),
        e.fn.sum<bigint>('l.amount').as('amount'),
      ])
      .where('i.account_id', '=', accountId)
      .where('i.status', 'in', standing)
      .where('l.period_start', '=', BigInt(period.startMs))
      .where('l.period_end', '=', BigInt(period.endMs))
      .groupBy('l.line_key')
    const rows = await this.#db.read(query)
    return new Map(
      rows.map(({ line_key, calls, charged, amount }) => [
        line_key,
        { calls: Number(calls), charged: Number(charged), amount },
      ]),
    )
  }

  async lastEvent(accountId: string): Promise<number> {
    const query = this.#sql.selectFrom('invoice_event').select((e) => e.fn.max('seq').as('seq'))
    const [row] = await this.#db.read(query.where('account_id', '=', accountId))
    return Number(row?.seq ?? 0)
  }

  async listEvents(invoiceId: string): Promise<InvoiceEvent[]> {
    const query = this.#sql.selectFrom('invoice_event').selectAll().where('invoice_id', '=', invoiceId)
    return (await this.#db.read(query.orderBy('seq'))).map((row) => ({
      accountId: row.account_id,
      seq: Number(row.seq),
      invoiceId: row.invoice_id,
      kind: row.kind,
      actor: row.actor,
      atMs: Number(row.at),
      ...(row.note !== null && { note: row.note }),
    }))
  }

  /** The last number given out in a series; 0 where there is none. */
  async lastNumber(kind: NumberedDocument['kind'], year: number): Promise<number> {
    const query = this.#sql.selectFrom('document_number').select((e) => e.fn.max('seq').as('seq'))
    const [row] = await this.#db.read(query.where('kind', '=', kind).where('year', '=', BigInt(year)))
    return Number(row?.seq ?? 0)
  }

  async isNumberTaken(number: string): Promise<boolean> {
    const query = this.#sql.selectFrom('document_number').select('seq').where('number', '=', number)
    return (await this.#db.read(query)).length > 0
  }

  /** `facts` of the invoice are for those who are told. */
  addEvent(event: InvoiceEvent, facts: Readonly<Record<string, string>> = {}): Compilable[] {
    const { accountId, seq, invoiceId, kind, actor, atMs, note } = event
    const insert = this.#sql.insertInto('invoice_event').values({
      account_id: accountId,
      seq: BigInt(seq),
      invoice_id: invoiceId,
      kind,
      actor,
      at: BigInt(atMs),
      note: note ?? null,
    })
    return [insert, ...this.#announce(event, facts)]
  }

  addNumber({ kind, year, seq, number, documentId, atMs }: NumberedDocument): Compilable {
    return this.#sql.insertInto('document_number').values({
      kind,
      year: BigInt(year),
      seq: BigInt(seq),
      number,
      document_id: documentId,
      at: BigInt(atMs),
    })
  }

  add(invoice: FullInvoice): Compilable {
    return this.#sql.insertInto('invoice').values(toRow(invoice))
  }

  /** Writes everything of an invoice that may change. */
  change(invoice: FullInvoice): Compilable {
    const { id, account_id, created_at, ...rest } = toRow(invoice)
    return this.#sql
      .updateTable('invoice')
      .set(rest)
      .where('id', '=', id)
      .where('account_id', '=', account_id)
      .where('created_at', '=', created_at)
  }

  remove(id: string): Compilable {
    return this.#sql.deleteFrom('invoice').where('id', '=', id).where('status', '=', 'draft')
  }

  /** What a finalized invoice billed, for those that come after it. */
  addBilled(
    invoiceId: string,
    { lines, periods }: { lines: readonly BilledLine[]; periods: readonly BilledPeriod[] },
  ): Compilable[] {
    return [
      ...lines.map(({ position, startMs, endMs, key, calls, charged, amount }) =>
        this.#sql.insertInto('invoice_line').values({
          invoice_id: invoiceId,
          position: BigInt(position),
          line_key: key,
          amount,
          period_start: BigInt(startMs),
          period_end: BigInt(endMs),
          calls: BigInt(calls),
          charged: BigInt(charged),
        }),
      ),
      ...periods.map(({ startMs, endMs, calls, amount, applied }) =>
        this.#sql.insertInto('invoice_period').values({
          invoice_id: invoiceId,
          calls: BigInt(calls),
          amount,
          applied,
          period_start: BigInt(startMs),
          period_end: BigInt(endMs),
        }),
      ),
    ]
  }
}

function toRow(invoice: FullInvoice): InvoiceRow {
  const optional = (ms: number | undefined): bigint | null => (ms === undefined ? null : BigInt(ms))
  return {
    id: invoice.id,
    account_id: invoice.accountId,
    status: invoice.status,
    currency: invoice.currency,
    period_start: BigInt(invoice.periodStartMs),
    period_end: BigInt(invoice.periodEndMs),
    due_days: BigInt(invoice.dueDays),
    number: invoice.number ?? null,
    content: invoice.contentText,
    content_hash: invoice.contentHash ?? null,
    total: invoice.total,
    amount_due: invoice.amountDue,
    created_at: BigInt(invoice.createdAtMs),
    updated_at: BigInt(invoice.updatedAtMs),
    finalized_at: optional(invoice.finalizedAtMs),
    due_at: optional(invoice.dueAtMs),
    closed_at: optional(invoice.closedAtMs),
    reference: invoice.reference ?? null,
  }
}

function toInvoice(row: InvoiceRow): Invoice {
  return {
    id: row.id,
    accountId: row.account_id,
    status: row.status,
    currency: row.currency,
    periodStartMs: Number(row.period_start),
    periodEndMs: Number(row.period_end),
    dueDays: Number(row.due_days),
    total: row.total,
    amountDue: row.amount_due,
    createdAtMs: Number(row.created_at),
    updatedAtMs: Number(row.updated_at),
    ...(row.number !== null && { number: row.number }),
    ...(row.finalized_at !== null && { finalizedAtMs: Number(row.finalized_at) }),
    ...(row.due_at !== null && { dueAtMs: Number(row.due_at) }),
    ...(row.closed_at !== null && { closedAtMs: Number(row.closed_at) }),
    ...(row.reference !== null && { reference: row.reference }),
  }
}

function toFullInvoice(row: InvoiceRow): FullInvoice {
  return {
    ...toInvoice(row),
    contentText: row.content,
    content: JSON.parse(row.content) as InvoiceContent,
    ...(row.content_hash !== null && { contentHash: row.content_hash }),
  }
}
