// Which price books an account has.
import type { Migration } from '../migration.ts'

export const accountBooks: Migration = {
  name: '0015-account-books',
  statements: () => [
    `ALTER TABLE account ADD COLUMN plan TEXT`,
    `ALTER TABLE account ADD COLUMN price_book TEXT`,
  ],
}
