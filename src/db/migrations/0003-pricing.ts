// The tables of pricing: rules, and their immutable versions.
import type { Migration } from '../migration.ts'

/** Rows of `rule_version` are only ever inserted; `rule` changes once, when it is retired. Times in milliseconds. */
export const pricingTables: Migration = {
  name: '0003-pricing',
  statements: ({ integer, strict }) => [
    `CREATE TABLE rule (
      id TEXT NOT NULL PRIMARY KEY,
      created_at ${integer} NOT NULL,
      retired_at ${integer}
    )${strict}`,
    `CREATE TABLE rule_version (
      rule_id TEXT NOT NULL REFERENCES rule (id),
      version ${integer} NOT NULL,
      body TEXT NOT NULL,
      effective_from ${integer} NOT NULL,
      effective_to ${integer},
      created_at ${integer} NOT NULL,
      created_by TEXT,
      PRIMARY KEY (rule_id, version)
    )${strict}`,
  ],
}
