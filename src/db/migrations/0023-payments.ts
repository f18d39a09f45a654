// The tables of x402/: payments for single calls, each taken once for ever, and what is to be settled of them.
import type { Migration } from '../migration.ts'

/**
 * `name` is what can be settled once: network, payer and nonce. `sealed` holds the signed payment until it has ended.
 * `state`: taken, then released, settled, refused or unclear. `units` count the asset's smallest units; they may be too
 * large for a column of integers. A row of `x402_charge` commits with the record of its call.
 */
export const paymentTables: Migration = {
  name: '0023-payments',
  statements: ({ integer, strict }) => [
    `CREATE TABLE x402_payment (
      name TEXT NOT NULL PRIMARY KEY, record ${integer} NOT NULL UNIQUE, account_id TEXT NOT NULL, sealed TEXT NOT NULL,
      state TEXT NOT NULL, settlement TEXT, at ${integer} NOT NULL, ended_at ${integer})${strict}`,
    `CREATE INDEX x402_payment_taken ON x402_payment (record) WHERE state = 'taken'`,
    `CREATE TABLE x402_charge (
      record ${integer} PRIMARY KEY, units TEXT NOT NULL, amount ${integer} NOT NULL, at ${integer} NOT NULL)${strict}`,
  ],
}
