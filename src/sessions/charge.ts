// The money of one call: the rule in force when it arrived, the hold while it runs, and the record it ends in.
import { assert, GatewayError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { formatCallId } from '../base/id.ts'
import type { CallHold, Funds, FundsEntry } from '../ledger/funds.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { booksOf } from '../ledger/account-books.ts'
import type { CompiledRule } from '../pricing/choice.ts'
import type { Outcome, Quantities } from '../pricing/price.ts'
import { isFixed, rate, worstCase, type CallCaps } from '../pricing/rating.ts'
import type { Periods } from '../pricing/periods.ts'
import type { RuleBook } from '../pricing/rules.ts'
import type { UsageReport } from '../registry/server.ts'
import type { MeterCount, Meters } from '../usage/meters.ts'
import type { OpenCall, OpenCalls } from '../usage/open-calls.ts'
import type { UsageRecord } from '../usage/record.ts'
import type { UsageWriter } from '../usage/writer.ts'
import type { PaymentCharge } from '../x402/store.ts'
import type { Quote } from '../x402/terms.ts'
import { Counting } from './counting.ts'
import type { KeptAnswer } from './kept-store.ts'
import type { TaskOwner } from './tasks/store.ts'
import type { CallPayment } from './paid-calls.ts'
import { SettledCall, withPayment, type Settled } from './settled.ts'
import type { TopUpLinks } from './top-up-links.ts'
import { maxCostOf, type Measure } from './measure.ts'

/** What is known of a call when it arrives; everything on its record that does not depend on the answer. */
export type CallOrigin = Pick<
  UsageRecord,
  | 'userId'
  | 'accountId'
  | 'keyId'
  | 'sessionId'
  | 'serverId'
  | 'server'
  | 'method'
  | 'tool'
  | 'transport'
  | 'upstreamTransport'
  | 'era'
  | 'upstreamEra'
  | 'requestBytes'
  | 'client'
  | 'idempotencyKey'
>

/** How a call ended, and what the server reports of it. */
export interface CallEnd extends Measure {
  readonly outcome: Outcome
  readonly statusCode: number
  /** Bytes of all messages that the server sent for this call, without their framing. */
  readonly responseBytes: number
  /** Never sent, or refused by the server as malformed: the hold is released without a charge. */
  readonly free: boolean
  readonly error?: string
}

/** The end of a call that was refused before anything was sent. */
export const denied = (refusal: GatewayError): CallEnd => ({
  outcome: 'denied',
  statusCode: refusal.status,
  responseBytes: 0,
  free: true,
  error: refusal.code,
})

export type SettledListener = (error: GatewayError | undefined, settled: Settled) => void

/** What commits together with a usage record. */
export type CommitExtra = FundsEntry | KeptAnswer | MeterCount | PaymentCharge | TaskOwner

export interface MeteringOptions {
  readonly clock: Clock
  /** Gives ids to calls, and knows which of them have not ended. */
  readonly openCalls: OpenCalls
  readonly rules: RuleBook
  readonly ledger: Ledger
  readonly meters: Meters
  readonly periods: Periods
  /** The wallets of the ledger and the budgets, together. */
  readonly funds: Funds
  readonly writer: UsageWriter<CommitExtra>
  /** Says in a refusal where to top up; absent where there is nowhere to. */
  readonly topUpLinks?: TopUpLinks | undefined
  /** Hears of each call once it is durable. */
  readonly onSettled: (settled: Settled) => void
}

/** What a hold covers at first; it grows with the answer, so that a large cap does not starve parallel calls. */
const firstCoverBytes = 4096
const firstCoverUs = 1_000_000

/** One call's rule, hold and record. Settled exactly once. */
export class Charge {
  readonly origin: CallOrigin
  readonly id: bigint
  /** The public id of the record that this call will have. */
  readonly callId: string
  readonly #options: MeteringOptions
  readonly #openCall: OpenCall
  readonly #startedMs: number
  readonly #rule: CompiledRule | undefined
  readonly currency: string
  readonly report: UsageReport | undefined
  readonly #counting: Counting | undefined
  /** How it was sent; knows the era in which the server was spoken to, where that is not the caller's. */
  way: { readonly era?: CallOrigin['upstreamEra'] | undefined } | undefined
  #hold: CallHold | undefined
  #payment: CallPayment | undefined
  #coveredBytes: number
  #coveredUs = firstCoverUs
  #settled = false
  #coverTimer: NodeJS.Timeout | undefined

  constructor(origin: CallOrigin, report: UsageReport | undefined, options: MeteringOptions) {
    const { clock, openCalls, ledger, rules } = options
    const account = ledger.findAccount(origin.accountId)
    assert(account, 'every caller has an account')
    this.origin = origin
    this.#options = options
    this.#startedMs = clock.monotonicMs()
    this.currency = account.currency
    this.report = report
    this.#coveredBytes = origin.requestBytes + firstCoverBytes
    const atMs = clock.now()
    const { server, method, tool, userId: user, accountId, transport } = origin
    const facts = {
      server,
      method,
      user,
      account: accountId,
      transport,
      currency: account.currency,
      books: booksOf(account, ledger),
      atMs,
      tool,
    }
    this.#rule = rules.findRule(facts)
    this.#counting = this.#startCounting(account.timeZone, atMs)
    // At last, since it has to be closed again.
    this.#openCall = openCalls.open()
    this.id = this.#openCall.id
    this.callId = formatCallId(this.id)
  }

  /** Where the price goes by the quantities of a period: of the one in which the call arrived. */
  #startCounting(timeZone: string, atMs: number): Counting | undefined {
    const cumulative = this.#rule?.rates.cumulative
    if (!this.#rule || !cumulative) return undefined
    const { meters, periods } = this.#options
    const { accountId, keyId, sessionId } = this.origin
    const subjects = { account: accountId, key: keyId, session: sessionId }
    const meter = meters.of({
      ruleId: this.#rule.rule.ruleId,
      unit: cumulative.unit,
      subject: subjects[cumulative.per] ?? accountId,
      periodMs: periods.startOf(cumulative.period, timeZone, atMs),
    })
    return new Counting(meters, meter, cumulative)
  }

  /** What the call may cost, before it is opened; at most for an answer of so many bytes in so much time. */
  quote({ responseBytes, durationMs }: { responseBytes: number; durationMs: number }): Quote {
    const bytes = Math.max(this.origin.requestBytes + responseBytes, this.#coveredBytes)
    const least = this.#worst(this.#coveredBytes, this.#coveredUs)
    const most = this.#worst(bytes, Math.max(durationMs * 1000, this.#coveredUs))
    this.#counting?.release()
    return { least, most, isFixed: !this.#rule || isFixed(this.#rule.rates), currency: this.currency }
  }

  /** Takes the first hold; returns the refusal where the account, or the payment for this call, does not cover it. */
  open(payment?: CallPayment): GatewayError | undefined {
    try {
      return this.#takeHold(payment)
    } catch (error) {
      this.drop()
      throw error
    }
  }

  /** It is not begun after all: there will be no record. */
  drop(): void {
    this.#options.openCalls.close(this.#openCall)
  }

  #takeHold(payment: CallPayment | undefined): GatewayError | undefined {
    const required = this.#worst(this.#coveredBytes, this.#coveredUs)
    const { funds } = this.#options
    this.#hold = payment
      ? funds.holdBacked(this.origin, this.id, { amount: required, backing: payment.backing })
      : funds.hold(this.origin, this.id, required)
    if (!this.#hold) {
      this.#counting?.release()
      return this.#exhausted(required, payment)
    }
    const refusal = this.#counting?.coverOthers()
    if (!refusal) {
      this.#payment = payment
      return undefined
    }
    this.#counting?.release()
    funds.release(this.#hold)
    this.#hold = undefined
    return refusal
  }

  /**
   * Looks after the hold of a price that grows with time while the call runs. `responseBytes` tells what has come so
   * far; `cut` hears of it when the account no longer covers the call.
   */
  keepCovered(responseBytes: () => number, cut: (refusal: GatewayError) => void): void {
    if (!this.#rule || this.#rule.rates.perSecond === 0n) return
    const delayMs = Math.max(10, (this.#coveredUs / 1000 - this.elapsedMs) / 2)
    this.#coverTimer = setTimeout(() => {
      const refusal = this.cover(responseBytes())
      if (refusal) cut(refusal)
      else if (!this.#settled) this.keepCovered(responseBytes, cut)
    }, delayMs)
  }

  get elapsedMs(): number {
    return this.#options.clock.monotonicMs() - this.#startedMs
  }

  /**
   * Makes sure that the hold covers an answer of `responseBytes` so far and the time passed, with as much again in
   * reserve. Returns the refusal where the account does not: the call must be cut.
   */
  cover(responseBytes: number): GatewayError | undefined {
    const bytes = this.origin.requestBytes + responseBytes
    const us = this.elapsedMs * 1000
    if (!this.#hold || (bytes <= this.#coveredBytes && us < this.#coveredUs)) return undefined
    const least = this.#worst(Math.max(bytes, this.#coveredBytes), Math.max(us, this.#coveredUs))
    const ample = { bytes: Math.max(2 * bytes, this.#coveredBytes), us: Math.max(2 * us, this.#coveredUs) }
    if (this.#options.funds.extend(this.#hold, this.#worst(ample.bytes, ample.us))) {
      this.#coveredBytes = ample.bytes
      this.#coveredUs = ample.us
      return this.#counting?.coverOthers()
    }
    if (!this.#options.funds.extend(this.#hold, least)) return this.#exhausted(least)
    this.#coveredBytes = Math.max(bytes, this.#coveredBytes)
    this.#coveredUs = Math.max(us, this.#coveredUs)
    // What this call may count has grown, which moves those behind it.
    return this.#counting?.coverOthers()
  }

  /**
   * Replaces the hold by the real cost and commits the record; `done` runs once it is durable, or with
   * `store_unavailable` when it is not: then nothing is charged and the answer must not leave. `more` commits with
   * the record.
   */
  settle(end: CallEnd, done: SettledListener, more: readonly CommitExtra[] = []): void {
    assert(!this.#settled, 'a call is settled exactly once')
    this.#settled = true
    clearTimeout(this.#coverTimer)
    const { funds, writer, openCalls, onSettled } = this.#options
    const durationUs = Math.max(0, Math.round(this.elapsedMs * 1000))
    this.#counting?.release()
    const isBilled = this.#isBilled(end)
    const before = this.#counting?.before
    const cost = isBilled ? this.#cost(end, durationUs) : 0n
    const counted = isBilled && this.#counting ? (before === undefined ? {} : { before }) : undefined
    const record = this.#record(end, { durationUs, cost, counted })
    if (!writer.accepting) {
      if (this.#hold) funds.release(this.#hold)
      openCalls.close(this.#openCall)
      this.#payment?.release()
      const error = new GatewayError('store_unavailable', { retryAfterS: 1 })
      return done(error, new SettledCall(record, this.#options.ledger))
    }
    const facts = { record: this.id, ran: end.outcome !== 'denied' }
    const extras: CommitExtra[] = this.#hold ? funds.settle(this.#hold, cost, facts) : funds.settleNothing()
    extras.push(...more)
    if (this.#payment && cost > 0n) extras.push(this.#payment.charge(cost))
    if (counted && this.#counting) extras.push(this.#counting.count(this.#quantities(end, durationUs)))
    const finish = (error?: GatewayError) => {
      if (error) openCalls.doubt(this.#openCall)
      else openCalls.close(this.#openCall)
      const settled = new SettledCall(record, this.#options.ledger)
      if (!error) onSettled(settled)
      // Where the commit failed it may be on disk all the same, so the payment stays taken.
      if (this.#payment && !error) this.#payOut(this.#payment, settled, done)
      else done(error, settled)
    }
    writer.submit({ record, done: finish }, extras)
  }

  /** Settles what the call cost of its payment, or nothing of it, before its answer leaves. */
  #payOut(payment: CallPayment, settled: Settled, done: SettledListener): void {
    const { cost } = settled.record
    if (cost <= 0n) return done(undefined, withPayment(settled, payment.release()))
    payment.settle(cost, (settlement) => {
      const failure = settlement.state === 'refused' ? payment.failure(settlement) : undefined
      done(failure, withPayment(settled, settlement))
    })
  }

  #isBilled({ free, outcome }: CallEnd): boolean {
    return (
      this.#rule !== undefined &&
      this.#hold !== undefined &&
      !free &&
      this.#rule.rule.billOn.includes(outcome)
    )
  }

  #quantities({ responseBytes, tokens, upstreamCost }: CallEnd, durationUs: number): Quantities {
    const bytes = this.origin.requestBytes + responseBytes
    return { calls: 1, bytes, durationUs, tokens: tokens ?? 0, upstreamCost: upstreamCost ?? 0n }
  }

  #cost(end: CallEnd, durationUs: number): bigint {
    if (!this.#rule || !this.#hold) return 0n
    const cost = rate(this.#rule.rates, this.#quantities(end, durationUs), this.#counting?.before)
    if (this.#options.funds.extend(this.#hold, cost)) return cost
    // The time that passed since the hold was last looked after is the only thing it may not cover.
    return this.#hold.hold.amount
  }

  #worst(bytes: number, us: number): bigint {
    if (!this.#rule) return 0n
    const caps: CallCaps = {
      requestBytes: 0,
      responseBytes: Math.ceil(bytes),
      durationUs: Math.ceil(us),
      tokens: this.report?.tokens?.max ?? 0,
      upstreamCost: this.report?.cost ? maxCostOf(this.report) : 0n,
    }
    if (!this.#counting) return worstCase(this.#rule.rates, caps)
    const most = { ...caps, calls: 1, bytes: caps.responseBytes }
    const { rates } = this.#rule
    this.#counting.secure = (position) => {
      const amount = worstCase(rates, caps, position)
      const isCovered = !this.#hold || this.#options.funds.extend(this.#hold, amount)
      return isCovered ? undefined : this.#exhausted(amount)
    }
    return worstCase(rates, caps, this.#counting.reserve(most))
  }

  #exhausted(amount: bigint, payment = this.#payment): GatewayError {
    const { funds, topUpLinks } = this.#options
    const refusal = funds.refusal(this.origin, this.id, { amount, held: this.#hold })
    if (payment && refusal.code === 'balance_exhausted') return payment.short(amount)
    return topUpLinks?.explain(refusal, this.origin.accountId) ?? refusal
  }

  #record(
    end: CallEnd,
    { durationUs, cost, counted }: { durationUs: number; cost: bigint; counted: UsageRecord['counted'] },
  ): UsageRecord {
    const { origin } = this
    const rule = this.#rule?.rule
    // Every member is named, so that all records have one shape: this is made for each call.
    return {
      id: this.id,
      userId: origin.userId,
      accountId: origin.accountId,
      keyId: origin.keyId,
      sessionId: origin.sessionId,
      serverId: origin.serverId,
      server: origin.server,
      method: origin.method,
      tool: origin.tool,
      transport: origin.transport,
      upstreamTransport: origin.upstreamTransport,
      era: origin.era,
      upstreamEra: this.way?.era ?? origin.upstreamEra,
      outcome: end.outcome,
      statusCode: end.statusCode,
      requestBytes: origin.requestBytes,
      responseBytes: end.responseBytes,
      durationUs,
      cost,
      currency: this.currency,
      ruleId: rule?.ruleId,
      ruleVersion: rule?.version,
      priced: rule !== undefined,
      error: end.error,
      client: origin.client,
      idempotencyKey: origin.idempotencyKey,
      tokens: end.tokens,
      upstreamCost: end.upstreamCost,
      counted,
    }
  }
}
