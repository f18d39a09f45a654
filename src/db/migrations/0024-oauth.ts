// The tables of oauth/: clients that registered themselves, what users consented to, and refresh tokens.
import type { Migration } from '../migration.ts'

/**
 * A grant begins with its code: `code_mac` and `challenge` are what is kept of it, and `interaction` makes a consent
 * count once. Each token has a parent, the first one the code; a parent has one child, so that a code or a refresh
 * token that comes twice is noticed. `last_used_at` is null until the code was exchanged.
 */
export const oauthTables: Migration = {
  name: '0024-oauth',
  statements: ({ integer, blob, strict }) => [
    `CREATE TABLE oauth_client (
      id TEXT NOT NULL PRIMARY KEY,
      metadata TEXT NOT NULL,
      secret_mac ${blob},
      created_at ${integer} NOT NULL,
      last_used_at ${integer}
    )${strict}`,
    'CREATE INDEX oauth_client_by_use ON oauth_client (last_used_at, created_at)',
    `CREATE TABLE oauth_grant (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES users (id),
      client_id TEXT NOT NULL,
      client_name TEXT NOT NULL,
      redirect_uri TEXT NOT NULL,
      resource TEXT NOT NULL,
      scopes TEXT NOT NULL,
      interaction TEXT NOT NULL UNIQUE,
      code_mac ${blob} NOT NULL UNIQUE,
      code_expires_at ${integer} NOT NULL,
      challenge TEXT NOT NULL,
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      last_used_at ${integer},
      revoked_at ${integer}
    )${strict}`,
    'CREATE INDEX oauth_grant_by_user ON oauth_grant (user_id, id)',
    'CREATE INDEX oauth_grant_by_client ON oauth_grant (client_id)',
    'CREATE INDEX oauth_grant_by_end ON oauth_grant (expires_at)',
    `CREATE TABLE oauth_token (
      mac ${blob} NOT NULL PRIMARY KEY,
      grant_id TEXT NOT NULL REFERENCES oauth_grant (id),
      parent_mac ${blob} NOT NULL UNIQUE,
      created_at ${integer} NOT NULL
    )${strict}`,
    'CREATE INDEX oauth_token_by_grant ON oauth_token (grant_id)',
  ],
}
