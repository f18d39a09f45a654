// The table of billing/top-ups/: payments that were credited, so that each is credited once, for ever.
import type { Migration } from '../migration.ts'

/** `reference` names the payment at its provider; the grant is made in the same transaction. */
export const topUpTables: Migration = {
  name: '0020-top-ups',
  statements: ({ integer, strict }) => [
    `CREATE TABLE top_up (
      reference TEXT NOT NULL PRIMARY KEY, event TEXT NOT NULL, account_id TEXT NOT NULL, grant_id TEXT NOT NULL UNIQUE,
      amount ${integer} NOT NULL, currency TEXT NOT NULL, at ${integer} NOT NULL)${strict}`,
  ],
}
