// Grants that begin later, and grants that were voided.
import type { Migration } from '../migration.ts'

export const grantStates: Migration = {
  name: '0013-grant-states',
  statements: ({ integer }) => [
    `ALTER TABLE credit_grant ADD COLUMN starts_at ${integer}`,
    `ALTER TABLE credit_grant ADD COLUMN voided_at ${integer}`,
  ],
}
