// The tables of upstreams/oauth: tokens that users let us have for servers, and the clients that we are registered as.
import type { Migration } from '../migration.ts'

export const upstreamTokenTables: Migration = {
  name: '0031-upstream-tokens',
  statements: ({ integer, strict }) => [
    `CREATE TABLE upstream_token (
      server_id TEXT NOT NULL, user_id TEXT NOT NULL, issuer TEXT NOT NULL, client_id TEXT NOT NULL,
      secrets TEXT NOT NULL, expires_at ${integer}, created_at ${integer} NOT NULL, updated_at ${integer} NOT NULL,
      PRIMARY KEY (server_id, user_id))${strict}`,
    `CREATE TABLE upstream_client (
      server_id TEXT NOT NULL, issuer TEXT NOT NULL, secrets TEXT NOT NULL, created_at ${integer} NOT NULL,
      PRIMARY KEY (server_id, issuer))${strict}`,
  ],
}
