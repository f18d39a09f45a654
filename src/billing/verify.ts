// The last checker: recomputes every cost, rollup and balance from what lies under it, and names what differs.
import { randomBytes } from 'node:crypto'
import { CallIds, formatCallId } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { CompiledRule } from '../pricing/choice.ts'
import { rollupMs } from '../usage/record.ts'
import { dayMs } from '../usage/retention-store.ts'
import { Differences, type Difference } from './differences.ts'
import { findCostProblem } from './record-check.ts'
import { checkBudgets, MeterCheck } from './spend-check.ts'
import type { AuditedTransfer, AuditStore, RecheckedBalance } from './store.ts'
import { checkCubes, checkDropped, DailyCharges } from './sum-check.ts'
import { findTransferProblem } from './transfer-check.ts'

export interface VerifyOptions {
  readonly store: AuditStore
  /** The rule book: all versions, of retired rules too; `reload` takes over what other nodes have written. */
  readonly rules: {
    findVersion(ruleId: string, version: number): CompiledRule | undefined
    reload(): Promise<void>
  }
  /** Compares invoices and credit notes with what was issued; returns how many there are. */
  readonly checkDocuments: (
    tell: (problem: Omit<Difference, 'kind'>) => void,
    signal?: AbortSignal,
  ) => Promise<number>
  readonly maxDifferences?: number
  readonly pageRows?: number
  /** Stops the work between two pages; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface VerifyCounts {
  readonly records: number
  /** Quarter-hours whose rollups were compared. */
  readonly rollups: number
  readonly transfers: number
  readonly balances: number
  readonly grants: number
  readonly budgets: number
  readonly meters: number
  readonly documents: number
}

export interface VerifyResult {
  readonly ok: boolean
  /** Records that were recomputed. */
  readonly checked: number
  readonly counts: VerifyCounts
  /** All differences; `differences` names the first of them. */
  readonly differenceCount: number
  readonly differences: readonly Difference[]
}

interface Fold {
  debits: bigint
  credits: bigint
}

const balancesAtOnce = 500
const maxId = 2n ** 63n - 1n

/**
 * Compares records, rollups and ledger. It may run while the gateway writes. A record, its transfers and its rollups
 * commit together and rows are only ever added, so what belongs together is either compared inside one statement (one
 * state of the store), or streamed by pages and, where the streams differ, compared again inside one statement: what
 * was only written in between is then gone, and what is left is a difference. Memory does not grow with the records.
 */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  const audit = new Audit(options)
  await audit.run()
  const { list, count } = audit.differences
  return {
    ok: count === 0,
    checked: audit.counts.records,
    counts: audit.counts,
    differenceCount: count,
    differences: list,
  }
}

class Audit {
  readonly differences: Differences
  readonly counts = {
    records: 0,
    rollups: 0,
    transfers: 0,
    balances: 0,
    grants: 0,
    budgets: 0,
    meters: 0,
    documents: 0,
  }
  readonly #store: AuditStore
  readonly #rules: VerifyOptions['rules']
  readonly #checkDocuments: VerifyOptions['checkDocuments']
  readonly #signal: AbortSignal | undefined
  readonly #pageRows: number
  readonly #maxDifferences: number
  /** For each quarter-hour of arrival: weighted costs of its records less the weighted amounts of their charges. */
  readonly #open = new Map<number, bigint>()
  readonly #weightKey = randomBytes(8).readBigUInt64LE()
  readonly #folds = new Map<bigint, Fold>()
  readonly #daily = new DailyCharges()
  #droppedDays: ReadonlySet<number> = new Set()

  constructor(options: VerifyOptions) {
    const { store, rules, maxDifferences = 100, pageRows = 1000, signal } = options
    this.#store = store
    this.#checkDocuments = options.checkDocuments
    this.#rules = rules
    this.#signal = signal
    this.#pageRows = pageRows
    this.#maxDifferences = maxDifferences
    this.differences = new Differences(maxDifferences)
  }

  async run(): Promise<void> {
    const meters = await MeterCheck.begin(this.#store.spends)
    // An audit ends where the store ends now, however fast it grows.
    const newest = await this.#store.newest()
    await this.#loadDropped()
    await this.#checkRecords(newest.record, meters)
    await this.#checkTransfers(newest.transfer)
    await this.#checkCharges()
    await this.#checkGrants()
    const buckets = await this.#checkRollups(newest.bucket)
    const check = { store: this.#store.sums, differences: this.differences, limit: this.#maxDifferences }
    const signal = this.#signal
    await checkDropped({ ...check, signal }, this.#daily)
    await checkCubes({ ...check, signal }, buckets)
    await this.#checkBalances()
    await this.#checkSpends(newest.record, meters)
    const tell = (problem: Omit<Difference, 'kind'>) => this.differences.add('invoice', problem.id, problem)
    this.counts.documents = await this.#checkDocuments(tell, signal)
  }

  async #checkSpends(newest: bigint, meters: MeterCheck): Promise<void> {
    const { spends } = this.#store
    await this.#loadDropped()
    const droppedDays = this.#droppedDays
    this.counts.meters = await meters.end(spends, this.differences, droppedDays.size === 0)
    this.counts.budgets = await checkBudgets({
      store: spends,
      differences: this.differences,
      newest,
      droppedDays,
      signal: this.#signal,
    })
  }

  async #loadDropped(): Promise<void> {
    this.#droppedDays = new Set((await this.#store.sums.dropped()).map(({ day }) => day))
  }

  /** Whether records of this time may be gone; another process may have dropped them meanwhile. */
  async #isDropped(timeMs: number): Promise<boolean> {
    const day = Math.floor(timeMs / dayMs)
    if (!this.#droppedDays.has(day)) await this.#loadDropped()
    return this.#droppedDays.has(day)
  }

  async #checkRecords(until: bigint, meters: MeterCheck): Promise<void> {
    const find = (ruleId: string, version: number) => this.#rules.findVersion(ruleId, version)
    let reloaded = false
    await this.#eachPage(
      (after) => this.#store.records({ after, until }, this.#pageRows),
      async (record) => {
        this.counts.records++
        let expected = findCostProblem(record, find)
        if (expected !== undefined && !reloaded) {
          // Another node may have made the rule meanwhile.
          await this.#rules.reload()
          reloaded = true
          expected = findCostProblem(record, find)
        }
        if (expected !== undefined)
          this.differences.add('record', formatCallId(record.id), {
            expected,
            actual: formatAmount(record.cost),
          })
        const version =
          record.rule_id === null ? undefined : find(record.rule_id, Number(record.rule_version))
        if (version) meters.add(record, version)
        this.#weigh(record.id, record.cost)
      },
    )
  }

  async #checkTransfers(until: bigint): Promise<void> {
    await this.#eachPage(
      (after) => this.#store.transfers({ after, until }, this.#pageRows),
      (transfer) => {
        this.counts.transfers++
        const { kind, debit, credit, amount, record } = transfer
        const charged = kind === 'charge' ? amount : kind === 'reprice' ? -amount : 0n
        if (charged !== 0n && record !== null) {
          this.#weigh(record, -charged)
          this.#daily.add(CallIds.timeMs(record), transfer.debit_currency ?? '', charged)
        }
        this.#foldOf(debit).debits += amount
        this.#foldOf(credit).credits += amount
        if (record === null || transfer.found_record !== null) return this.#judge(transfer, false)
        return this.#isDropped(CallIds.timeMs(record)).then((dropped) => this.#judge(transfer, dropped))
      },
    )
  }

  #judge(transfer: AuditedTransfer, dropped: boolean): void {
    const problem = findTransferProblem(transfer, dropped)
    if (problem) this.differences.add('transfer', transfer.id.toString(), problem)
  }

  /**
   * Each record stands for a random number, so a quarter-hour comes out at zero only if the charges of every single
   * record in it sum to its cost; the few that do not (written in between, or wrong) are looked at one by one.
   */
  async #checkCharges(): Promise<void> {
    for (const [bucket, sum] of this.#open) {
      if (sum === 0n) continue
      this.#signal?.throwIfAborted()
      for (const { id, cost, charged } of await this.#store.chargeDifferences(bucket, this.#maxDifferences))
        this.#compare('charge', formatCallId(id), [cost, charged])
    }
  }

  /** Returns the quarter-hours that have any. */
  async #checkRollups(lastBucket: number): Promise<number[]> {
    const buckets: number[] = []
    let next = await this.#store.nextBucket(0)
    while (next !== undefined && next <= lastBucket) {
      this.#signal?.throwIfAborted()
      this.counts.rollups++
      buckets.push(next)
      const found = await this.#store.rollupDifferences(next, this.#maxDifferences)
      const dropped = found.length > 0 && (await this.#isDropped(next * rollupMs))
      for (const { name, ...sums } of dropped ? [] : found) {
        const id = `${new Date(next * rollupMs).toISOString()} ${name}`
        this.differences.add('rollup', id, {
          expected: `${sums.record_calls} calls, ${formatAmount(sums.record_cost)}`,
          actual: `${sums.rollup_calls} calls, ${formatAmount(sums.rollup_cost)}`,
        })
      }
      next = await this.#store.nextBucket(next + 1)
    }
    return buckets
  }

  async #checkBalances(): Promise<void> {
    const suspects: bigint[] = []
    const rest = new Set(this.#folds.keys())
    await this.#eachPage(
      (after) => this.#store.balances({ after, until: maxId }, this.#pageRows),
      ({ id, kind, debits, credits }) => {
        this.counts.balances++
        rest.delete(id)
        const fold = this.#folds.get(id)
        if (kind === null)
          this.differences.add('balance', id.toString(), { expected: 'a ledger account', actual: 'none' })
        else if ((fold?.debits ?? 0n) !== debits || (fold?.credits ?? 0n) !== credits) suspects.push(id)
        if (kind === 'grant' && debits > credits)
          this.differences.add('balance', id.toString(), {
            expected: `at most ${formatAmount(credits)} spent`,
            actual: formatAmount(debits),
          })
      },
    )
    suspects.push(...rest)
    while (suspects.length > 0) {
      this.#signal?.throwIfAborted()
      const rows = await this.#store.recheckBalances(suspects.splice(0, balancesAtOnce))
      for (const row of rows) this.#checkBalance(row)
    }
    for (const { currency, debits, credits } of await this.#store.balanceTotals())
      this.#compare('total', currency, [debits, credits])
  }

  #checkBalance({ id, debits, credits, sent, received }: RecheckedBalance): void {
    this.#compare('balance', `${id} debits`, [sent, debits])
    this.#compare('balance', `${id} credits`, [received, credits])
  }

  /** Nothing but its own transfer is ever credited to a grant. */
  async #checkGrants(): Promise<void> {
    for (let after = ''; ;) {
      this.#signal?.throwIfAborted()
      const page = await this.#store.grants(after, this.#pageRows)
      this.counts.grants += page.length
      for (const { id, amount, received } of page) this.#compare('grant', id, [amount, received])
      const last = page.at(-1)
      if (!last || page.length < this.#pageRows) return
      after = last.id
    }
  }

  /** Runs `check` on every row; the read of each page lets other work of the process pass. */
  async #eachPage<Row extends { readonly id: bigint }>(
    read: (after: bigint) => Promise<Row[]>,
    check: (row: Row) => Promise<void> | void,
  ): Promise<void> {
    for (let after = -(2n ** 63n); ;) {
      this.#signal?.throwIfAborted()
      const page = await read(after)
      for (const row of page) {
        const waiting = check(row)
        if (waiting) await waiting
      }
      const last = page.at(-1)
      if (!last || page.length < this.#pageRows) return
      after = last.id
    }
  }

  #compare(kind: Difference['kind'], id: string, [expected, actual]: readonly [bigint, bigint]): void {
    if (expected !== actual)
      this.differences.add(kind, id, { expected: formatAmount(expected), actual: formatAmount(actual) })
  }

  #weigh(record: bigint, amount: bigint): void {
    if (amount === 0n) return
    const bucket = Math.floor(CallIds.timeMs(record) / rollupMs)
    this.#open.set(bucket, (this.#open.get(bucket) ?? 0n) + weightOf(record ^ this.#weightKey) * amount)
  }

  #foldOf(ledgerAccount: bigint): Fold {
    const known = this.#folds.get(ledgerAccount)
    if (known) return known
    const fresh = { debits: 0n, credits: 0n }
    this.#folds.set(ledgerAccount, fresh)
    return fresh
  }
}

/** Spreads a number over 64 bits (the finaliser of MurmurHash3). */
function weightOf(value: bigint): bigint {
  let mixed = BigInt.asUintN(64, value)
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 33n)) * 0xff51afd7ed558ccdn)
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 33n)) * 0xc4ceb9fe1a85ec53n)
  return mixed ^ (mixed >> 33n)
}
