// The table of sessions/tasks: who started which task at a server.
import type { Migration } from '../migration.ts'

export const taskOwnerTable: Migration = {
  name: '0038-task-owners',
  statements: ({ integer, strict }) => [
    `CREATE TABLE task_owner (server TEXT NOT NULL, task TEXT NOT NULL, user_id TEXT NOT NULL,
      started_at ${integer} NOT NULL, PRIMARY KEY (server, task))${strict}`,
    'CREATE INDEX task_owner_age ON task_owner (started_at)',
  ],
}
