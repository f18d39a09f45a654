// All wallets of this node: accounts and grants are made here, calls are held and settled here.
import { assert, GatewayError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { CallIds, newId } from '../base/id.ts'
import type { Account, AccountKind, AccountMode, Grant, LedgerAccountKind, Transfer } from './account.ts'
import { withBooks } from './account-books.ts'
import type { AccountChange, LedgerStore } from './store.ts'
import { Wallet, type Draw, type WalletTotals } from './wallet.ts'

/** A worst case set aside for one call. It is resolved exactly once: settled or released. */
export interface Hold {
  readonly accountId: string
  readonly amount: bigint
  readonly state: 'held' | 'settled' | 'released'
}

interface LiveHold {
  accountId: string
  amount: bigint
  state: Hold['state']
}

export interface AccountDefaults {
  readonly mode: AccountMode
  readonly currency: string
  readonly timeZone: string
}

export interface AccountInput {
  readonly id: string
  readonly kind: AccountKind
  readonly name: string
  readonly ownerId?: string
  readonly parentId?: string
}

export interface GrantInput {
  readonly amount: bigint
  readonly priority: number
  readonly expiresAtMs?: number
  readonly reason?: string
  readonly createdBy: string
}

const systemKinds = ['funding', 'revenue'] as const
/** Far below the 63 bits of a column, so that sums of many calls still fit. */
const maxAmount = 10n ** 15n

/**
 * The ledger of one node. Balances live in memory and are the fold of the transfers in the store; a settled charge is
 * applied here at once and becomes durable with its usage record. After a failed commit `reload` folds anew.
 */
export class Ledger {
  readonly #store: LedgerStore
  readonly #clock: Clock
  readonly #defaults: AccountDefaults
  readonly #wallets = new Map<string, Wallet>()
  readonly #system = new Map<string, number>()
  readonly #transferIds: CallIds
  readonly #breakage = new Map<string, number>()
  #nextLedgerAccount = 1
  #turn: Promise<unknown> = Promise.resolve()
  /** Expiries that are applied in memory and not written yet: those whose commit failed are tried again. */
  readonly #unwritten: Transfer[][] = []
  #expiring: Promise<number> | undefined

  private constructor(
    store: LedgerStore,
    options: { clock: Clock; defaults: AccountDefaults; lastTransfer: bigint },
  ) {
    this.#store = store
    this.#clock = options.clock
    this.#defaults = options.defaults
    this.#transferIds = new CallIds(options.clock, { last: options.lastTransfer })
  }

  static async open(
    store: LedgerStore,
    options: { clock: Clock; defaults: AccountDefaults },
  ): Promise<Ledger> {
    const ledger = new Ledger(store, { ...options, lastTransfer: await store.newestTransferId() })
    await ledger.reload()
    await ledger.#openSystemAccounts(options.defaults.currency)
    return ledger
  }

  /** Every currency that accounts are kept in has its two system accounts before the first account needs them. */
  async #openSystemAccounts(currency: string): Promise<void> {
    const missing = systemKinds.filter((kind) => !this.#system.has(`${kind}:${currency}`))
    const rows = missing.map((kind) => ({ id: this.#nextLedgerAccount++, kind, accountId: null, currency }))
    if (rows.length > 0) await this.#store.addLedgerAccounts(rows)
    for (const row of rows) this.#system.set(`${row.kind}:${currency}`, row.id)
  }

  /** Folds all wallets from the store again; live holds stay. No charge may be waiting for its commit meanwhile. */
  reload(): Promise<void> {
    return this.#inTurn(() => this.#fold())
  }

  async #fold(): Promise<void> {
    const [accounts, rows, grants] = await Promise.all([
      this.#store.listAccounts(),
      this.#store.listLedgerAccounts(),
      this.#store.listGrants(),
    ])
    this.#unwritten.length = 0
    const byId = new Map(rows.map((row) => [row.id, row]))
    const rowOf = new Map(rows.map((row) => [`${row.kind}:${row.accountId ?? row.currency}`, row]))
    for (const row of rows) this.#nextLedgerAccount = Math.max(this.#nextLedgerAccount, row.id + 1)
    for (const row of rows)
      if (row.accountId === null) this.#system.set(`${row.kind}:${row.currency}`, row.id)
    const grantsOf = Map.groupBy(grants, (grant) => grant.accountId)
    for (const account of accounts) {
      const receivable = rowOf.get(`receivable:${account.id}`)
      const breakage = rowOf.get(`breakage:${account.id}`)
      assert(receivable && breakage, 'every account has its ledger accounts')
      const loads = (grantsOf.get(account.id) ?? []).map((grant) => ({
        grant,
        remaining: grant.amount - (byId.get(grant.ledgerAccount)?.debits ?? 0n),
      }))
      const wallet = new Wallet({
        account,
        receivable: receivable.id,
        owed: receivable.debits - receivable.credits,
        expired: breakage.credits,
        grants: loads,
      })
      wallet.adoptHolds(this.#wallets.get(account.id)?.held ?? 0n)
      this.#wallets.set(account.id, wallet)
      this.#breakage.set(account.id, breakage.id)
    }
  }

  /** Changes of accounts and reloads run one after another, so that a fold never misses or doubles a grant. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  findAccount(id: string): Account | undefined {
    return this.#wallets.get(id)?.account
  }

  listAccounts(): Account[] {
    return [...this.#wallets.values()].map((wallet) => wallet.account).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  totals(id: string): WalletTotals {
    return this.#wallet(id).totals(this.#clock.now())
  }

  /**
   * A new account and the statements that write it; the caller runs them in its own transaction (a user and its
   * account are made together) and then calls `added`.
   */
  newAccount(input: AccountInput): {
    account: Account
    statements: ReturnType<LedgerStore['accountStatements']>
    added: () => void
  } {
    const now = this.#clock.now()
    const account: Account = { ...input, ...this.#defaults, createdAtMs: now, updatedAtMs: now }
    const currency = account.currency
    const [receivable, breakage] = [this.#nextLedgerAccount++, this.#nextLedgerAccount++]
    const rows = [
      { id: receivable, kind: 'receivable', accountId: account.id, currency },
      { id: breakage, kind: 'breakage', accountId: account.id, currency },
    ] as const
    const added = () => {
      this.#wallets.set(account.id, new Wallet({ account, receivable, owed: 0n, expired: 0n, grants: [] }))
      this.#breakage.set(account.id, breakage)
    }
    return { account, statements: this.#store.accountStatements(account, rows), added }
  }

  async addAccount(input: AccountInput): Promise<Account> {
    const { account, statements, added } = this.newAccount(input)
    await this.#store.write(...statements)
    added()
    return account
  }

  changeAccount(id: string, change: AccountChange): Promise<Account> {
    return this.#inTurn(async () => {
      this.#wallet(id)
      const now = this.#clock.now()
      await this.#store.changeAccount(id, change, now)
      const wallet = this.#wallet(id)
      const { plan, priceBook, ...rest } = change
      wallet.account = { ...withBooks(wallet.account, { plan, priceBook }), ...rest, updatedAtMs: now }
      return wallet.account
    })
  }

  /** Puts credit on an account; durable before it can be spent. */
  grant(accountId: string, input: GrantInput): Promise<Grant> {
    return this.#inTurn(async () => {
      const { currency } = this.#wallet(accountId).account
      const now = this.#clock.now()
      const grant: Grant = {
        ...input,
        id: newId('grt', now),
        accountId,
        createdAtMs: now,
        ledgerAccount: this.#nextLedgerAccount++,
      }
      await this.#store.addGrant(grant, currency, {
        id: this.#transferIds.next(),
        kind: 'grant',
        debit: this.#systemAccount('funding', currency),
        credit: grant.ledgerAccount,
        amount: grant.amount,
        atMs: now,
      })
      this.#wallet(accountId).addGrant(grant)
      return grant
    })
  }

  /** Sets `amount` aside, or returns undefined where a prepaid account does not cover it (or no column could hold it). */
  hold(accountId: string, amount: bigint): Hold | undefined {
    const wallet = this.#wallet(accountId)
    if (amount > maxAmount || !wallet.covers(amount, this.#clock.now())) return undefined
    wallet.hold(amount)
    return { accountId, amount, state: 'held' }
  }

  /** Makes a live hold larger; false where the account does not cover the rest. */
  extend(hold: Hold, amount: bigint): boolean {
    const live = liveHold(hold)
    const wallet = this.#wallet(hold.accountId)
    const more = amount - live.amount
    if (more <= 0n) return true
    if (amount > maxAmount || !wallet.covers(more, this.#clock.now())) return false
    wallet.hold(more)
    live.amount = amount
    return true
  }

  /**
   * Replaces the hold by the real cost; returns the transfers to commit together with the usage record. A cost below
   * zero is given back.
   */
  settle(hold: Hold, cost: bigint, record: bigint): Transfer[] {
    const live = liveHold(hold)
    live.state = 'settled'
    const wallet = this.#wallet(hold.accountId)
    wallet.release(live.amount)
    if (cost === 0n) return []
    if (cost < 0n) return [this.#refund(wallet, -cost, record)]
    assert(wallet.account.mode === 'postpaid' || cost <= live.amount, 'a charge never passes its hold')
    const now = this.#clock.now()
    const credit = this.#systemAccount('revenue', wallet.account.currency)
    return wallet.charge(cost).map((draw) => this.#transfer('charge', draw, { credit, now, record }))
  }

  #refund(wallet: Wallet, amount: bigint, record: bigint): Transfer {
    const { ledgerAccount: credit } = wallet.refund(amount)
    const draw = { ledgerAccount: this.#systemAccount('revenue', wallet.account.currency), amount }
    return this.#transfer('reprice', draw, { credit, now: this.#clock.now(), record })
  }

  /** Gives the hold back without a charge. */
  release(hold: Hold): void {
    const live = liveHold(hold)
    live.state = 'released'
    this.#wallet(hold.accountId).release(live.amount)
  }

  /** Moves what expired grants have left to breakage; call it now and then. Returns how many transfers were written. */
  expireGrants(): Promise<number> {
    // Another one would find nothing more to do.
    this.#expiring ??= this.#expire().finally(() => (this.#expiring = undefined))
    return this.#expiring
  }

  #expire(): Promise<number> {
    return this.#inTurn(async () => {
      const now = this.#clock.now()
      const transfers = [...this.#wallets].flatMap(([id, wallet]) => {
        const credit = this.#breakage.get(id)
        assert(credit !== undefined, 'every account has a breakage account')
        return wallet.expire(now).map((draw) => this.#transfer('expiry', draw, { credit, now }))
      })
      if (transfers.length > 0) this.#unwritten.push(transfers)
      let written = 0
      for (let due = this.#unwritten[0]; due; due = this.#unwritten[0]) {
        await this.#writeOnce(due)
        written += due.length
        this.#unwritten.shift()
      }
      return written
    })
  }

  /** A commit whose failure was reported may have reached the store all the same; its ids are ours alone. */
  async #writeOnce(transfers: readonly Transfer[]): Promise<void> {
    try {
      await this.#store.commitTransfers(transfers)
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
    }
  }

  listGrants(accountId: string): Promise<Grant[]> {
    return this.#store.listGrants(accountId)
  }

  /** Transfers of one account, newest first. */
  async listTransfers(accountId: string, page: { before?: bigint; limit: number }): Promise<Transfer[]> {
    const rows = await this.#store.listLedgerAccounts(accountId)
    return this.#store.listTransfers(
      rows.map((row) => row.id),
      page,
    )
  }

  #transfer(
    kind: Transfer['kind'],
    draw: Draw,
    to: { credit: number; now: number; record?: bigint },
  ): Transfer {
    return {
      id: this.#transferIds.next(),
      kind,
      debit: draw.ledgerAccount,
      credit: to.credit,
      amount: draw.amount,
      atMs: to.now,
      ...(to.record !== undefined && { record: to.record }),
    }
  }

  #systemAccount(kind: LedgerAccountKind, currency: string): number {
    const id = this.#system.get(`${kind}:${currency}`)
    assert(id !== undefined, `the ${kind} account of ${currency} exists`)
    return id
  }

  #wallet(id: string): Wallet {
    const wallet = this.#wallets.get(id)
    if (!wallet) throw new GatewayError('not_found', { detail: 'There is no such account.' })
    return wallet
  }
}

function liveHold(hold: Hold): LiveHold {
  assert(hold.state === 'held', 'a hold is resolved exactly once')
  return hold
}
