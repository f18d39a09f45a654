// Which budgets a call counts against: those on its account and that account's ancestors, its user, key, session and server.
import type { Spender } from './budget.ts'
import type { LiveBudget } from './live-budget.ts'

/** The parent of an account, where it has one. */
export type ParentOf = (accountId: string) => string | undefined

const none: readonly LiveBudget[] = []

/** All budgets of the node by scope. A call asks for its own in a few map look-ups. */
export class BudgetIndex {
  readonly #parentOf: ParentOf
  readonly #byId = new Map<string, LiveBudget>()
  readonly #bySubject = {
    account: new Map<string, LiveBudget[]>(),
    user: new Map<string, LiveBudget[]>(),
    key: new Map<string, LiveBudget[]>(),
    session: new Map<string, LiveBudget[]>(),
    server: new Map<string, LiveBudget[]>(),
  }
  /** Budgets of an account with those of its ancestors; emptied when the tree or a budget changes. */
  readonly #chains = new Map<string, readonly LiveBudget[]>()

  constructor(parentOf: ParentOf) {
    this.#parentOf = parentOf
  }

  get size(): number {
    return this.#byId.size
  }

  find(id: string): LiveBudget | undefined {
    return this.#byId.get(id)
  }

  all(): MapIterator<LiveBudget> {
    return this.#byId.values()
  }

  add(live: LiveBudget): void {
    const { id, scope } = live.budget
    this.#byId.set(id, live)
    const same = this.#bySubject[scope.kind].get(scope.subject)
    if (same) same.push(live)
    else this.#bySubject[scope.kind].set(scope.subject, [live])
    this.#chains.clear()
  }

  remove(live: LiveBudget): void {
    const { id, scope } = live.budget
    this.#byId.delete(id)
    const left = this.#bySubject[scope.kind].get(scope.subject)?.filter((each) => each !== live) ?? []
    if (left.length > 0) this.#bySubject[scope.kind].set(scope.subject, left)
    else this.#bySubject[scope.kind].delete(scope.subject)
    this.#chains.clear()
  }

  /** Somebody got another parent. */
  treeChanged(): void {
    this.#chains.clear()
  }

  ofAccount(accountId: string): readonly LiveBudget[] {
    return this.#bySubject.account.get(accountId) ?? none
  }

  ofKey(keyId: string): readonly LiveBudget[] {
    return this.#bySubject.key.get(keyId) ?? none
  }

  /** Tells each budget of a call, with the subject as which the call counts there. */
  each(spender: Spender, visit: (live: LiveBudget, subject: string) => void): void {
    for (const live of this.#chain(spender.accountId)) visit(live, '')
    const { user, key, session, server } = this.#bySubject
    visitBoth(user, spender.userId, visit)
    if (spender.keyId !== undefined) visitBoth(key, spender.keyId, visit)
    if (spender.sessionId !== undefined) visitBoth(session, spender.sessionId, visit)
    visitBoth(server, spender.serverId, visit)
  }

  #chain(accountId: string): readonly LiveBudget[] {
    if (this.#bySubject.account.size === 0) return none
    const known = this.#chains.get(accountId)
    if (known) return known
    const chain: LiveBudget[] = []
    for (let at: string | undefined = accountId; at !== undefined; at = this.#parentOf(at))
      chain.push(...this.ofAccount(at))
    this.#chains.set(accountId, chain)
    return chain
  }
}

function visitBoth(
  budgets: ReadonlyMap<string, readonly LiveBudget[]>,
  subject: string,
  visit: (live: LiveBudget, subject: string) => void,
): void {
  if (budgets.size === 0) return
  for (const live of budgets.get(subject) ?? none) visit(live, '')
  for (const live of budgets.get('*') ?? none) visit(live, subject)
}
