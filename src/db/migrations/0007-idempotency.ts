// Idempotency keys of the HTTP API. Owned by idempotency/.
import type { Migration } from '../migration.ts'

export const idempotencyTables: Migration = {
  name: '0007-idempotency',
  statements: ({ integer, blob, strict }) => [
    // A row without an answer is a request that runs, or one that a crash cut off.
    `CREATE TABLE api_idempotency (
      scope TEXT NOT NULL,
      key TEXT NOT NULL,
      fingerprint ${blob} NOT NULL,
      answer TEXT,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (scope, key)
    )${strict}`,
    'CREATE INDEX api_idempotency_by_age ON api_idempotency (created_at)',
  ],
}
