// All wallets of this node: accounts and grants are made here, calls are held and settled here.
import { assert, GatewayError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import {
  grantState,
  type Account,
  type Adjustment,
  type AdjustmentInput,
  type Grant,
  type GrantView,
  type Transfer,
} from './account.ts'
import { withBooks } from './account-books.ts'
import { adjustWallet } from './adjustment.ts'
import type { AdjustmentNote } from './adjustment-store.ts'
import { credited, debtPaid, transfersOf, type Booking, type BookingEnd } from './booking.ts'
import { Doubts } from './doubts.ts'
import { foldWallets } from './fold.ts'
import type { Backing, Hold } from './hold.ts'
import { Holds } from './holds.ts'
import type { AccountDefaults, AccountInput, GrantInput } from './input.ts'
import { Reclaimed } from './reclaimed.ts'
import type { AccountChange, Compilable, LedgerStore } from './store.ts'
import { SystemAccounts } from './system-accounts.ts'
import { TransferMaker } from './transfer-maker.ts'
import { Wallet, type WalletTotals } from './wallet.ts'

/**
 * The ledger of one node. Balances live in memory and are the fold of the transfers in the store; a settled charge is
 * applied here at once and becomes durable with its usage record. After a failed commit `reload` folds anew.
 */
export class Ledger {
  readonly #store: LedgerStore
  readonly #clock: Clock
  readonly #defaults: AccountDefaults
  readonly #wallets = new Map<string, Wallet>()
  readonly #system = new SystemAccounts()
  readonly #transfers: TransferMaker
  readonly #holds: Holds
  readonly #breakage = new Map<string, number>()
  #nextLedgerAccount = 1
  readonly #doubts = new Doubts()
  #turn: Promise<unknown> = Promise.resolve()
  readonly #reclaimed: Reclaimed
  #expiring: Promise<number> | undefined

  private constructor(
    store: LedgerStore,
    options: { clock: Clock; defaults: AccountDefaults; lastTransfer: bigint },
  ) {
    this.#store = store
    this.#reclaimed = new Reclaimed(store)
    this.#clock = options.clock
    this.#defaults = options.defaults
    this.#transfers = new TransferMaker(options.clock, options.lastTransfer)
    this.#holds = new Holds({
      clock: options.clock,
      system: this.#system,
      transfers: this.#transfers,
      newGrant: (accountId, input) => this.#newGrant(accountId, input),
      breakageOf: (accountId) => this.#breakageOf(accountId),
    })
  }

  static async open(
    store: LedgerStore,
    options: Pick<Ledger, 'defaults'> & { clock: Clock },
  ): Promise<Ledger> {
    const ledger = new Ledger(store, { ...options, lastTransfer: await store.newestTransferId() })
    await ledger.reload()
    const accounts = [options.defaults, ...ledger.listAccounts()]
    for (const currency of new Set(accounts.map((account) => account.currency)))
      await ledger.#openSystemAccounts(currency)
    return ledger
  }

  /** Every currency that accounts are kept in has its system accounts before the first account needs them. */
  async #openSystemAccounts(currency: string): Promise<void> {
    const rows = this.#system.missing(currency, () => this.#nextLedgerAccount++)
    if (rows.length > 0) await this.#store.addLedgerAccounts(rows)
    this.#system.note(rows)
  }

  /** Folds all wallets from the store again; live holds stay. No charge may be waiting for its commit meanwhile. */
  reload(): Promise<void> {
    return this.#inTurn(() => this.#fold())
  }

  async #fold(): Promise<void> {
    const { wallets, system, lastLedgerAccount } = await foldWallets(this.#store)
    this.#reclaimed.clear()
    this.#doubts.clear()
    this.#nextLedgerAccount = Math.max(this.#nextLedgerAccount, lastLedgerAccount + 1)
    this.#system.note(system)
    for (const { wallet, breakage } of wallets) {
      const { id } = wallet.account
      wallet.adoptHolds(this.#wallets.get(id)?.held ?? 0n)
      this.#wallets.set(id, wallet)
      this.#breakage.set(id, breakage)
    }
  }

  /** Changes of accounts and reloads run one after another, so that a fold never misses or doubles a grant. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** What a new account has by default. */
  get defaults(): AccountDefaults {
    return this.#defaults
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
    const account: Account = { ...this.#defaults, ...input, createdAtMs: now, updatedAtMs: now }
    const own = { accountId: account.id, currency: account.currency }
    const [receivable, breakage] = [this.#nextLedgerAccount++, this.#nextLedgerAccount++]
    const rows = [
      { id: receivable, kind: 'receivable', ...own },
      { id: breakage, kind: 'breakage', ...own },
    ] as const
    const added = () => {
      const load = { account, receivable, paid: 0n, owed: 0n, expired: 0n, voided: 0n, grants: [] }
      this.#wallets.set(account.id, new Wallet(load))
      this.#breakage.set(account.id, breakage)
    }
    return { account, statements: this.#store.accountStatements(account, rows), added }
  }

  /** A new account, in any currency. */
  addAccount(input: AccountInput): Promise<Account> {
    return this.#inTurn(async () => {
      await this.#openSystemAccounts(input.currency ?? this.#defaults.currency)
      const { account, statements, added } = this.newAccount(input)
      await this.#store.write(...statements)
      added()
      return account
    })
  }

  changeAccount(id: string, change: AccountChange): Promise<Account> {
    return this.#inTurn(async () => {
      this.#wallet(id)
      const now = this.#clock.now()
      await this.#store.changeAccount(id, change, now)
      const wallet = this.#wallet(id)
      const { parentId: before, ...same } = withBooks(wallet.account, change)
      const { parentId = before, plan: _plan, priceBook: _book, ...rest } = change
      const parent = parentId === null || parentId === undefined ? {} : { parentId }
      wallet.account = { ...same, ...rest, ...parent, updatedAtMs: now }
      return wallet.account
    })
  }

  /** Puts credit on an account; durable before it can be spent. What `also` gives is written in the same transaction. */
  grant(
    accountId: string,
    input: GrantInput,
    also: (grant: Grant) => ReturnType<LedgerStore['accountStatements']> = () => [],
  ): Promise<GrantView> {
    return this.#inTurn(async () => {
      const { currency } = this.#wallet(accountId).account
      const grant = this.#newGrant(accountId, input)
      const funding: Transfer = {
        id: this.#transfers.nextId(),
        kind: 'grant',
        debit: this.#system.get('funding', currency),
        credit: grant.ledgerAccount,
        amount: grant.amount,
        atMs: grant.createdAtMs,
      }
      const apply = () => this.#wallet(accountId).addGrant(grant)
      const doubt = { sign: { transfer: funding.id }, grantId: grant.id, atMs: grant.createdAtMs, apply }
      const adding = this.#store.addGrant(grant, { currency, funding, also: also(grant) })
      await this.#doubts.watch(doubt, adding)
      apply()
      return { grant, remaining: grant.amount, state: grantState(grant, grant.amount, grant.createdAtMs) }
    })
  }

  /** To be called for a grant that is on disk: makes it spendable should its commit have seemed to fail. */
  settleDoubt(grantId: string): Promise<void> {
    return this.#inTurn(() => Promise.resolve(this.#doubts.settleGrant(grantId)))
  }

  /**
   * Books a payment or a credit note. `write` gets the statements and commits them together with its own; where it
   * rejects, nothing is booked.
   */
  book(
    accountId: string,
    booking: Booking,
    write: (statements: Compilable[]) => Promise<void>,
  ): Promise<void> {
    return this.#inTurn(async () => {
      const { account, receivable } = this.#wallet(accountId)
      const { currency } = account
      const { entries, createdBy, reason } = booking
      const amount = credited(entries)
      const input = { amount, priority: 0, createdBy, reason }
      const grant = amount > 0n ? this.#newGrant(accountId, input) : undefined
      const own: Partial<Record<BookingEnd, number>> = {
        receivable,
        ...(grant && { grant: grant.ledgerAccount }),
      }
      const transfers = transfersOf(entries, {
        idOf: (end) => own[end] ?? this.#system.get(end, currency),
        nextId: () => this.#transfers.nextId(),
        atMs: this.#clock.now(),
      })
      const grants = grant ? this.#store.grantStatements(grant, currency) : []
      const apply = () => {
        this.#wallet(accountId).pay(debtPaid(entries))
        if (grant) this.#wallet(accountId).addGrant(grant)
      }
      const writing = write([...grants, ...this.#store.transferStatements(transfers)])
      const [first] = transfers
      await (first
        ? this.#doubts.watch({ sign: { transfer: first.id }, atMs: first.atMs, apply }, writing)
        : writing)
      apply()
    })
  }

  #newGrant(accountId: string, input: GrantInput): Grant {
    const now = this.#clock.now()
    return {
      ...input,
      id: newId('grt', now),
      accountId,
      createdAtMs: now,
      ledgerAccount: this.#nextLedgerAccount++,
    }
  }

  /**
   * Corrects a balance by new transfers, durable when it resolves. What is taken burns grants as a call does; throws
   * GatewayError `unprocessable` where a prepaid account does not have it.
   */
  adjust(accountId: string, input: AdjustmentInput): Promise<Adjustment> {
    return this.#inTurn(async () => {
      const wallet = this.#wallet(accountId)
      const now = this.#clock.now()
      if (input.amount < 0n && !wallet.covers(-input.amount, now))
        throw new GatewayError('unprocessable', { detail: 'The account does not have that much to take.' })
      const ends = { revenue: this.#system.get('revenue', wallet.account.currency), now }
      const { movements, undo } = adjustWallet(wallet, input, ends)
      const make = this.#transfers.make.bind(this.#transfers, 'adjustment')
      const of = { now, ...(input.record !== undefined && { record: input.record }) }
      const transfers = movements.map(({ draw, credit }) => make(draw, { credit, ...of }))
      const adjustment = { ...input, id: newId('adj', now), accountId, atMs: now, transfers }
      // What was taken stays taken while that is in doubt, so that nobody spends it a second time.
      const apply = () => {
        if (input.amount > 0n) this.#wallet(accountId).refund(input.amount)
      }
      const [first] = transfers
      const adding = this.#store.adjustments.add(transfers, adjustment)
      const sign = { transfer: first?.id ?? 0n }
      await this.#doubts.watch({ sign, atMs: now, apply, revert: undo }, adding)
      apply()
      return adjustment
    })
  }

  /** Why these transfers were made, for those that are adjustments. */
  notesOf(transfers: readonly Transfer[]): Promise<ReadonlyMap<bigint, AdjustmentNote>> {
    return this.#store.adjustments.notes(transfers)
  }

  /** See `Holds.hold`. */
  hold(accountId: string, amount: bigint, backing?: Backing): Hold | undefined {
    return this.#holds.hold(this.#wallet(accountId), amount, backing)
  }

  /** See `Holds.extend`. */
  extend(hold: Hold, amount: bigint): boolean {
    return this.#holds.extend(this.#wallet(hold.accountId), hold, amount)
  }

  /** See `Holds.settle`. */
  settle(hold: Hold, cost: bigint, record: bigint): Transfer[] {
    return this.#holds.settle(this.#wallet(hold.accountId), hold, { cost, record })
  }

  /** Gives the hold back without a charge. */
  release(hold: Hold): void {
    this.#holds.release(this.#wallet(hold.accountId), hold)
  }

  /**
   * Moves what expired grants have left to breakage, and what voided ones have left back to funding; call it now and
   * then. Returns how many transfers were made.
   */
  expireGrants(): Promise<number> {
    // Another one would find nothing more to do.
    return (this.#expiring ??= this.#expire().finally(() => (this.#expiring = undefined)))
  }

  #expire(): Promise<number> {
    return this.#inTurn(async () => {
      await this.#doubts.settle(this.#store, this.#clock.now())
      for (const [id, wallet] of this.#wallets) this.#reclaim(id, wallet, this.#clock.now())
      return this.#reclaimed.write()
    })
  }

  #reclaim(id: string, wallet: Wallet, now: number): void {
    const breakage = this.#breakageOf(id)
    const funding = this.#system.get('funding', wallet.account.currency)
    for (const draw of wallet.reclaim(now)) {
      const credit = draw.kind === 'void' ? funding : breakage
      this.#reclaimed.add(this.#transfers.make(draw.kind, draw, { credit, now }))
    }
  }

  #breakageOf(accountId: string): number {
    const breakage = this.#breakage.get(accountId)
    assert(breakage !== undefined, 'every account has a breakage account')
    return breakage
  }

  /**
   * Takes a grant back: no new call can use it, and what is left goes back to funding at once; what running calls hold
   * of it goes when they are done. Throws `not_found`; a grant that was voided stays as it is.
   */
  voidGrant(accountId: string, grantId: string): Promise<GrantView> {
    return this.#inTurn(async () => {
      const wallet = this.#wallet(accountId)
      const found = (await this.#store.listGrants(accountId)).find(({ id }) => id === grantId)
      if (!found) throw new GatewayError('not_found')
      const now = this.#clock.now()
      const grant = { ...found, voidedAtMs: found.voidedAtMs ?? now }
      const apply = () => this.#wallet(accountId).voidGrant(grant)
      if (found.voidedAtMs === undefined) {
        const doubt = { sign: { voided: grantId }, atMs: now, apply }
        await this.#doubts.watch(doubt, this.#store.voidGrant(grantId, now))
      }
      apply()
      this.#reclaim(accountId, wallet, now)
      await this.#reclaimed.write()
      return { grant, remaining: wallet.remaining(grantId), state: 'voided' }
    })
  }

  /** Grants with what is left of them, oldest first. */
  async listGrants(accountId: string): Promise<GrantView[]> {
    const now = this.#clock.now()
    const wallet = this.#wallet(accountId)
    return (await this.#store.listGrants(accountId)).map((grant) => {
      const remaining = wallet.remaining(grant.id)
      return { grant, remaining, state: grantState(grant, remaining, now) }
    })
  }

  /** Transfers of one account, newest first. */
  async listTransfers(accountId: string, page: { before?: bigint; limit: number }): Promise<Transfer[]> {
    const rows = await this.#store.listLedgerAccounts(accountId)
    return this.#store.listTransfers(
      rows.map((row) => row.id),
      page,
    )
  }

  #wallet(id: string): Wallet {
    const wallet = this.#wallets.get(id)
    if (!wallet) throw new GatewayError('not_found', { detail: 'There is no such account.' })
    return wallet
  }
}
