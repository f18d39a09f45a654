// The ledger's tables: loading accounts with what is left of their grants, and writing accounts, grants and transfers.
import { sql } from 'kysely'
import type { Database, Compilable } from '../db/database.ts'
import { HotBatch } from '../db/batch.ts'
import { AdjustmentStore } from './adjustment-store.ts'
import { transferRows } from './transfer-store.ts'
import type {
  Account,
  AccountKind,
  AccountMode,
  Grant,
  LedgerAccountKind,
  Transfer,
  TransferKind,
} from './account.ts'

export type { Compilable } from '../db/database.ts'

interface Tables {
  account: {
    id: string
    parent_id: string | null
    kind: AccountKind
    name: string
    owner_id: string | null
    mode: AccountMode
    currency: string
    time_zone: string
    plan: string | null
    price_book: string | null
    created_at: bigint
    updated_at: bigint
  }
  ledger_account: { id: bigint; kind: LedgerAccountKind; account_id: string | null; currency: string }
  credit_grant: {
    id: string
    account_id: string
    amount: bigint
    priority: bigint
    expires_at: bigint | null
    reason: string | null
    created_by: string
    created_at: bigint
    ledger_account: bigint
    starts_at: bigint | null
    voided_at: bigint | null
  }
  transfer: {
    id: bigint
    kind: TransferKind
    debit: bigint
    credit: bigint
    amount: bigint
    record: bigint | null
    at: bigint
  }
  ledger_balance: { ledger_account: bigint; debits: bigint; credits: bigint }
}

export interface LedgerAccountRow {
  readonly id: number
  readonly kind: LedgerAccountKind
  readonly accountId: string | null
  readonly currency: string
  readonly debits: bigint
  readonly credits: bigint
}

interface TransferPage {
  readonly before?: bigint
  readonly limit: number
}

/** SQLite takes at most 500 parts of a union; each ledger account needs two. */
const maxAccountsInQuery = 100
const maxIdsInQuery = 500

/** The books an account has; null takes one away. */
export interface BookChange {
  readonly plan?: string | null
  readonly priceBook?: string | null
}

/** `parentId` null takes an account out of the tree. */
export type AccountChange = Partial<Pick<Account, 'name' | 'mode' | 'timeZone'>> &
  BookChange & { readonly parentId?: string | null }

export class LedgerStore {
  readonly #db: Database
  readonly #sql
  readonly adjustments: AdjustmentStore

  constructor(db: Database) {
    this.#db = db
    this.adjustments = new AdjustmentStore(db)
    this.#sql = db.builder<Tables>()
  }

  async listAccounts(): Promise<Account[]> {
    const rows = await this.#db.read(this.#sql.selectFrom('account').selectAll())
    return rows.map(toAccount)
  }

  async listLedgerAccounts(accountId?: string): Promise<LedgerAccountRow[]> {
    let query = this.#sql
      .selectFrom('ledger_account as l')
      .leftJoin('ledger_balance as b', 'b.ledger_account', 'l.id')
      .select(['l.id', 'l.kind', 'l.account_id', 'l.currency', 'b.debits', 'b.credits'])
    if (accountId !== undefined) query = query.where('l.account_id', '=', accountId)
    return (await this.#db.read(query)).map((row) => ({
      id: Number(row.id),
      kind: row.kind,
      accountId: row.account_id,
      currency: row.currency,
      debits: row.debits ?? 0n,
      credits: row.credits ?? 0n,
    }))
  }

  /** Grants of one account, or of all, oldest first. */
  async listGrants(accountId?: string): Promise<Grant[]> {
    let query = this.#sql.selectFrom('credit_grant').selectAll().orderBy('id')
    if (accountId !== undefined) query = query.where('account_id', '=', accountId)
    return (await this.#db.read(query)).map(toGrant)
  }

  /** What went back to funding so far: of voided grants, and of payments that bounced; by the ledger account that it left. */
  async listReturned(fundingAccounts: readonly number[]): Promise<Map<number, bigint>> {
    if (fundingAccounts.length === 0) return new Map()
    const query = this.#sql
      .selectFrom('transfer')
      .select((e) => ['debit', e.fn.sum<bigint>('amount').as('amount')])
      .where('credit', 'in', fundingAccounts.map(BigInt))
      // As the index has it.
      .where('kind', '<>', sql.lit<TransferKind>('charge'))
      .where('kind', 'in', ['void', 'bounce'])
      .groupBy('debit')
    return new Map((await this.#db.read(query)).map(({ debit, amount }) => [Number(debit), amount]))
  }

  /** What invoices took off the debt of accounts, by receivable. */
  async listPaid(): Promise<Map<number, bigint>> {
    const query = this.#sql
      .selectFrom('transfer')
      .select((e) => ['credit', e.fn.sum<bigint>('amount').as('amount')])
      // As the index has it.
      .where('kind', '<>', sql.lit<TransferKind>('charge'))
      .where('kind', 'in', ['payment', 'rounding', 'credit-note'])
      .groupBy('credit')
    return new Map((await this.#db.read(query)).map(({ credit, amount }) => [Number(credit), amount]))
  }

  /** Which of these transfers there are. */
  async listWritten(ids: readonly bigint[]): Promise<Set<bigint>> {
    const found = new Set<bigint>()
    for (let at = 0; at < ids.length; at += maxIdsInQuery) {
      const some = ids.slice(at, at + maxIdsInQuery)
      const query = this.#sql.selectFrom('transfer').select('id').where('id', 'in', some)
      for (const { id } of await this.#db.read(query)) found.add(id)
    }
    return found
  }

  /** Which of these grants are void. */
  async listVoided(ids: readonly string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set()
    const query = this.#sql.selectFrom('credit_grant').select('id').where('voided_at', 'is not', null)
    return new Set((await this.#db.read(query.where('id', 'in', ids))).map(({ id }) => id))
  }

  async newestTransferId(): Promise<bigint> {
    const [row] = await this.#db.read(this.#sql.selectFrom('transfer').select((e) => e.fn.max('id').as('id')))
    return row?.id ?? 0n
  }

  /**
   * Transfers that left any of these ledger accounts or arrived there, newest first, older than `before`. Charges are
   * found by what they left alone. Reads no more than a page of each ledger account.
   */
  async listTransfers(ledgerAccounts: readonly number[], page: TransferPage): Promise<Transfer[]> {
    const found = new Map<bigint, Transfer>()
    for (let at = 0; at < ledgerAccounts.length; at += maxAccountsInQuery) {
      const query = this.#pageQuery(ledgerAccounts.slice(at, at + maxAccountsInQuery), page)
      for (const row of await this.#db.read(query)) found.set(row.id, toTransfer(row))
    }
    return [...found.values()].toSorted((a, b) => (a.id > b.id ? -1 : 1)).slice(0, page.limit)
  }

  #pageQuery(ledgerAccounts: readonly number[], { before, limit }: TransferPage) {
    const part = (side: 'debit' | 'credit', ledgerAccount: number) => {
      let rows = this.#sql.selectFrom('transfer').selectAll().where(side, '=', BigInt(ledgerAccount))
      // As the index has it; a parameter would keep SQLite from using that.
      if (side === 'credit') rows = rows.where('kind', '<>', sql.lit<TransferKind>('charge'))
      if (before !== undefined) rows = rows.where('id', '<', before)
      return this.#sql.selectFrom(rows.orderBy('id', 'desc').limit(limit).as('part')).selectAll()
    }
    const all = ledgerAccounts
      .flatMap((ledgerAccount) => [part('debit', ledgerAccount), part('credit', ledgerAccount)])
      .reduce((union, next) => union.union(next))
    return this.#sql.selectFrom(all.as('page')).selectAll().orderBy('id', 'desc').limit(limit)
  }

  /** The statements that make an account with its own ledger accounts. */
  accountStatements(
    account: Account,
    ledgerAccounts: readonly Omit<LedgerAccountRow, 'debits' | 'credits'>[],
  ): Compilable[] {
    return [
      this.#sql.insertInto('account').values({
        id: account.id,
        parent_id: account.parentId ?? null,
        kind: account.kind,
        name: account.name,
        owner_id: account.ownerId ?? null,
        mode: account.mode,
        currency: account.currency,
        time_zone: account.timeZone,
        plan: account.plan ?? null,
        price_book: account.priceBook ?? null,
        created_at: BigInt(account.createdAtMs),
        updated_at: BigInt(account.updatedAtMs),
      }),
      ...ledgerAccounts.map((row) => this.#ledgerAccountStatement(row)),
    ]
  }

  async addLedgerAccounts(rows: readonly Omit<LedgerAccountRow, 'debits' | 'credits'>[]): Promise<void> {
    await this.#db.write(...rows.map((row) => this.#ledgerAccountStatement(row)))
  }

  #ledgerAccountStatement(row: Omit<LedgerAccountRow, 'debits' | 'credits'>): Compilable {
    const values = { id: BigInt(row.id), kind: row.kind, account_id: row.accountId, currency: row.currency }
    return this.#sql.insertInto('ledger_account').values(values)
  }

  async write(...statements: Compilable[]): Promise<void> {
    await this.#db.write(...statements)
  }

  async changeAccount(id: string, change: AccountChange, nowMs: number): Promise<void> {
    await this.#db.write(
      this.#sql
        .updateTable('account')
        .set({
          updated_at: BigInt(nowMs),
          ...(change.name !== undefined && { name: change.name }),
          ...(change.mode !== undefined && { mode: change.mode }),
          ...(change.timeZone !== undefined && { time_zone: change.timeZone }),
          ...(change.parentId !== undefined && { parent_id: change.parentId }),
          ...(change.plan !== undefined && { plan: change.plan }),
          ...(change.priceBook !== undefined && { price_book: change.priceBook }),
        })
        .where('id', '=', id),
    )
  }

  /** Writes a grant, its ledger account and the transfer that funds it in one transaction, and `also` with them. */
  async addGrant(
    grant: Grant,
    { currency, funding, also }: { currency: string; funding: Transfer; also: readonly Compilable[] },
  ): Promise<void> {
    const statements = [...this.grantStatements(grant, currency), ...this.transferStatements([funding])]
    await this.#db.write(...statements, ...also)
  }

  /** The statements that make a grant and its ledger account; what funds it goes with them. */
  grantStatements(grant: Grant, currency: string): Compilable[] {
    return [
      this.#ledgerAccountStatement({
        id: grant.ledgerAccount,
        kind: 'grant',
        accountId: grant.accountId,
        currency,
      }),
      this.#sql.insertInto('credit_grant').values({
        id: grant.id,
        account_id: grant.accountId,
        amount: grant.amount,
        priority: BigInt(grant.priority),
        expires_at: grant.expiresAtMs === undefined ? null : BigInt(grant.expiresAtMs),
        reason: grant.reason ?? null,
        created_by: grant.createdBy,
        created_at: BigInt(grant.createdAtMs),
        ledger_account: BigInt(grant.ledgerAccount),
        starts_at: grant.startsAtMs === undefined ? null : BigInt(grant.startsAtMs),
        voided_at: null,
      }),
    ]
  }

  /** The statements that write transfers and their balances, for who commits them with rows of its own. */
  transferStatements(transfers: readonly Transfer[]): Compilable[] {
    return transfers.flatMap(({ id, kind, debit, credit, amount, record, atMs }) => [
      this.#sql.insertInto('transfer').values({
        id,
        kind,
        debit: BigInt(debit),
        credit: BigInt(credit),
        amount,
        record: record ?? null,
        at: BigInt(atMs),
      }),
      this.#addToBalance(debit, { debits: amount, credits: 0n }),
      this.#addToBalance(credit, { debits: 0n, credits: amount }),
    ])
  }

  #addToBalance(ledgerAccount: number, { debits, credits }: { debits: bigint; credits: bigint }): Compilable {
    return this.#sql
      .insertInto('ledger_balance')
      .values({ ledger_account: BigInt(ledgerAccount), debits, credits })
      .onConflict((c) =>
        c.column('ledger_account').doUpdateSet((e) => ({
          debits: e('ledger_balance.debits', '+', debits),
          credits: e('ledger_balance.credits', '+', credits),
        })),
      )
  }

  async voidGrant(id: string, atMs: number): Promise<void> {
    const query = this.#sql.updateTable('credit_grant').set({ voided_at: BigInt(atMs) })
    await this.#db.write(query.where('id', '=', id))
  }

  /** Commits transfers that belong to no call, such as expiries. */
  async commitTransfers(transfers: readonly Transfer[]): Promise<void> {
    await this.#db.commit(new HotBatch(transferRows(transfers)))
  }
}

function toAccount(row: Tables['account']): Account {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    mode: row.mode,
    currency: row.currency,
    timeZone: row.time_zone,
    createdAtMs: Number(row.created_at),
    updatedAtMs: Number(row.updated_at),
    ...(row.parent_id !== null && { parentId: row.parent_id }),
    ...(row.plan !== null && { plan: row.plan }),
    ...(row.price_book !== null && { priceBook: row.price_book }),
    ...(row.owner_id !== null && { ownerId: row.owner_id }),
  }
}

function toGrant(row: Tables['credit_grant']): Grant {
  return {
    id: row.id,
    accountId: row.account_id,
    amount: row.amount,
    priority: Number(row.priority),
    createdBy: row.created_by,
    createdAtMs: Number(row.created_at),
    ledgerAccount: Number(row.ledger_account),
    ...(row.starts_at !== null && { startsAtMs: Number(row.starts_at) }),
    ...(row.expires_at !== null && { expiresAtMs: Number(row.expires_at) }),
    ...(row.voided_at !== null && { voidedAtMs: Number(row.voided_at) }),
    ...(row.reason !== null && { reason: row.reason }),
  }
}

function toTransfer(row: Tables['transfer']): Transfer {
  return {
    id: row.id,
    kind: row.kind,
    debit: Number(row.debit),
    credit: Number(row.credit),
    amount: row.amount,
    atMs: Number(row.at),
    ...(row.record !== null && { record: row.record }),
  }
}
