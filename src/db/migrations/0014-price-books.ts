// Price books, drafts of rules, and who retired a rule.
import type { Migration } from '../migration.ts'

/** A draft's `body` is a whole rule as JSON; `based_on` is the version that it was made from, none for a new rule. */
export const priceBookTables: Migration = {
  name: '0014-price-books',
  statements: ({ integer, strict }) => [
    `CREATE TABLE price_book (
      name TEXT NOT NULL PRIMARY KEY, description TEXT, created_at ${integer} NOT NULL, created_by TEXT,
      updated_at ${integer} NOT NULL)${strict}`,
    `CREATE TABLE rule_draft (
      id TEXT NOT NULL PRIMARY KEY, rule_id TEXT NOT NULL, based_on ${integer}, body TEXT NOT NULL,
      created_at ${integer} NOT NULL, created_by TEXT, updated_at ${integer} NOT NULL, updated_by TEXT)${strict}`,
    `ALTER TABLE rule ADD COLUMN retired_by TEXT`,
  ],
}
