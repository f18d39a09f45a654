// OAuth clients that belong to a user: they act for it by themselves, without anybody logging in.
import type { Migration } from '../migration.ts'

export const ownedClients: Migration = {
  name: '0033-owned-clients',
  statements: () => [
    'ALTER TABLE oauth_client ADD COLUMN owner_id TEXT REFERENCES users (id)',
    'CREATE INDEX oauth_client_by_owner ON oauth_client (owner_id, id)',
  ],
}
