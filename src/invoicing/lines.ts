// The lines of an invoice out of sums of calls: what is new of each, its words, and where to find its calls. Pure.
import { formatAmount, formatDecimal, ledgerScale, parseDecimal, rateScale } from '../base/money.ts'
import { localDate, localTime, type Period } from '../base/zone.ts'
import type { CompiledRule } from '../pricing/choice.ts'
import { allocate } from './allocation.ts'
import { formatMoney } from './amounts.ts'
import type { InvoiceLine } from './invoice.ts'

/** What a bill tells apart. `server` is the name last seen; null members are there where the calls had none. */
export interface LineSubject {
  readonly serverId: string
  readonly server: string
  readonly method: string
  readonly tool: string | null
  readonly ruleId: string | null
  readonly ruleVersion: number | null
}

/** Sums of calls; nano-units. `charged` counts those that cost something. */
export interface CallSum {
  readonly calls: number
  readonly charged: number
  readonly amount: bigint
}

export const emptyCallSum: CallSum = { calls: 0, charged: 0, amount: 0n }

/** The calls of one subject in one period, and what earlier invoices billed of them. */
export interface LineDraft {
  /** Undefined for calls that are no longer kept one by one. */
  readonly subject: LineSubject | undefined
  readonly period: Period
  readonly isLate: boolean
  readonly all: CallSum
  readonly billed: CallSum
}

export interface LineContext {
  readonly accountId: string
  readonly currency: string
  readonly timeZone: string
  readonly findRule: (ruleId: string, version: number) => CompiledRule | undefined
}

/** Identity of a line's subject, for sums over several invoices. */
export const keyOf = (subject: LineSubject | undefined): string =>
  subject === undefined
    ? 'summary'
    : JSON.stringify([subject.serverId, subject.method, subject.tool, subject.ruleId, subject.ruleVersion])

/** What a line bills: all there is less what was billed. */
export const dueOf = ({ all, billed }: LineDraft): CallSum => ({
  calls: all.calls - billed.calls,
  charged: all.charged - billed.charged,
  amount: all.amount - billed.amount,
})

/** This period's by server and tool, then late ones by period. */
export const inReadingOrder = (drafts: readonly LineDraft[]): LineDraft[] =>
  drafts.toSorted((a, b) => compare(orderOf(a), orderOf(b)))

/** The lines, in the order given. Their rounded amounts add up. */
export function makeLines(drafts: readonly LineDraft[], context: LineContext): InvoiceLine[] {
  const parts = drafts.map((draft) => ({
    key: `${draft.period.startMs} ${draft.period.endMs} ${keyOf(draft.subject)}`,
    exact: dueOf(draft).amount,
  }))
  const rounded = allocate(parts, context.currency)
  return drafts.map((draft, index) =>
    lineOf(draft, { context, position: index + 1, rounded: rounded[index] ?? 0n }),
  )
}

function lineOf(
  draft: LineDraft,
  { context, position, rounded }: { context: LineContext; position: number; rounded: bigint },
): InvoiceLine {
  const { subject, period, billed } = draft
  const due = dueOf(draft)
  const price = subject && priceWords(subject, due, context)
  const what = subject
    ? `${subject.tool ?? subject.method} on ${subject.server}`
    : 'Calls that are no longer kept one by one'
  return {
    position,
    kind: subject === undefined ? 'summary' : draft.isLate ? 'late' : 'usage',
    description: draft.isLate ? `${what}, late from ${periodWords(period, context.timeZone)}` : what,
    ...(price?.detail !== undefined && { detail: price.detail }),
    period: { start: iso(period.startMs), end: iso(period.endMs) },
    ...(subject && membersOf(subject)),
    quantity: due.charged,
    freeCalls: due.calls - due.charged,
    ...(price?.unitPrice !== undefined && { unitPrice: price.unitPrice }),
    exactAmount: formatAmount(due.amount),
    amount: formatMoney(rounded, context.currency),
    ...(subject && { usage: usageLink(subject, period, context) }),
    ...(billed.calls > 0 && {
      alreadyBilled: { calls: billed.calls, exactAmount: formatAmount(billed.amount) },
    }),
  }
}

const membersOf = ({ server, serverId, method, tool, ruleId, ruleVersion }: LineSubject) => ({
  server,
  serverId,
  method,
  ...(tool !== null && { tool }),
  ...(ruleId !== null && { ruleId }),
  ...(ruleVersion !== null && { ruleVersion }),
})

/** The rule in words, and the unit price where the line is nothing but calls × price. */
function priceWords(
  { ruleId, ruleVersion }: LineSubject,
  due: CallSum,
  { currency, findRule }: LineContext,
): { detail: string; unitPrice?: string } {
  if (ruleId === null || ruleVersion === null) return { detail: 'No price was set' }
  const rule = findRule(ruleId, ruleVersion)?.rule
  const name = rule ? `${rule.name}, version ${ruleVersion}` : `Rule ${ruleId}, version ${ruleVersion}`
  if (due.charged === 0) return { detail: `${name}; not charged` }
  const { perCall, ...others } = rule?.price ?? {}
  const unit = perCall === undefined ? undefined : parseDecimal(perCall, rateScale)
  const isSimple =
    unit !== undefined &&
    Object.values(others).every((value) => value === undefined) &&
    unit * BigInt(due.charged) === due.amount * 10n ** BigInt(rateScale - ledgerScale)
  const free = due.calls > due.charged ? `; ${due.calls - due.charged} more not charged` : ''
  if (!isSimple) return { detail: `${name}${free}` }
  const unitPrice = formatDecimal(unit, rateScale)
  return { detail: `${name}: ${unitPrice} ${currency} per call${free}`, unitPrice }
}

/** Exactly the calls behind a line. */
function usageLink(subject: LineSubject, period: Period, { accountId, currency }: LineContext): string {
  const query = new URLSearchParams({
    account: accountId,
    currency,
    server: subject.serverId,
    method: subject.method,
    ...(subject.tool === null ? { toolless: 'true' } : { tool: subject.tool }),
    ...(subject.ruleId === null ? { unpriced: 'true' } : { rule: subject.ruleId }),
    ...(subject.ruleVersion !== null && { ruleVersion: String(subject.ruleVersion) }),
    from: iso(period.startMs),
    to: iso(period.endMs),
  })
  return `/api/v1/billing/usage?${query.toString()}`
}

const months = 'January February March April May June July August September October November December'.split(
  ' ',
)

/** A period as people say it: "October 2026" where it is a month of the zone, else its first and last day. */
export function periodWords({ startMs, endMs }: Period, zone: string): string {
  const first = localTime(startMs, zone)
  const next = localTime(endMs, zone)
  const [firstDay, lastDay] = [localDate(startMs, zone), localDate(endMs - 1, zone)]
  const count = (next.year - first.year) * 12 + next.month - first.month
  const isMonth = count === 1 && first.day === 1 && next.day === 1 && first.hour === 0 && next.hour === 0
  if (isMonth) return `${months[first.month - 1] ?? ''} ${first.year}`
  return firstDay === lastDay ? firstDay : `${firstDay} to ${lastDay}`
}

const iso = (ms: number): string => new Date(ms).toISOString()

function orderOf({ isLate, period, subject }: LineDraft): (string | number)[] {
  if (!subject) return [isLate ? 1 : 0, period.startMs, period.endMs, '\uffff']
  const { server, serverId, tool, method, ruleId, ruleVersion } = subject
  return [
    isLate ? 1 : 0,
    period.startMs,
    period.endMs,
    server,
    serverId,
    tool ?? '',
    method,
    ruleId ?? '',
    ruleVersion ?? 0,
  ]
}

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? ''
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}
