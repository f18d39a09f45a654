// The table of policy/access-rules: who may use which tools, prompts and resources.
import type { Migration } from '../migration.ts'

export const accessRuleTable: Migration = {
  name: '0035-access-rules',
  statements: ({ integer, strict }) => [
    `CREATE TABLE access_rule (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL)${strict}`,
  ],
}
