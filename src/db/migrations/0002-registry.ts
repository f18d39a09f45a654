// The table of registry/: the registered MCP servers.
import type { Migration } from '../migration.ts'

/** `definition` is JSON without secrets; those are sealed in `secrets`. Times in milliseconds. */
export const registryTables: Migration = {
  name: '0002-registry',
  statements: ({ integer, strict }) => [
    `CREATE TABLE servers (
      id TEXT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      owner_id TEXT NOT NULL,
      definition TEXT NOT NULL,
      secrets TEXT NOT NULL,
      status TEXT NOT NULL,
      last_failure TEXT,
      revision ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL
    )${strict}`,
  ],
}
