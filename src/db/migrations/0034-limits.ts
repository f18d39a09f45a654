// The table of policy/limits: how many calls may come and run. What has come is counted in memory.
import type { Migration } from '../migration.ts'

export const limitTable: Migration = {
  name: '0034-limits',
  statements: ({ integer, strict }) => [
    `CREATE TABLE rate_limit (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL)${strict}`,
  ],
}
