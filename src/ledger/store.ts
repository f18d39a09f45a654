// The ledger's tables: loading accounts with what is left of their grants, and writing accounts, grants and transfers.
import { sql } from 'kysely'
import type { Database, Compilable } from '../db/database.ts'
import { HotBatch, type HotRow, type HotTable } from '../db/batch.ts'
import type {
  Account,
  AccountKind,
  AccountMode,
  Grant,
  LedgerAccountKind,
  Transfer,
  TransferKind,
} from './account.ts'

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

const transferTable: HotTable = {
  name: 'transfer',
  mode: 'insert',
  keys: ['id'],
  columns: {
    id: 'integer',
    kind: 'text',
    debit: 'integer',
    credit: 'integer',
    amount: 'integer',
    record: 'integer',
    at: 'integer',
  },
}

const balanceTable: HotTable = {
  name: 'ledger_balance',
  mode: 'add',
  keys: ['ledger_account'],
  columns: { ledger_account: 'integer', debits: 'integer', credits: 'integer' },
}

/** Transfers as rows of a hot batch, with one balance row for each ledger account that they touch. */
export function transferRows(transfers: readonly Transfer[]): HotRow[] {
  const rows: HotRow[] = []
  const sums = new Map<number, { debits: bigint; credits: bigint }>()
  const sumOf = (ledgerAccount: number) => {
    const known = sums.get(ledgerAccount)
    if (known) return known
    const fresh = { debits: 0n, credits: 0n }
    sums.set(ledgerAccount, fresh)
    return fresh
  }
  for (const { id, kind, debit, credit, amount, record, atMs } of transfers) {
    rows.push({ table: transferTable, values: [id, kind, debit, credit, amount, record ?? null, atMs] })
    sumOf(debit).debits += amount
    sumOf(credit).credits += amount
  }
  for (const [ledgerAccount, { debits, credits }] of sums)
    rows.push({ table: balanceTable, values: [ledgerAccount, debits, credits] })
  return rows
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

/** The books an account has; null takes one away. */
export interface BookChange {
  readonly plan?: string | null
  readonly priceBook?: string | null
}

export type AccountChange = Partial<Pick<Account, 'name' | 'mode' | 'timeZone' | 'parentId'>> & BookChange

export class LedgerStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
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

  /** Writes a grant, its ledger account and the transfer that funds it in one transaction. */
  async addGrant(grant: Grant, currency: string, funding: Transfer): Promise<void> {
    const at = BigInt(funding.atMs)
    const add = (ledgerAccount: number, debits: bigint, credits: bigint) =>
      this.#sql
        .insertInto('ledger_balance')
        .values({ ledger_account: BigInt(ledgerAccount), debits, credits })
        .onConflict((c) =>
          c.column('ledger_account').doUpdateSet((e) => ({
            debits: e('ledger_balance.debits', '+', debits),
            credits: e('ledger_balance.credits', '+', credits),
          })),
        )
    await this.#db.write(
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
      }),
      this.#sql.insertInto('transfer').values({
        id: funding.id,
        kind: funding.kind,
        debit: BigInt(funding.debit),
        credit: BigInt(funding.credit),
        amount: funding.amount,
        record: null,
        at,
      }),
      add(funding.debit, funding.amount, 0n),
      add(funding.credit, 0n, funding.amount),
    )
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
    ...(row.expires_at !== null && { expiresAtMs: Number(row.expires_at) }),
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
