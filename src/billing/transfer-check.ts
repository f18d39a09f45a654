// Whether a single transfer says something that can be: the right kinds of ledger accounts, one currency, one account.
import { formatAmount } from '../base/money.ts'
import type { AuditedTransfer } from './store.ts'

/** Ledger accounts that each kind of transfer goes from and to. */
const ends: Readonly<Record<string, { from: readonly string[]; to: readonly string[] }>> = {
  grant: { from: ['funding'], to: ['grant'] },
  charge: { from: ['grant', 'receivable'], to: ['revenue'] },
  reprice: { from: ['revenue'], to: ['receivable'] },
  expiry: { from: ['grant'], to: ['breakage'] },
  adjustment: { from: ['grant', 'receivable'], to: ['revenue'] },
  void: { from: ['grant'], to: ['funding'] },
  payment: { from: ['funding'], to: ['receivable', 'tax', 'rounding'] },
  rounding: { from: ['rounding'], to: ['receivable'] },
  bounce: { from: ['receivable'], to: ['funding'] },
  'credit-note': { from: ['revenue', 'tax'], to: ['receivable', 'grant'] },
}
/** An adjustment in favour of the account. */
const favour = { from: ['revenue'], to: ['receivable'] }

/** What the transfer should be and is not, or undefined where it is right. `dropped`: its record is gone by intention. */
export function findTransferProblem(
  transfer: AuditedTransfer,
  dropped = false,
): { expected: string; actual: string } | undefined {
  const { kind, record, debit_kind, credit_kind } = transfer
  const end = kind === 'adjustment' && debit_kind === 'revenue' ? favour : ends[kind]
  if (!end) return { expected: Object.keys(ends).join(', '), actual: kind }
  if (!end.from.includes(debit_kind ?? '') || !end.to.includes(credit_kind ?? ''))
    return {
      expected: `${kind} from ${end.from.join(' or ')} to ${end.to.join(' or ')}`,
      actual: `from ${debit_kind ?? 'nothing'} to ${credit_kind ?? 'nothing'}`,
    }
  if (transfer.debit_currency !== transfer.credit_currency)
    return {
      expected: transfer.debit_currency ?? '',
      actual: transfer.credit_currency ?? '',
    }
  if (dropped && (kind === 'charge' || kind === 'reprice')) return undefined
  if (kind === 'charge') return findChargeProblem(transfer, transfer.debit_account)
  if (kind === 'reprice') return findChargeProblem(transfer, transfer.credit_account)
  if (kind === 'adjustment') return findAdjustmentProblem(transfer)
  if (record !== null) return { expected: 'no record', actual: 'a record' }
  if (kind === 'expiry' && transfer.debit_account !== transfer.credit_account)
    return { expected: transfer.debit_account ?? '', actual: transfer.credit_account ?? '' }
  if (kind === 'grant' && transfer.grant_amount !== transfer.amount)
    return {
      expected: transfer.grant_amount === null ? 'a grant' : formatAmount(transfer.grant_amount),
      actual: formatAmount(transfer.amount),
    }
  return undefined
}

/** `account` is whose money it is. */
function findChargeProblem(
  transfer: AuditedTransfer,
  account: string | null,
): { expected: string; actual: string } | undefined {
  if (transfer.found_record === null) return { expected: 'a record', actual: 'none' }
  if (transfer.record_account !== account)
    return { expected: `paid by ${transfer.record_account ?? 'nobody'}`, actual: account ?? 'nobody' }
  if (transfer.record_currency !== transfer.debit_currency)
    return { expected: transfer.record_currency ?? '', actual: transfer.debit_currency ?? '' }
  return undefined
}

/** The record that it puts right may have been dropped since. */
function findAdjustmentProblem(transfer: AuditedTransfer): { expected: string; actual: string } | undefined {
  if (transfer.adjustment === null) return { expected: 'a reason', actual: 'none' }
  const account = transfer.debit_account ?? transfer.credit_account
  if (transfer.found_record !== null && transfer.record_account !== account)
    return { expected: `of ${transfer.record_account ?? 'nobody'}`, actual: account ?? 'nobody' }
  return undefined
}
