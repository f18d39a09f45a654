// Which price books an account has: its own ones, or those of the nearest account above it.
import type { CallBooks } from '../pricing/price.ts'
import type { Account } from './account.ts'
import type { BookChange } from './store.ts'

/** A tree has four kinds of accounts; a chain that is longer is none. */
const maxDepth = 8

/** Each of the two is inherited by itself. Undefined where there is neither: the usual case, which costs nothing. */
export function booksOf(
  account: Account,
  ledger: { findAccount(id: string): Account | undefined },
): CallBooks | undefined {
  let priceBook: string | undefined
  let plan: string | undefined
  let at: Account | undefined = account
  for (let depth = 0; at && depth < maxDepth; depth++) {
    priceBook ??= at.priceBook
    plan ??= at.plan
    at = at.parentId === undefined ? undefined : ledger.findAccount(at.parentId)
  }
  if (priceBook === undefined && plan === undefined) return undefined
  return { ...(priceBook !== undefined && { priceBook }), ...(plan !== undefined && { plan }) }
}

/** An account with other books; null takes one away, undefined leaves it. */
export function withBooks(account: Account, change: BookChange): Account {
  const { plan: oldPlan, priceBook: oldBook, ...rest } = account
  const { plan = oldPlan, priceBook = oldBook } = change
  return { ...rest, ...(plan != null && { plan }), ...(priceBook != null && { priceBook }) }
}
