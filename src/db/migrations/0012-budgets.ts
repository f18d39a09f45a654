// Budgets, what each has spent, and the events that they raise.
import type { Migration } from '../migration.ts'

/**
 * `billing_event.account` is empty where an event belongs to no account. `budget_spend` begins with the bucket: what a
 * start reads, and what calls add to, lies together.
 */
export const budgetTables: Migration = {
  name: '0012-budgets',
  statements: ({ integer, strict }) => [
    `CREATE TABLE budget (
      id TEXT PRIMARY KEY, name TEXT, scope TEXT NOT NULL, subject TEXT NOT NULL, account_id TEXT,
      amount ${integer} NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, span TEXT NOT NULL,
      rolling_s ${integer}, time_zone TEXT NOT NULL, mode TEXT NOT NULL, thresholds TEXT NOT NULL,
      created_by TEXT NOT NULL, created_at ${integer} NOT NULL, updated_at ${integer} NOT NULL)${strict}`,
    `CREATE TABLE budget_increase (
      id TEXT PRIMARY KEY, budget TEXT NOT NULL, amount ${integer} NOT NULL CHECK (amount > 0),
      until ${integer} NOT NULL, created_by TEXT NOT NULL, created_at ${integer} NOT NULL)${strict}`,
    `CREATE INDEX budget_increase_budget ON budget_increase (budget)`,
    `CREATE TABLE budget_spend (
      bucket ${integer} NOT NULL, budget TEXT NOT NULL, subject TEXT NOT NULL, amount ${integer} NOT NULL,
      PRIMARY KEY (bucket, budget, subject))${strict}`,
    `CREATE TABLE billing_event (
      id TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, body TEXT NOT NULL,
      at ${integer} NOT NULL)${strict}`,
    `CREATE INDEX billing_event_at ON billing_event (at, id)`,
    `CREATE INDEX billing_event_account ON billing_event (account, at, id)`,
  ],
}
