// The table of policy/definitions: how the tools of servers are described, as approved and as waiting for it.
import type { Migration } from '../migration.ts'

export const definitionTable: Migration = {
  name: '0036-definitions',
  statements: ({ integer, strict }) => [
    `CREATE TABLE tool_definition (
      server_id TEXT NOT NULL, tool TEXT NOT NULL, hash TEXT NOT NULL, definition TEXT, waiting TEXT,
      at ${integer} NOT NULL, by_user TEXT, PRIMARY KEY (server_id, tool, hash))${strict}`,
  ],
}
