// Who a budget is for, by id or by name, and whose account that is.
import { GatewayError } from '../../../base/errors.ts'
import type { Keys } from '../../../identity/keys.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { Users } from '../../../identity/users.ts'
import type { ScopeKind } from '../../../ledger/budgets/budget.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import type { Registry } from '../../../registry/servers.ts'
import type { SessionStore } from '../../../sessions/store.ts'

export interface Subject {
  readonly id: string
  /** The account that pays for its calls, where that is one. */
  readonly accountId?: string
}

export type FindSubjects = (
  principal: Principal,
  kind: ScopeKind,
  text: string,
) => Promise<readonly Subject[]>

export interface SubjectParts {
  readonly ledger: Ledger
  readonly users: Users
  readonly keys: Keys
  readonly registry: Registry
  readonly sessionStore: Pick<SessionStore, 'find'>
}

const maxOwnKeys = 1000

/** Finds everybody whom a text can mean; a name may be several accounts'. */
export function subjectFinder({ ledger, users, keys, registry, sessionStore }: SubjectParts): FindSubjects {
  const accounts = (text: string): Subject[] =>
    ledger
      .listAccounts()
      .filter(({ id, name }) => id === text || name === text)
      .map(({ id }) => ({ id, accountId: id }))
  const user = async (text: string): Promise<Subject[]> => {
    const found = await users.find(text)
    return found ? [{ id: found.id, accountId: found.accountId }] : []
  }
  const key = async (principal: Principal, text: string): Promise<Subject[]> => {
    const found = text.startsWith('key_')
      ? [await keys.get(text, {})]
      : (await keys.list({ limit: maxOwnKeys }, { userId: principal.userId })).filter(
          ({ name }) => name === text,
        )
    const owners = await Promise.all(found.map(({ userId }) => users.get(userId)))
    return found.map(({ id }, index) => ({ id, ...withAccount(owners[index]?.accountId) }))
  }
  const session = async (text: string): Promise<Subject[]> => {
    const found = await sessionStore.find(text)
    return found ? [{ id: text, accountId: found.accountId }] : []
  }
  return async (principal, kind, text) => {
    try {
      if (kind === 'account') return accounts(text)
      if (kind === 'user') return await user(text)
      if (kind === 'key') return await key(principal, text)
      if (kind === 'session') return await session(text)
      const server = registry.find(text)
      return server ? [{ id: server.id }] : []
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'not_found') return []
      throw error
    }
  }
}

const withAccount = (accountId: string | undefined) => (accountId === undefined ? {} : { accountId })
