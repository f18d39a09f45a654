// Groups of users, for access rules, and API keys that may not be used for a while.
import type { Migration } from '../migration.ts'

export const groupsAndSuspension: Migration = {
  name: '0037-groups',
  statements: () => [
    `ALTER TABLE users ADD COLUMN group_names TEXT NOT NULL DEFAULT '[]'`,
    'ALTER TABLE api_keys ADD COLUMN suspended_by TEXT REFERENCES users (id)',
  ],
}
