// Settles what calls have cost of their payments: at once before the answer leaves, or later, until it is known how it ended.
import type { Clock } from '../base/clock.ts'
import { formatCallId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Facilitator, SettleVerdict } from './facilitator.ts'
import type { Payment, Requirements, SettlementResponse } from './shapes.ts'
import type { EndState, PaymentStore, PendingPayment } from './store.ts'

/** A payment with what was verified of it, as it is kept until it has ended. */
export interface Signable {
  readonly payment: Payment
  readonly requirements: Requirements
}

/** What became of a call's payment before its answer left. */
export interface Settlement {
  /** `pending`: it is settled later. `refused`: the call was done and is owed by its account. */
  readonly state: 'settled' | 'pending' | 'refused' | 'released'
  readonly response: SettlementResponse
}

export interface SettlementsOptions {
  readonly store: Pick<PaymentStore, 'end' | 'listPending'>
  readonly facilitator: Pick<Facilitator, 'settle'>
  readonly ledger: Pick<Ledger, 'book'>
  readonly clock: Clock
  readonly log: Log
  readonly unseal: (sealed: string) => Signable
  readonly retryMs: number
  readonly onEnd: (state: EndState | 'pending') => void
}

/** What this process knows of the tries for one payment. */
interface Tries {
  /** One of them may have reached the facilitator without an answer. */
  isUnclear: boolean
  /** It was settled, and only the store does not know yet. */
  settled?: SettlementResponse
  count: number
  nextMs: number
}

const pageRows = 100
const maxPauseMs = 300_000

export class Settlements {
  readonly #options: SettlementsOptions
  readonly #underWay = new Set<bigint>()
  readonly #tries = new Map<bigint, Tries>()
  #round: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: SettlementsOptions) {
    this.#options = options
  }

  /** From now on what is left is tried again and again. */
  start(): void {
    void this.retry()
    this.#timer = setInterval(() => void this.retry(), this.#options.retryMs)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#round
  }

  /** The first try, for a call that has just become durable. Never rejects. */
  async settle(pending: PendingPayment, signable: Signable): Promise<Settlement> {
    this.#underWay.add(pending.record)
    try {
      this.#tries.set(pending.record, { isUnclear: false, count: 0, nextMs: 0 })
      return await this.#try(pending, signable)
    } catch (err) {
      this.#options.log.error(
        { err, call: formatCallId(pending.record) },
        'a settlement could not be written',
      )
      const response = this.#tries.get(pending.record)?.settled
      return response ? { state: 'settled', response } : pendingOf(pending, signable)
    } finally {
      this.#underWay.delete(pending.record)
    }
  }

  /** Tries everything that is due once more; a call while it runs waits for the same round. Never rejects. */
  retry(): Promise<void> {
    return (this.#round ??= this.#retryAll()
      .catch((err: unknown) => this.#options.log.warn({ err }, 'payments could not be settled'))
      .finally(() => (this.#round = undefined)))
  }

  async #retryAll(): Promise<void> {
    const { store, clock, unseal } = this.#options
    for (let after = 0n; ;) {
      const page = await store.listPending(after, pageRows)
      for (const pending of page) {
        const due = (this.#tries.get(pending.record)?.nextMs ?? 0) <= clock.monotonicMs()
        if (due && !this.#underWay.has(pending.record)) await this.#try(pending, unseal(pending.sealed))
      }
      const last = page.at(-1)
      if (!last || page.length < pageRows) return
      after = last.record
    }
  }

  async #try(pending: PendingPayment, signable: Signable): Promise<Settlement> {
    const { facilitator } = this.#options
    const { payment, requirements } = signable
    const known = this.#tries.get(pending.record)
    if (known?.settled) return this.#settled(pending, known.settled)
    const verdict = await facilitator.settle(payment, { ...requirements, amount: pending.units.toString() })
    if (verdict.kind === 'unknown') return this.#later(pending, signable, verdict)
    if (verdict.kind === 'refused') return this.#refused(pending, verdict.response)
    this.#tries.set(pending.record, { isUnclear: true, count: 0, nextMs: 0, settled: verdict.response })
    return this.#settled(pending, verdict.response)
  }

  async #settled(pending: PendingPayment, response: SettlementResponse): Promise<Settlement> {
    await this.#end(pending, { state: 'settled', response })
    return { state: 'settled', response }
  }

  #later(pending: PendingPayment, signable: Signable, verdict: SettleVerdict): Settlement {
    const { clock, retryMs, onEnd, log } = this.#options
    // What another process has tried is not known here.
    const tries = this.#tries.get(pending.record) ?? { isUnclear: true, count: 0, nextMs: 0 }
    tries.isUnclear ||= verdict.kind === 'unknown' && verdict.sent
    tries.nextMs = clock.monotonicMs() + Math.min(maxPauseMs, retryMs * 2 ** Math.min(tries.count, 20))
    if (tries.count === 0) {
      onEnd('pending')
      log.warn({ call: formatCallId(pending.record) }, 'a payment is settled later')
    }
    tries.count++
    this.#tries.set(pending.record, tries)
    return pendingOf(pending, signable)
  }

  /**
   * Where it is certain that nothing was settled, the account owes what the payment did not bring. Where an earlier try
   * may have been what used the payment up, nothing is booked: a call is never charged twice.
   */
  async #refused(pending: PendingPayment, response: SettlementResponse): Promise<Settlement> {
    const { ledger, log } = this.#options
    const call = formatCallId(pending.record)
    if (this.#tries.get(pending.record)?.isUnclear ?? true) {
      await this.#end(pending, { state: 'unclear', response })
      log.error(
        { call, reason: response.errorReason },
        'a payment was refused that may have been settled before',
      )
      return { state: 'refused', response }
    }
    const entry = { kind: 'bounce', from: 'receivable', to: 'funding', amount: pending.amount } as const
    const booking = { entries: [entry], createdBy: 'x402', reason: `Payment for call ${call} was refused` }
    await ledger.book(pending.accountId, booking, (statements) =>
      this.#end(pending, { state: 'refused', response }, statements),
    )
    log.warn(
      { call, reason: response.errorReason },
      'a payment was refused after its call; the account owes it',
    )
    return { state: 'refused', response }
  }

  async #end(
    { record }: PendingPayment,
    { state, response }: { readonly state: EndState; readonly response: SettlementResponse },
    also: Parameters<PaymentStore['end']>[2] = [],
  ): Promise<void> {
    const { store, clock, onEnd } = this.#options
    const settlement = JSON.stringify(response)
    await store.end(record, { state, settlement, atMs: clock.now() }, also)
    this.#tries.delete(record)
    onEnd(state)
  }
}

const pendingOf = ({ units }: PendingPayment, { requirements }: Signable): Settlement => ({
  state: 'pending',
  response: {
    success: false,
    errorReason: 'settlement_pending',
    transaction: '',
    network: requirements.network,
    amount: units.toString(),
  },
})
