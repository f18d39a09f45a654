// What prices count over a period: the counts, and on each record what was counted before it.
import type { Migration } from '../migration.ts'

/** Quantities in base units: calls, bytes, microseconds, tokens, nano-units of money. */
export const meterTables: Migration = {
  name: '0011-meters',
  statements: ({ integer, strict }) => [
    `CREATE TABLE usage_meter (
      rule_id TEXT NOT NULL, unit TEXT NOT NULL, subject TEXT NOT NULL, period ${integer} NOT NULL,
      quantity ${integer} NOT NULL, PRIMARY KEY (rule_id, unit, subject, period))${strict}`,
    `CREATE INDEX usage_meter_period ON usage_meter (period)`,
    `ALTER TABLE usage_record ADD COLUMN tokens ${integer}`,
    `ALTER TABLE usage_record ADD COLUMN upstream_cost ${integer}`,
    `ALTER TABLE usage_record ADD COLUMN counted_before ${integer}`,
  ],
}
