// Tables of sessions/: what the API shows of sessions, and the kept answers of idempotency keys.
import type { Migration } from '../migration.ts'

export const sessionTables: Migration = {
  name: '0006-sessions',
  statements: ({ integer, blob, strict }) => [
    `CREATE TABLE session (
      id TEXT PRIMARY KEY, user_id TEXT NOT NULL, account_id TEXT NOT NULL, key_id TEXT, server_id TEXT NOT NULL,
      transport TEXT NOT NULL, status TEXT NOT NULL, created_at ${integer} NOT NULL, last_active_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL)${strict}`,
    `CREATE INDEX session_by_user ON session (user_id, id)`,
    `CREATE INDEX session_by_status ON session (status) WHERE status NOT IN ('closed', 'expired')`,
    `CREATE TABLE kept_answer (
      account_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, record ${integer} NOT NULL,
      status ${integer} NOT NULL, answer ${blob}, PRIMARY KEY (account_id, key))${strict}`,
  ],
}
