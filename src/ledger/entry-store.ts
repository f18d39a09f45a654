// What a settled call adds to the tables of the ledger, as rows of the hot batch.
import type { HotRow } from '../db/batch.ts'
import { spendRows } from './budgets/store.ts'
import { eventRow } from './event-store.ts'
import type { FundsEntry } from './funds.ts'
import type { SpentGrantFunding } from './holds.ts'
import { spentGrantRows } from './spent-grant-store.ts'
import { transferRows } from './transfer-store.ts'

/** Rows of grants that one call used up, of transfers with their balances, of what budgets have spent, and of events. */
export function entryRows(entries: readonly FundsEntry[]): HotRow[] {
  return [
    ...entries.filter(isSpentGrant).flatMap(spentGrantRows),
    ...transferRows(entries.filter((entry) => 'debit' in entry)),
    ...spendRows(entries.filter((entry) => 'budgetId' in entry)),
    ...entries.filter((entry) => 'body' in entry).map(eventRow),
  ]
}

const isSpentGrant = (entry: FundsEntry): entry is SpentGrantFunding => 'spentGrant' in entry
