// The table of users who come from other issuers: which of our users each of theirs is.
import type { Migration } from '../migration.ts'

/** `roles_at` is when the newest token was issued whose groups the user's roles follow; whole seconds. */
export const externalUsers: Migration = {
  name: '0026-external-users',
  statements: ({ integer, strict }) => [
    `CREATE TABLE external_user (
      issuer TEXT NOT NULL,
      subject TEXT NOT NULL,
      user_id TEXT NOT NULL UNIQUE REFERENCES users (id),
      roles_at ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (issuer, subject)
    )${strict}`,
  ],
}
