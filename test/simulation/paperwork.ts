// What happens beside the calls of a simulation: payments that are told in any order and again, invoices, accounts that move.
import assert from 'node:assert/strict'
import type { GatewayError } from '../../src/base/errors.ts'
import { formatAmount, parseAmount } from '../../src/base/money.ts'
import type { BookedRecord } from './books.ts'
import type { SimulatedProcess } from './process.ts'
import type { Random } from './random.ts'
import type { Disk } from './store.ts'

export const zones = ['UTC', 'Asia/Tokyo', 'America/New_York', 'Europe/Berlin'] as const
const secondMs = 1000
const act = { actor: 'usr_admin' }

type Run = <Result>(work: Promise<Result>) => Promise<Result | undefined>

interface World {
  readonly random: Random
  readonly disk: Disk
  readonly accountIds: readonly string[]
  nowMs(): number
  process(): SimulatedProcess
  /** Undefined where the work failed, or its process was killed meanwhile. */
  readonly risk: Run
  /** The store is well. */
  readonly attempt: Run
}

interface ToldPayment {
  readonly reference: string
  readonly accountId: string
  readonly amount: bigint
  /** The gateway said that it has it. */
  confirmed: boolean
}

interface InvoiceRow {
  readonly id: string
  readonly account_id: string
  readonly status: string
  readonly period_start: bigint
  readonly period_end: bigint
  readonly total: bigint
}

export class Paperwork {
  readonly #world: World
  readonly #payments: ToldPayment[] = []
  readonly #voids: { readonly accountId: string; readonly grantId: string }[] = []
  readonly #startMs: number

  constructor(world: World) {
    this.#world = world
    this.#startMs = second(world.nowMs())
  }

  /** A provider tells a payment: a new one, or one that it told before. */
  async pay(): Promise<void> {
    const { random, accountIds } = this.#world
    const isNew = this.#payments.length === 0 || random.chance(50)
    const payment = isNew
      ? {
          reference: `pay-${this.#payments.length}`,
          accountId: random.pick(accountIds),
          amount: parseAmount(random.pick(['0.3', '1', '4'])) ?? 0n,
          confirmed: false,
        }
      : random.pick(this.#payments)
    if (isNew) this.#payments.push(payment)
    const credited = await this.#world.risk(this.#credit(payment))
    if (credited) payment.confirmed = true
  }

  #credit({ reference, accountId, amount }: ToldPayment) {
    const payment = { reference, event: `evt-${reference}`, accountId, amount, currency: 'USD' }
    return this.#world.process().topUps.credit(payment, 'standard')
  }

  /** Somebody corrects an account, or takes a grant back. */
  async correct(): Promise<void> {
    const { random, accountIds, disk } = this.#world
    const { ledger } = this.#world.process()
    const accountId = random.pick(accountIds)
    const grants = disk.all<{ id: string }>(
      `SELECT id FROM credit_grant WHERE account_id = '${accountId}' ORDER BY id`,
    )
    const grant = grants.length > 0 && random.chance(30) ? random.pick(grants) : undefined
    if (grant) {
      const done = await this.#world.risk(ledger.voidGrant(accountId, grant.id))
      // Who was told of a failure tries again.
      if (!done) this.#voids.push({ accountId, grantId: grant.id })
      return
    }
    const amount = parseAmount(random.pick(['0.2', '1', '-0.3', '-2'])) ?? 0n
    await this.#world.risk(ledger.adjust(accountId, { amount, reason: 'test', createdBy: 'usr_admin' }))
  }

  /** Something is done to an invoice. */
  async bill(): Promise<void> {
    const { random, risk } = this.#world
    const { invoices, creditNotes } = this.#world.process()
    const [draft, final] = [this.#pickRow('draft'), this.#pickRow('finalized')]
    const kind = random.weighted({
      create: 30,
      finalize: draft ? 30 : 0,
      refresh: draft ? 4 : 0,
      remove: draft ? 4 : 0,
      void: final ? 8 : 0,
      pay: final ? 8 : 0,
      credit: final ? 12 : 0,
    })
    const row = ['finalize', 'refresh', 'remove'].includes(kind) ? draft : final
    if (kind === 'create' || !row) return this.#create(random.pick(this.#world.accountIds), risk)
    const { id } = row
    if (kind === 'finalize') await risk(invoices.finalize(id, act))
    else if (kind === 'refresh') await risk(invoices.refresh(id, act))
    else if (kind === 'remove') await risk(invoices.remove(id, act))
    else if (kind === 'void') await risk(invoices.void(id, { ...act, note: 'void' }))
    else if (kind === 'pay') await risk(invoices.pay(id, { ...act, note: 'paid' }))
    else await risk(creditNotes.create(id, { amount: 10_000_000n }, { ...act, reason: 'credit' }))
  }

  #rows(): InvoiceRow[] {
    return this.#world.disk.all<InvoiceRow>(
      'SELECT id, account_id, status, period_start, period_end, total FROM invoice ORDER BY id',
    )
  }

  #pickRow(status: string): InvoiceRow | undefined {
    const rows = this.#rows().filter((row) => row.status === status)
    const priced = rows.filter(({ total }) => total > 0n)
    if (rows.length === 0) return undefined
    return this.#world.random.pick(priced.length > 0 ? priced : rows)
  }

  /** From where the account's last invoice ended to the last full second. */
  async #create(accountId: string, run: Run): Promise<void> {
    const own = this.#rows().filter(({ account_id: id, status }) => id === accountId && status !== 'void')
    const startMs = own.reduce((last, { period_end: end }) => Math.max(last, Number(end)), this.#startMs)
    await this.#createFor(accountId, { startMs, endMs: second(this.#world.nowMs()) }, run)
  }

  async #createFor(accountId: string, period: { startMs: number; endMs: number }, run: Run) {
    const { invoices, ledger } = this.#world.process()
    const account = ledger.findAccount(accountId)
    assert.ok(account)
    if (period.endMs > period.startMs) await run(invoices.create(account, { period, ...act }))
  }

  /** Everything that is open is brought to its end: payments are told until they are heard, and all is billed. */
  async finish(): Promise<void> {
    const { attempt, accountIds } = this.#world
    for (const payment of this.#payments.filter(({ confirmed }) => !confirmed)) {
      assert.ok(await attempt(this.#credit(payment)), `${payment.reference} is heard`)
      payment.confirmed = true
    }
    for (const { accountId, grantId } of this.#voids)
      assert.ok(
        await attempt(this.#world.process().ledger.voidGrant(accountId, grantId)),
        `${grantId} is void`,
      )
    await this.#finalizeAll()
    for (const row of this.#rows().filter(isVoid))
      if (!this.#rows().some((other) => !isVoid(other) && overlaps(row, other)))
        await this.#createFor(
          row.account_id,
          { startMs: Number(row.period_start), endMs: Number(row.period_end) },
          attempt,
        )
    await this.#finalizeAll()
    for (const id of accountIds) for (const gap of this.#gaps(id)) await this.#createFor(id, gap, attempt)
    await this.#finalizeAll()
  }

  /** What no invoice covers up to now: a draft may have been taken away. */
  #gaps(accountId: string): { startMs: number; endMs: number }[] {
    const own = this.#rows().filter((row) => row.account_id === accountId && !isVoid(row))
    const covered = own.map((row) => [Number(row.period_start), Number(row.period_end)] as const)
    covered.sort(([a], [b]) => a - b)
    const starts = [this.#startMs, ...covered.map(([, end]) => end)]
    const ends = [...covered.map(([start]) => start), second(this.#world.nowMs())]
    return starts.map((startMs, index) => ({ startMs, endMs: ends[index] ?? 0 }))
  }

  async #finalizeAll(): Promise<void> {
    for (const { id, status } of this.#rows())
      if (status === 'draft')
        assert.ok(
          await this.#world.attempt(this.#world.process().invoices.finalize(id, act)),
          `${id} is final`,
        )
  }

  /** Each payment became one grant, whatever was told how often. */
  checkPayments(): void {
    const rows = this.#world.disk.all<{
      reference: string
      account_id: string
      amount: bigint
      granted: bigint
    }>(
      'SELECT t.reference, t.account_id, t.amount, g.amount AS granted FROM top_up t JOIN credit_grant g ON g.id = t.grant_id',
    )
    const found = new Map(rows.map((row) => [row.reference, row]))
    assert.equal(found.size, rows.length)
    for (const { reference, accountId, amount, confirmed } of this.#payments) {
      const row = found.get(reference)
      if (row) assert.deepEqual([row.account_id, row.amount, row.granted], [accountId, amount, amount])
      else assert.ok(!confirmed, `${reference} was confirmed`)
    }
    const [count] = this.#world.disk.all<{ count: bigint }>(
      "SELECT count(*) AS count FROM credit_grant WHERE created_by LIKE 'top-up:%'",
    )
    assert.equal(Number(count?.count), found.size, 'no payment was credited twice')
  }

  /** All in all each account was billed what its calls cost, to the last digit. */
  checkBilled(records: readonly BookedRecord[]): void {
    const rows = this.#world.disk.all<{ account: string; amount: bigint }>(
      `SELECT i.account_id AS account, sum(p.amount) AS amount FROM invoice i JOIN invoice_period p ON p.invoice_id = i.id
       WHERE i.status IN ('finalized', 'paid', 'uncollectible') GROUP BY i.account_id`,
    )
    for (const id of this.#world.accountIds) {
      const cost = records
        .filter(({ accountId }) => accountId === id)
        .reduce((sum, record) => sum + record.cost, 0n)
      const billed = rows.find(({ account }) => account === id)?.amount ?? 0n
      assert.equal(formatAmount(billed), formatAmount(cost), `${id} is billed what its calls cost`)
    }
  }
}

/** Calls that run at the end of a period are late on its invoice. */
const second = (ms: number): number => Math.floor(ms / secondMs) * secondMs
const isVoid = ({ status }: InvoiceRow): boolean => status === 'void'

const overlaps = (a: InvoiceRow, b: InvoiceRow): boolean =>
  a.account_id === b.account_id && a.period_start < b.period_end && b.period_start < a.period_end

/** Refusals that the order of things may bring; whatever else is thrown is a fault. */
export const isRefused = (error: unknown): boolean =>
  ['store_unavailable', 'conflict', 'unprocessable', 'not_found'].includes((error as GatewayError).code)
