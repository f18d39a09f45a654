// The second table of registry/: bundles of servers.
import type { Migration } from '../migration.ts'

/** `definition` is JSON; members are in it by the ids of their servers. Times in milliseconds. */
export const bundleTables: Migration = {
  name: '0009-bundles',
  statements: ({ integer, strict }) => [
    `CREATE TABLE bundle (
      id TEXT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      owner_id TEXT NOT NULL,
      definition TEXT NOT NULL,
      revision ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL
    )${strict}`,
  ],
}
