// Grants that one call brought and used up, as rows of the hot batch that writes its record.
import type { HotRow, HotTable } from '../db/batch.ts'
import type { SpentGrantFunding } from './holds.ts'

const ledgerAccountTable: HotTable = {
  name: 'ledger_account',
  mode: 'insert',
  keys: ['id'],
  columns: { id: 'integer', kind: 'text', account_id: 'text', currency: 'text' },
}

const grantTable: HotTable = {
  name: 'credit_grant',
  mode: 'insert',
  keys: ['id'],
  columns: {
    id: 'text',
    account_id: 'text',
    amount: 'integer',
    priority: 'integer',
    expires_at: 'integer',
    reason: 'text',
    created_by: 'text',
    created_at: 'integer',
    ledger_account: 'integer',
  },
}

/** The grant with its own ledger account; its transfers go with them. */
export function spentGrantRows({ spentGrant: grant, currency }: SpentGrantFunding): HotRow[] {
  return [
    { table: ledgerAccountTable, values: [grant.ledgerAccount, 'grant', grant.accountId, currency] },
    {
      table: grantTable,
      values: [
        grant.id,
        grant.accountId,
        grant.amount,
        grant.priority,
        grant.expiresAtMs ?? null,
        grant.reason ?? null,
        grant.createdBy,
        grant.createdAtMs,
        grant.ledgerAccount,
      ],
    },
  ]
}
