// Whose usage and accounts a caller sees: its own account's, or everybody's with the permission for it.
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { Account } from '../../../ledger/account.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import type { UsageFilter } from '../../../usage/filter.ts'
import type { UsageRecord } from '../../../usage/record.ts'

/**
 * The filter as far as the caller may see: what its own account pays for, also where that was called without a
 * credential. Undefined where the filter asks for another account, which looks as if nothing were there.
 */
function visibleFilter(principal: Principal, filter: UsageFilter): UsageFilter | undefined {
  if (may(principal, 'usage:read-all')) return filter
  if (filter.account !== undefined && filter.account !== principal.accountId) return undefined
  return { ...filter, account: principal.accountId }
}

/** Finds what is known of a session, live or ended. */
export type FindSession = (
  id: string,
) => Promise<{ accountId: string; createdAtMs: number; expiresAtMs: number } | undefined>

/** A clock that is set back, or many calls in one millisecond, make a record's time run ahead a little. */
const slackMs = 60_000

/**
 * The visible filter, with the account and the time of the session that it names, by which its records are found.
 * Undefined where the caller may not see it and where there is no such session.
 */
export async function sessionFilter(
  principal: Principal,
  filter: UsageFilter,
  findSession: FindSession,
): Promise<UsageFilter | undefined> {
  const visible = visibleFilter(principal, filter)
  if (!visible || visible.session === undefined) return visible
  const session = await findSession(visible.session)
  if (!session || (visible.account ?? session.accountId) !== session.accountId) return undefined
  const within = { fromMs: session.createdAtMs - slackMs, toMs: session.expiresAtMs + slackMs }
  return { ...visible, account: session.accountId, within }
}

export const maySeeRecord = (principal: Principal, record: UsageRecord): boolean =>
  record.accountId === principal.accountId || may(principal, 'usage:read-all')

/** An account that the caller may see; `not_found` where there is none and where it is somebody else's. */
export function getVisibleAccount(ledger: Ledger, principal: Principal, id: string): Account {
  const account = ledger.findAccount(id)
  const visible = id === principal.accountId || may(principal, 'accounts:read-all')
  if (!account || !visible) throw new GatewayError('not_found')
  return account
}

/** The account of a user: the caller's own, or anybody's with the permission; `not_found` otherwise. */
export async function getAccountOf(
  principal: Principal,
  userId: string | undefined,
  findAccountId: (userId: string) => Promise<string | undefined>,
): Promise<{ userId: string; accountId: string }> {
  if (userId === undefined || userId === principal.userId)
    return { userId: principal.userId, accountId: principal.accountId }
  const accountId = may(principal, 'accounts:read-all') ? await findAccountId(userId) : undefined
  if (accountId === undefined) throw new GatewayError('not_found')
  return { userId, accountId }
}
