// Sessions know the OAuth grant that they were opened with, so that they can go on after a restart, or not.
import type { Migration } from '../migration.ts'

export const sessionGrants: Migration = {
  name: '0025-session-grants',
  statements: () => ['ALTER TABLE session ADD COLUMN grant_id TEXT'],
}
