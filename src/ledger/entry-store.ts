// What a settled call adds to the tables of the ledger, as rows of the hot batch.
import type { HotRow } from '../db/batch.ts'
import { spendRows } from './budgets/store.ts'
import { eventRow } from './event-store.ts'
import type { FundsEntry } from './funds.ts'
import { transferRows } from './transfer-store.ts'

/** Rows of transfers with their balances, of what budgets have spent, and of events. */
export function entryRows(entries: readonly FundsEntry[]): HotRow[] {
  return [
    ...transferRows(entries.filter((entry) => 'debit' in entry)),
    ...spendRows(entries.filter((entry) => 'budgetId' in entry)),
    ...entries.filter((entry) => 'body' in entry).map(eventRow),
  ]
}
