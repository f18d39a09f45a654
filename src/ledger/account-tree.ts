// The tree of accounts: who may stand under whom, so that budgets of ancestors bound the calls of their descendants.
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Clock } from '../base/clock.ts'
import type { Account, AccountInput, AccountKind } from './account.ts'
import type { Budgets } from './budgets/budgets.ts'
import type { Ledger } from './ledger.ts'
import type { AccountChange } from './store.ts'

/** From the root down; a parent is of an earlier kind, so that nobody can be their own ancestor. */
const rank: Readonly<Record<AccountKind, number>> = { organisation: 0, team: 1, user: 2, key: 3 }

export interface AccountTreeParts {
  readonly ledger: Ledger
  readonly budgets: Budgets
  readonly clock: Clock
}

export class AccountTree {
  readonly #ledger: Ledger
  readonly #budgets: Budgets
  readonly #clock: Clock

  constructor({ ledger, budgets, clock }: AccountTreeParts) {
    this.#ledger = ledger
    this.#budgets = budgets
    this.#clock = clock
  }

  /** Makes an organisation's or a team's account. Throws `validation_failed` where it may not stand there. */
  create(input: Omit<AccountInput, 'id'>): Promise<Account> {
    return this.#budgets.inTurn(async () => {
      const { parentId, kind, currency = this.#ledger.defaults.currency } = input
      if (parentId !== undefined) this.#checkParent(parentId, kind, [{ currency }])
      return this.#ledger.addAccount({ ...input, id: newId('acc', this.#clock.now()) })
    })
  }

  /** Changes an account; `parentId` moves it with all that is below it, null makes it a root. */
  change(id: string, change: AccountChange): Promise<Account> {
    return this.#budgets.inTurn(async () => {
      const account = this.#ledger.findAccount(id)
      if (!account) throw new GatewayError('not_found')
      const { parentId } = change
      if (typeof parentId === 'string') this.#checkParent(parentId, account.kind, this.withDescendants(id))
      const changed = await this.#ledger.changeAccount(id, change)
      if (parentId !== undefined) this.#budgets.treeChanged()
      return changed
    })
  }

  /** An account and everybody below it. */
  withDescendants(id: string): Account[] {
    const childrenOf = Map.groupBy(this.#ledger.listAccounts(), ({ parentId }) => parentId)
    const root = this.#ledger.findAccount(id)
    const found = root ? [root] : []
    for (const account of found) found.push(...(childrenOf.get(account.id) ?? []))
    return found
  }

  /** Throws `validation_failed` unless everybody below the account has its currency, as a budget on it needs. */
  checkOneCurrency({ id, currency }: Account): void {
    const other = this.withDescendants(id).find((each) => each.currency !== currency)
    if (other)
      throw invalid(
        '/scope/account',
        `has ${other.name} below it, which is in ${other.currency}; a budget needs one currency, here ${currency}`,
      )
  }

  #checkParent(parentId: string, kind: AccountKind, moved: readonly Pick<Account, 'currency'>[]): void {
    const parent = this.#ledger.findAccount(parentId)
    if (!parent) throw invalid('/parentId', 'must be the id of an account')
    if (rank[parent.kind] >= rank[kind])
      throw invalid(
        '/parentId',
        `must be above a ${kind}: organisation, team, user, key is the order from the top`,
      )
    for (
      let at: Account | undefined = parent;
      at;
      at = at.parentId ? this.#ledger.findAccount(at.parentId) : undefined
    ) {
      const { currency, name } = at
      if (this.#budgets.hasAccountBudgets(at.id) && moved.some((each) => each.currency !== currency))
        throw invalid(
          '/parentId',
          `is below ${name}, whose budgets are in ${currency}; the currencies must be the same`,
        )
    }
  }
}

const invalid = (field: string, message: string): GatewayError =>
  new GatewayError('validation_failed', { fields: [{ field, message }] })
