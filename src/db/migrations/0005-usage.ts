// Tables of usage/: records with their dimensions as small integers, and the quarter-hour rollups.
import type { Migration } from '../migration.ts'

/** One counter for each latency bucket of usage/record.ts. */
const latencyColumns = Array.from({ length: 26 }, (_, index) => `l${index}`)

export const usageTables: Migration = {
  name: '0005-usage',
  statements: ({ integer, strict }) => [
    `CREATE TABLE dimension (id ${integer} PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL)${strict}`,
    `CREATE INDEX dimension_value ON dimension (kind, value)`,
    `CREATE TABLE usage_record (
      id ${integer} PRIMARY KEY, account ${integer} NOT NULL, caller ${integer} NOT NULL, api_key ${integer}, session ${integer},
      server ${integer} NOT NULL, method ${integer} NOT NULL, tool ${integer}, client ${integer} NOT NULL, route ${integer} NOT NULL,
      outcome ${integer} NOT NULL, status ${integer} NOT NULL, request_bytes ${integer} NOT NULL,
      response_bytes ${integer} NOT NULL, duration_us ${integer} NOT NULL, cost ${integer} NOT NULL, currency ${integer} NOT NULL,
      rule ${integer}, rule_version ${integer}, error TEXT, idempotency_key TEXT)${strict}`,
    `CREATE INDEX usage_record_account ON usage_record (account, id)`,
    `CREATE INDEX usage_record_session ON usage_record (session, id) WHERE session IS NOT NULL`,
    `CREATE TABLE usage_rollup (
      bucket ${integer} NOT NULL, account ${integer} NOT NULL, caller ${integer} NOT NULL, api_key ${integer} NOT NULL,
      server ${integer} NOT NULL, method ${integer} NOT NULL, tool ${integer} NOT NULL, outcome ${integer} NOT NULL,
      currency ${integer} NOT NULL, calls ${integer} NOT NULL, unpriced ${integer} NOT NULL, cost ${integer} NOT NULL,
      request_bytes ${integer} NOT NULL, response_bytes ${integer} NOT NULL, duration_us ${integer} NOT NULL,
      ${latencyColumns.map((column) => `${column} ${integer} NOT NULL`).join(', ')},
      PRIMARY KEY (bucket, account, caller, api_key, server, method, tool, outcome, currency))${strict}`,
    `CREATE INDEX usage_rollup_account ON usage_rollup (account, bucket)`,
  ],
}
