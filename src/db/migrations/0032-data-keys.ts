// The table of secrets/: the keys that everything stored is sealed and signed with, themselves sealed by the master secret.
import type { Migration } from '../migration.ts'

/** Of each purpose the newest key that is not retired is the one in use. */
export const dataKeyTable: Migration = {
  name: '0032-data-keys',
  statements: ({ integer, strict }) => [
    `CREATE TABLE data_key (
      id TEXT PRIMARY KEY, purpose TEXT NOT NULL, sealed TEXT NOT NULL, created_at ${integer} NOT NULL,
      retired_at ${integer})${strict}`,
  ],
}
