// Why an account was adjusted, keys of the API that never expire, and kept answers found by their record.
import type { Migration } from '../migration.ts'

export const correctionTables: Migration = {
  name: '0022-corrections',
  statements: ({ integer, strict }) => [
    `CREATE TABLE adjustment (
      transfer ${integer} PRIMARY KEY, id TEXT NOT NULL, reason TEXT NOT NULL, created_by TEXT NOT NULL)${strict}`,
    `ALTER TABLE api_idempotency ADD COLUMN lasting ${integer} NOT NULL DEFAULT 0`,
    `CREATE INDEX kept_answer_record ON kept_answer (record)`,
  ],
}
