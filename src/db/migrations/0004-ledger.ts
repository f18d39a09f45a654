// Tables of ledger/: accounts, grants, ledger accounts, transfers and their running balances.
import type { Migration } from '../migration.ts'

export const ledgerTables: Migration = {
  name: '0004-ledger',
  statements: ({ integer, strict }) => [
    `CREATE TABLE account (
      id TEXT PRIMARY KEY, parent_id TEXT REFERENCES account(id), kind TEXT NOT NULL, name TEXT NOT NULL, owner_id TEXT,
      mode TEXT NOT NULL, currency TEXT NOT NULL, time_zone TEXT NOT NULL,
      created_at ${integer} NOT NULL, updated_at ${integer} NOT NULL)${strict}`,
    `CREATE TABLE ledger_account (
      id ${integer} PRIMARY KEY, kind TEXT NOT NULL, account_id TEXT REFERENCES account(id), currency TEXT NOT NULL)${strict}`,
    `CREATE UNIQUE INDEX ledger_account_system ON ledger_account (kind, currency) WHERE account_id IS NULL`,
    `CREATE UNIQUE INDEX ledger_account_own ON ledger_account (account_id, kind) WHERE kind <> 'grant'`,
    `CREATE TABLE credit_grant (
      id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES account(id), amount ${integer} NOT NULL CHECK (amount > 0),
      priority ${integer} NOT NULL, expires_at ${integer}, reason TEXT, created_by TEXT NOT NULL, created_at ${integer} NOT NULL,
      ledger_account ${integer} NOT NULL UNIQUE REFERENCES ledger_account(id))${strict}`,
    `CREATE INDEX credit_grant_account ON credit_grant (account_id, id)`,
    `CREATE TABLE transfer (
      id ${integer} PRIMARY KEY, kind TEXT NOT NULL, debit ${integer} NOT NULL, credit ${integer} NOT NULL,
      amount ${integer} NOT NULL CHECK (amount > 0), record ${integer}, at ${integer} NOT NULL)${strict}`,
    `CREATE INDEX transfer_debit ON transfer (debit, id)`,
    // A charge arrives at the revenue of its currency, of which nobody asks for pages: calls need no entry here.
    `CREATE INDEX transfer_credit ON transfer (credit, id) WHERE kind <> 'charge'`,
    `CREATE TABLE ledger_balance (
      ledger_account ${integer} PRIMARY KEY, debits ${integer} NOT NULL, credits ${integer} NOT NULL)${strict}`,
  ],
}
