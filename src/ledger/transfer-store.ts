// Transfers as rows of a hot batch: each one, and what it adds to the running totals of its two ledger accounts.
import type { HotRow, HotTable } from '../db/batch.ts'
import type { Transfer } from './account.ts'

const transferTable: HotTable = {
  name: 'transfer',
  mode: 'insert',
  keys: ['id'],
  columns: {
    id: 'integer',
    kind: 'text',
    debit: 'integer',
    credit: 'integer',
    amount: 'integer',
    record: 'integer',
    at: 'integer',
  },
}

const balanceTable: HotTable = {
  name: 'ledger_balance',
  mode: 'add',
  keys: ['ledger_account'],
  columns: { ledger_account: 'integer', debits: 'integer', credits: 'integer' },
}

/** Transfers as rows of a hot batch, with one balance row for each ledger account that they touch. */
export function transferRows(transfers: readonly Transfer[]): HotRow[] {
  const rows: HotRow[] = []
  const sums = new Map<number, { debits: bigint; credits: bigint }>()
  const sumOf = (ledgerAccount: number) => {
    const known = sums.get(ledgerAccount)
    if (known) return known
    const fresh = { debits: 0n, credits: 0n }
    sums.set(ledgerAccount, fresh)
    return fresh
  }
  for (const { id, kind, debit, credit, amount, record, atMs } of transfers) {
    rows.push({ table: transferTable, values: [id, kind, debit, credit, amount, record ?? null, atMs] })
    sumOf(debit).debits += amount
    sumOf(credit).credits += amount
  }
  for (const [ledgerAccount, { debits, credits }] of sums)
    rows.push({ table: balanceTable, values: [ledgerAccount, debits, credits] })
  return rows
}
