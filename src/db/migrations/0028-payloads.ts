// The table of payloads: arguments and results of calls to servers that say that they are kept.
import type { Migration } from '../migration.ts'

export const payloadTable: Migration = {
  name: '0028-payloads',
  statements: ({ integer, strict }) => [
    `CREATE TABLE payload (id TEXT PRIMARY KEY, server_id TEXT NOT NULL, expires_at ${integer} NOT NULL,
      sealed TEXT NOT NULL)${strict}`,
    'CREATE INDEX payload_expiry ON payload (expires_at)',
    'CREATE INDEX payload_server ON payload (server_id)',
  ],
}
