// The simulated world: clients, a server, time and a store that do what one seed says, and what must hold throughout.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { vi } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { CallIds, parseCallId } from '../../src/base/id.ts'
import { formatAmount, parseAmount } from '../../src/base/money.ts'
import { monthOf } from '../../src/base/zone.ts'
import { verify } from '../../src/billing/verify.ts'
import type { FakeExchange, FakeReply } from '../harness/calls.ts'
import { budgets, checkHeld, checkSpent } from './budgets.ts'
import { readRecords, readTransfers, type BookedRecord } from './books.ts'
import { costOf, monthly, monthlyCost, type ModelPrice, type ModelRule } from './model.ts'
import { server, startProcess, type Asked, type SimulatedProcess } from './process.ts'
import { isRefused, Paperwork, zones } from './paperwork.ts'
import { Random } from './random.ts'
import { Disk, SimulatedStore } from './store.ts'

/** One call as its client and its server know it. */
interface Told extends Asked {
  readonly reply: FakeReply
  readonly bytes: number
  readonly askedAtMs: number
  /** What the server did; undefined while it has done nothing. */
  ended?: { readonly outcome: string; readonly free: boolean; readonly bytes: number }
  left: boolean
  /** Its process was gone before it was answered. */
  orphaned: boolean
  /** Bytes of messages before the answer. */
  progressBytes: number
}

/** An account that is in another time zone from a millisecond on; of calls in that very one nobody knows. */
interface Move {
  readonly accountId: string
  readonly timeZone: string
  readonly atMs: number
}

const prices: readonly ModelPrice[] = [
  { perCall: '0.01' },
  { perCall: '1' },
  { perKb: '0.3', minimum: '0.001' },
  { perCall: '0.000000001234' },
  { perSecond: '0.02', perCall: '0.1' },
  { perCall: '0.5', perKb: '0.1', perSecond: '0.01', maximum: '0.9' },
  { perCall: '0' },
]
const everyOutcome = ['success', 'tool_error', 'error', 'timeout', 'cancelled', 'unknown'] as const
const prefixes = ['', 'a', 'ab', 'b'] as const
const monthlyTools: ReadonlySet<string> = new Set(Object.values(monthly).map(({ tool }) => tool))
const tools = ['a1', 'ab1', 'ab2', 'b1', 'c1'] as const
/** Turns of the event loop after which nothing moves any more by itself; a commit waits up to 16 for company. */
const restTurns = 20

export class World {
  readonly #random: Random
  readonly #disk: Disk
  readonly #clock = new ManualClock(Date.UTC(2026, 2, 27, 22))
  readonly #told: Told[] = []
  readonly #rules: ModelRule[] = []
  readonly #accounts: { readonly id: string; readonly prepaid: boolean }[] = []
  #store: SimulatedStore
  #process: SimulatedProcess | undefined
  #keys = 0
  #journal: string[] = []
  readonly #moves: Move[] = []
  readonly #paperwork: Paperwork

  constructor(seed: number, schema: string) {
    this.#random = new Random(seed)
    this.#disk = new Disk(schema)
    this.#store = new SimulatedStore(this.#disk)
    this.#paperwork = new Paperwork({
      random: this.#random,
      disk: this.#disk,
      accountIds: ['acc_0', 'acc_1', 'acc_2'],
      nowMs: () => this.#clock.now(),
      process: () => this.#gateway,
      risk: (work) => this.#risk(work),
      attempt: (work) => this.#attempt(work),
    })
  }

  /** What was done, for whoever looks into a failure. */
  get journal(): string {
    return this.#journal.join('\n')
  }

  async run(steps: number): Promise<void> {
    await this.#boot()
    await this.#populate()
    for (let step = 0; step < steps; step++) {
      await this.#step()
      await this.#rest()
      this.#checkMemory()
    }
    await this.#finish()
  }

  get #gateway(): SimulatedProcess {
    assert.ok(this.#process, 'a process runs')
    return this.#process
  }

  async #boot(): Promise<void> {
    this.#store = new SimulatedStore(this.#disk)
    this.#process = await this.#through(startProcess(this.#store, this.#clock))
  }

  async #populate(): Promise<void> {
    for (const prepaid of [true, true, false]) {
      const id = `acc_${this.#accounts.length}`
      await this.#through(this.#gateway.ledger.addAccount({ id, kind: 'user', name: id }))
      if (!prepaid) await this.#through(this.#gateway.ledger.changeAccount(id, { mode: 'postpaid' }))
      this.#accounts.push({ id, prepaid })
    }
    for (const { tool, price } of Object.values(monthly)) {
      const input = { name: tool, currency: 'USD', priority: 100, match: { tool }, price }
      await this.#through(this.#gateway.rules.create(input))
    }
    for (const budget of budgets) await this.#through(this.#gateway.budgets.create(budget))
    await this.#grant()
    await this.#changeRule()
  }

  async #step(): Promise<void> {
    const action = this.#random.weighted({
      ask: 30,
      answer: 25,
      store: 30,
      pass: 10,
      leave: 3,
      grant: 3,
      rule: 3,
      pay: 3,
      bill: 8,
      zone: 1,
      correct: 3,
      crash: 1,
    })
    this.#journal.push(`${new Date(this.#clock.now()).toISOString()} ${action}`)
    if (action === 'ask') this.#ask()
    else if (action === 'answer') this.#answer()
    else if (action === 'store') this.#store.decide(this.#fate())
    else if (action === 'pass') await this.#pass()
    else if (action === 'leave') this.#leave()
    else if (action === 'grant') await this.#grant()
    else if (action === 'rule') await this.#changeRule()
    else if (action === 'pay') await this.#paperwork.pay()
    else if (action === 'bill') await this.#paperwork.bill()
    else if (action === 'correct') await this.#paperwork.correct()
    else if (action === 'zone') await this.#changeZone()
    else await this.#crash()
  }

  #fate() {
    return this.#random.weighted({ done: 94, failed: 4, lost: 2 })
  }

  #ask(): void {
    for (let count = this.#random.whole(1, 4); count > 0; count--) this.#askOnce()
  }

  #askOnce(): void {
    const random = this.#random
    const before = this.#told.findLast(({ key }) => key !== undefined)
    const again = before !== undefined && random.chance(15)
    const key = again ? before.key : random.chance(30) ? `key-${this.#keys++}` : undefined
    const accountId = again ? before.accountId : random.pick(this.#accounts).id
    const tool = again ? before.tool : random.pick(random.chance(50) ? [...monthlyTools] : tools)
    const padding = again ? before.padding : random.whole(0, 3000)
    const asked: Asked = { number: this.#told.length, accountId, tool, key, padding }
    const told = { ...asked, ...this.#gateway.ask(asked), askedAtMs: this.#clock.now() }
    this.#told.push({ ...told, left: false, orphaned: false, progressBytes: 0 })
  }

  /** The exchanges that wait for the server, with their calls. */
  #open(): { exchange: FakeExchange; told: Told }[] {
    return this.#gateway.upstream.sent.flatMap((exchange) => {
      const told = this.#told[Number(exchange.request?.message.id)]
      return told && !told.ended && !exchange.aborted ? [{ exchange, told }] : []
    })
  }

  #answer(): void {
    const open = this.#open()
    if (open.length === 0) return
    const { exchange, told } = this.#random.pick(open)
    const kind = this.#random.weighted({
      success: 60,
      progress: 10,
      toolError: 8,
      error: 6,
      refused: 6,
      broken: 5,
      unsent: 5,
    })
    const id = told.number
    const text = 'y'.repeat(this.#random.whole(0, 5000))
    const message = (more: object): { jsonrpc: '2.0' } => ({ jsonrpc: '2.0', id, ...more }) as never
    const answer = (outcome: string, more: object, free = false): void => {
      const whole = message(more)
      const bytes = Buffer.byteLength(JSON.stringify(whole)) + told.progressBytes
      told.ended = { outcome, free, bytes }
      if (told.progressBytes > 0) exchange.event(whole).end()
      else exchange.json(whole)
    }
    if (kind === 'success') answer('success', { result: { content: [{ type: 'text', text }] } })
    else if (kind === 'toolError') answer('tool_error', { result: { isError: true, content: [] } })
    else if (kind === 'error') answer('error', { error: { code: -32603, message: text } })
    else if (kind === 'refused') answer('error', { error: { code: -32602, message: 'no' } }, true)
    else if (kind === 'progress') {
      const params = { progressToken: id, progress: 1, message: text }
      const note = { jsonrpc: '2.0', method: 'notifications/progress', params }
      if (told.progressBytes === 0) exchange.head({ contentType: 'event-stream' })
      told.progressBytes += Buffer.byteLength(JSON.stringify(note))
      exchange.event(note)
    } else {
      const sent = kind === 'broken'
      told.ended = { outcome: sent ? 'unknown' : 'error', free: !sent, bytes: told.progressBytes }
      exchange.fail({ sent })
    }
  }

  #leave(): void {
    const waiting = this.#told.filter(
      ({ reply, orphaned, left }) => reply.answers === 0 && !orphaned && !left,
    )
    if (waiting.length === 0) return
    const told = this.#random.pick(waiting)
    told.left = true
    told.reply.leave()
  }

  /** Time passes: by little while calls run, by up to weeks while none does. */
  async #pass(): Promise<void> {
    const busy = this.#gateway.relay.inFlight > 0
    const ms = busy
      ? this.#random.whole(1, 20_000)
      : this.#random.whole(1, 3) * this.#random.pick([1000, 3_600_000, 86_400_000])
    const most = busy ? 500 : Math.ceil(ms / 20)
    for (let left = ms; left > 0; left -= most) {
      const slice = Math.min(most, left)
      this.#clock.advance(slice)
      await vi.advanceTimersByTimeAsync(slice)
    }
  }

  async #grant(): Promise<void> {
    const { id } = this.#random.pick(this.#accounts)
    const amount = parseAmount(this.#random.pick(['0.5', '2', '10', '0.03'])) ?? 0n
    const expiresAtMs = this.#random.chance(30)
      ? this.#clock.now() + this.#random.whole(1, 40) * 3_600_000
      : undefined
    const priority = this.#random.whole(0, 2)
    const input = { amount, priority, createdBy: 'test', ...(expiresAtMs !== undefined && { expiresAtMs }) }
    await this.#attempt(this.#gateway.ledger.grant(id, input))
  }

  async #changeRule(): Promise<void> {
    const random = this.#random
    const price = random.pick(prices)
    const billOn = random.chance(50) ? (['success'] as const) : everyOutcome
    // Calls of this very millisecond have their price already.
    const fromMs = this.#clock.now() + (random.chance(30) ? random.whole(1, 7_200_000) : 1)
    const effectiveFrom = new Date(fromMs).toISOString()
    const known = this.#rules.length >= prefixes.length || (this.#rules.length > 0 && random.chance(50))
    const rule = known ? random.pick(this.#rules) : undefined
    if (rule) {
      // A version speaks from its start on; one that began before the latest would never be heard.
      const latestMs = Math.max(...rule.versions.map((version) => version.fromMs))
      if (fromMs < latestMs) return
      const { rules } = this.#gateway
      if (await this.#attempt(rules.change(rule.id, { price, billOn: [...billOn], effectiveFrom })))
        rule.versions.push({ fromMs, price, billOn })
      return
    }
    const prefix = prefixes[this.#rules.length] ?? ''
    const priority = 10 * this.#rules.length
    const input = {
      name: `rule ${prefix}`,
      priority,
      currency: 'USD',
      match: { tool: `${prefix}**` },
      price,
      billOn: [...billOn],
      effectiveFrom,
    }
    const made = await this.#attempt(this.#gateway.rules.create(input))
    if (made) this.#rules.push({ id: made.ruleId, prefix, priority, versions: [{ fromMs, price, billOn }] })
  }

  async #changeZone(): Promise<void> {
    const { id } = this.#random.pick(this.#accounts)
    const timeZone = this.#random.pick(zones)
    const atMs = this.#clock.now()
    if (await this.#attempt(this.#gateway.ledger.changeAccount(id, { timeZone })))
      this.#moves.push({ accountId: id, timeZone, atMs })
    this.#clock.advance(1)
  }

  /** Work whose writes and reads may fail, be lost, or be cut off by a kill. */
  async #risk<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const state = { open: true }
    const done = work.finally(() => (state.open = false))
    done.catch(() => {})
    while (state.open) {
      if (this.#random.whole(0, 300) === 0) {
        this.#journal.push('crash')
        await this.#crash()
        return undefined
      }
      this.#store.decide(this.#fate())
      await turn()
    }
    try {
      return await done
    } catch (error) {
      if (isRefused(error)) return undefined
      throw error
    }
  }

  /** The process is killed; what was on its way to the disk arrives in part, and another process begins. */
  async #crash(): Promise<void> {
    this.#store.crash(this.#random.whole(0, this.#store.waiting))
    for (const told of this.#told) if (told.reply.answers === 0) told.orphaned = true
    vi.clearAllTimers()
    await this.#boot()
    await this.#checkBooks()
  }

  /** Everything that waits for the store goes well until the work is done; a refusal of the store itself may be one. */
  async #attempt<Result>(work: Promise<Result>): Promise<Result | undefined> {
    try {
      return await this.#through(work)
    } catch (error) {
      if ((error as { code?: string }).code === 'store_unavailable') return undefined
      throw error
    }
  }

  async #through<Result>(work: Promise<Result>): Promise<Result> {
    const state = { open: true }
    const done = work.finally(() => (state.open = false))
    done.catch(() => {})
    while (state.open) {
      this.#store.decide('done')
      await turn()
    }
    return done
  }

  async #rest(): Promise<void> {
    for (let count = 0; count < restTurns; count++) await turn()
  }

  /** What memory says at any moment. */
  #checkMemory(): void {
    for (const { id, prepaid } of this.#accounts) {
      const { balance, held } = this.#gateway.ledger.totals(id)
      assert.ok(held >= 0n, `${id} holds ${held}`)
      if (prepaid) assert.ok(balance >= 0n, `${id} has ${formatAmount(balance)}`)
    }
    checkHeld(this.#gateway.budgets)
    for (const { reply, number } of this.#told)
      assert.ok(reply.answers <= 1, `call ${number} is answered once`)
  }

  async #finish(): Promise<void> {
    for (let rounds = 0; this.#gateway.relay.inFlight > 0 || rounds === 0; rounds++) {
      assert.ok(rounds < 1000, 'every call ends')
      while (this.#open().length > 0) this.#answer()
      await this.#settle()
    }
    const { ledger, relay } = this.#gateway
    assert.equal(relay.inFlight, 0)
    for (const { id } of this.#accounts) assert.equal(ledger.totals(id).held, 0n, `nothing is held on ${id}`)
    for (const { reply, orphaned, left, number } of this.#told)
      assert.ok(reply.answers === 1 || orphaned || left, `call ${number} got an answer`)
    await this.#passHour()
    await this.#paperwork.finish()
    this.#paperwork.checkBilled(await this.#checkBooks())
    await this.#lastProcess()
  }

  /** The last invoices then have all calls. */
  async #passHour(): Promise<void> {
    this.#clock.advance(3_600_000)
    await vi.advanceTimersByTimeAsync(3_600_000)
    await this.#settle()
  }

  /** The store takes everything until nothing waits, and a failed writer has healed. */
  async #settle(): Promise<void> {
    for (let rounds = 0; rounds < 1000; rounds++) {
      this.#store.decide('done')
      await this.#rest()
      if (this.#store.waiting > 0) continue
      if (this.#gateway.writer.accepting) return
      this.#clock.advance(600)
      await vi.advanceTimersByTimeAsync(600)
    }
    throw new Error('the store never came to rest')
  }

  /** A process that starts over this disk finds the same balances; an expiry may still have to be written. */
  async #lastProcess(): Promise<void> {
    const figures = () => [
      ...this.#accounts.map(({ id }) => {
        const { expired: _, ...rest } = this.#gateway.ledger.totals(id)
        return rest
      }),
      ...this.#gateway.budgets.list().map(({ id }) => this.#gateway.budgets.state(id).spent),
    ]
    const before = figures()
    vi.clearAllTimers()
    await this.#boot()
    assert.deepEqual(figures(), before)
  }

  async #checkBooks(): Promise<BookedRecord[]> {
    const records = readRecords(this.#disk)
    const byId = new Map(records.map((record) => [record.id, record]))
    for (const told of this.#told) this.#checkAnswer(told, byId)
    for (const record of records) this.#checkRecord(record)
    checkKeys(records)
    checkMonths(records, this.#moves)
    this.#paperwork.checkPayments()
    this.#checkBalances(records)
    checkSpent(this.#gateway.budgets, this.#disk, records)
    const { audited, rules } = this.#gateway
    const { ok, differences } = await this.#through(verify({ ...audited, rules }))
    assert.ok(ok, JSON.stringify(differences))
    return records
  }

  /** Who has an answer finds its record, at the cost that it was told. */
  #checkAnswer({ reply, number, key }: Told, byId: ReadonlyMap<bigint, BookedRecord>): void {
    const { callId, cost } = reply.answer ?? {}
    checkRefusal(reply)
    if (callId === undefined || storeFailed(reply)) return
    const record = byId.get(parseCallId(callId) ?? 0n)
    assert.ok(record, `call ${number} was answered as ${callId}, which is not on the disk`)
    if (record.number !== number) {
      assert.equal(record.key, key ?? null, `call ${number} repeats a call with its key`)
      assert.equal(cost, '0')
    } else if (!isRefusal(reply)) assert.equal(cost, formatAmount(record.cost), `cost of call ${number}`)
  }

  #checkRecord(record: BookedRecord): void {
    const told = this.#told[record.number]
    assert.ok(told, 'a record belongs to a call')
    assert.equal(record.requestBytes, told.bytes)
    if (record.outcome === 'denied') return assert.equal(record.cost, 0n)
    const { ended } = told
    const byServer = ended?.outcome === record.outcome
    const bytes = byServer ? ended.bytes : told.progressBytes
    assert.ok(
      byServer || (record.outcome === 'cancelled' && told.left) || record.outcome === 'timeout',
      `call ${record.number} ended as ${ended?.outcome} and is recorded as ${record.outcome}`,
    )
    if (record.outcome === 'timeout') assert.ok(record.durationUs >= server.timeouts.callMs * 1000)
    else assert.equal(record.responseBytes, bytes)
    const call = {
      tool: record.tool,
      atMs: CallIds.timeMs(record.id),
      outcome: record.outcome,
      free: byServer && ended.free,
      bytes: record.requestBytes + record.responseBytes,
      durationUs: record.durationUs,
    }
    // These are checked as sums.
    if (monthlyTools.has(record.tool)) return
    const expected = costOf(this.#rules, call)
    // What the balance or a budget does not cover of the last moments is the only thing that is not charged.
    if (record.cost < expected && record.durationUs > 1_000_000) return
    assert.equal(record.cost, expected, `cost of call ${record.number} (${record.tool}, ${record.outcome})`)
  }

  #checkBalances(records: readonly BookedRecord[]): void {
    const transfers = readTransfers(this.#disk)
    for (const { id, prepaid } of this.#accounts) {
      const { granted, charged, expired } = transfers.get(id) ?? { granted: 0n, charged: 0n, expired: 0n }
      const costs = records
        .filter(({ accountId }) => accountId === id)
        .reduce((sum, { cost }) => sum + cost, 0n)
      assert.equal(charged, costs, `charges of ${id}`)
      if (prepaid) assert.ok(granted - charged - expired >= 0n, `${id} is overspent`)
    }
  }
}

/** Nobody is refused for lack of money while there is enough. */
function checkRefusal(reply: FakeReply): void {
  if (!reply.answer) return
  const said = reply.json.result?.['structuredContent'] as Record<string, string> | undefined
  if (said?.['code'] !== 'balance_exhausted') return
  const nano = (name: string): bigint => parseAmount(said[name] ?? '') ?? 0n
  assert.ok(nano('required') > nano('balance') - nano('held'), JSON.stringify(said))
}

const isRefusal = (reply: FakeReply): boolean => reply.answer?.cost === '0'
const storeFailed = (reply: FakeReply): boolean =>
  Buffer.from(reply.answer?.bytes ?? []).includes('store_unavailable')

/** The calls of a month cost together what their sums cost, whatever the order in which they came and were settled. */
function checkMonths(records: readonly BookedRecord[], moves: readonly Move[]): void {
  const billed = records.filter(({ tool, outcome }) => monthlyTools.has(tool) && outcome === 'success')
  const months = Map.groupBy(billed, ({ id, accountId, tool }) => {
    const atMs = CallIds.timeMs(id)
    const own = moves.filter((move) => move.accountId === accountId)
    if (own.some((move) => move.atMs === atMs)) return `unclear ${accountId}`
    const zone = own.findLast((move) => move.atMs < atMs)?.timeZone ?? 'UTC'
    return `${tool} ${accountId} ${monthOf(atMs, zone).startMs}`
  })
  for (const [name, all] of months) {
    const [tool = '', accountId = ''] = name.split(' ')
    if (months.has(`unclear ${accountId}`)) continue
    const bytes = all.reduce((sum, { requestBytes, responseBytes }) => sum + requestBytes + responseBytes, 0)
    const cost = all.reduce((sum, record) => sum + record.cost, 0n)
    assert.equal(cost, monthlyCost(tool, { calls: all.length, bytes }), name)
  }
}

/** One key, one call that ran and is recorded, whatever was tried with it. */
function checkKeys(records: readonly BookedRecord[]): void {
  const ran = new Set<string>()
  for (const { accountId, key, outcome, error } of records) {
    if (
      key === null ||
      !['success', 'tool_error', 'unknown', 'timeout'].includes(outcome) ||
      error === 'upstream_unavailable'
    )
      continue
    const name = `${accountId} ${key}`
    assert.ok(!ran.has(name), `the key ${name} ran twice`)
    ran.add(name)
  }
}
