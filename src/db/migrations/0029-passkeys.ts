// The table of identity/passkeys: public keys with which users log in instead of a password.
import type { Migration } from '../migration.ts'

export const passkeyTable: Migration = {
  name: '0029-passkeys',
  statements: ({ integer, strict }) => [
    `CREATE TABLE passkey (
      id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), credential TEXT NOT NULL UNIQUE,
      public_key TEXT NOT NULL, counter ${integer} NOT NULL, transports TEXT NOT NULL, name TEXT NOT NULL,
      created_at ${integer} NOT NULL, last_used_at ${integer})${strict}`,
    'CREATE INDEX passkey_by_user ON passkey (user_id, id)',
  ],
}
