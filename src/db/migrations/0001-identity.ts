// The tables of identity/: users, logins with their refresh tokens, and API keys.
import type { Migration } from '../migration.ts'

export const identityTables: Migration = {
  name: '0001-identity',
  statements: ({ integer, blob, strict }) => [
    `CREATE TABLE users (
      id TEXT NOT NULL PRIMARY KEY,
      username TEXT NOT NULL UNIQUE,
      email TEXT,
      password_hash TEXT NOT NULL,
      roles TEXT NOT NULL,
      account_id TEXT NOT NULL,
      disabled ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      deleted_at ${integer}
    )${strict}`,
    `CREATE TABLE logins (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES users (id),
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      revoked_at ${integer}
    )${strict}`,
    'CREATE INDEX logins_by_user ON logins (user_id)',
    'CREATE INDEX logins_by_end ON logins (expires_at)',
    // A token with a successor has been used; the unique parent makes a second successor impossible.
    `CREATE TABLE refresh_tokens (
      mac ${blob} NOT NULL PRIMARY KEY,
      login_id TEXT NOT NULL REFERENCES logins (id),
      parent_mac ${blob} UNIQUE,
      created_at ${integer} NOT NULL
    )${strict}`,
    'CREATE INDEX refresh_tokens_by_login ON refresh_tokens (login_id)',
    // While a rotated key overlaps, `previous_mac` opens the door too, until `previous_until`.
    `CREATE TABLE api_keys (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES users (id),
      name TEXT NOT NULL,
      mac ${blob} NOT NULL,
      previous_mac ${blob},
      previous_until ${integer},
      servers TEXT,
      created_at ${integer} NOT NULL,
      expires_at ${integer},
      last_used_at ${integer}
    )${strict}`,
    'CREATE INDEX api_keys_by_user ON api_keys (user_id, id)',
  ],
}
