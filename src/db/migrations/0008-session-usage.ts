// A session's records are found through its account and its time; an index of their own is gone.
import type { Migration } from '../migration.ts'

/**
 * Every open session had its own page at the end of `usage_record_session`, which each commit wrote: a third of what a
 * commit cost. The row of the session knows the account and the time, and records are in the order of both.
 */
export const sessionUsage: Migration = {
  name: '0008-session-usage',
  statements: () => ['DROP INDEX usage_record_session'],
}
