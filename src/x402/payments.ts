// Payments for single calls: asked for, checked, verified and taken once before the call, settled or released after it.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { formatCallId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Backing } from '../ledger/hold.ts'
import type { Facilitator } from './facilitator.ts'
import type { Settlement, Settlements, Signable } from './settlements.ts'
import { paymentKey, readPayment, schemes, type PaymentRequired, type Scheme } from './shapes.ts'
import type { PaymentCharge, PaymentStore } from './store.ts'
import type { Fitting, PayableCall, Terms } from './terms.ts'

/** Seals what is kept of a payment. */
export interface PaymentSeal {
  seal(text: string): string
}

export interface PaymentsOptions {
  readonly terms: Terms
  readonly store: Pick<PaymentStore, 'isTaken' | 'take' | 'end' | 'releaseLeft'>
  readonly facilitator: Pick<Facilitator, 'verify' | 'supported'>
  readonly settlements: Pick<Settlements, 'settle'>
  readonly seal: PaymentSeal
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds between two questions for what the facilitator supports. */
  readonly refreshMs: number
  readonly onEnd: (state: 'released' | 'rejected' | 'unavailable') => void
}

/** Whose call a payment is for. */
export interface PaidFor {
  readonly record: bigint
  readonly accountId: string
}

/** A payment that was verified and taken for one call. It is settled or released exactly once. */
export interface TakenPayment {
  readonly backing: Backing
  /** What commits with the record of a call that cost this much; above zero. */
  charge(cost: bigint): PaymentCharge
  /** Settles what the call cost, once its record is durable; `then` hears how that went. */
  settle(cost: bigint, then: (settlement: Settlement) => void): void
  /** The call cost nothing, or left no record: nothing is settled, and the payment is of no more use. */
  release(): Settlement
}

/** A call that left no record in this time was lost with its gateway. */
const leftMs = 24 * 3_600_000
const retrySoonMs = 5000

export class Payments {
  readonly #options: PaymentsOptions
  /** Being verified or taken now. */
  readonly #underWay = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  /** Whether the facilitator has said what it supports. */
  #known = false

  constructor(options: PaymentsOptions) {
    this.#options = options
  }

  /** Asks the facilitator what it supports, and goes on asking; resolves after the first answer, or none. */
  async start(): Promise<void> {
    const { terms, facilitator, store, clock, log, refreshMs } = this.#options
    const kinds = await facilitator.supported()
    if (kinds) {
      const ours = kinds.filter(({ network }) => network === terms.network)
      const found = schemes.flatMap((scheme): [Scheme, Readonly<Record<string, unknown>>][] => {
        const kind = ours.find((each) => each.scheme === scheme)
        return kind ? [[scheme, kind.extra]] : []
      })
      terms.supported = new Map(found)
      this.#known = true
    } else log.warn({}, 'the facilitator does not say what it supports')
    await store
      .releaseLeft(clock.now() - leftMs, clock.now())
      .catch((err: unknown) => log.warn({ err }, 'payments of lost calls could not be released'))
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.start(), kinds ? refreshMs : Math.min(refreshMs, retrySoonMs))
    this.#timer.unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** What may be paid for a call that its account does not cover; undefined where it cannot be paid for. */
  required(call: PayableCall, error: string): PaymentRequired | undefined {
    return this.#options.terms.required(call, error)
  }

  /**
   * Takes the payment that came with a call, for ever, or says why not: `payment_invalid`, `payment_used`,
   * `payment_unavailable`, `store_unavailable`. Nothing may be sent upstream before it resolves.
   */
  async take(value: unknown, call: PayableCall, paidFor: PaidFor): Promise<TakenPayment | GatewayError> {
    const payment = readPayment(value)
    if (!payment) return this.#rejected('The payment is not of a shape that is taken here')
    if (!this.#known) return this.#unavailable()
    const fitting = this.#options.terms.fit(payment, call)
    if ('differs' in fitting)
      return this.#rejected(`The payment is not what was asked for (${fitting.differs})`)
    const name = paymentKey(payment)
    if (this.#underWay.has(name)) return new GatewayError('payment_used')
    this.#underWay.add(name)
    try {
      return (
        (await this.#verify(name, { payment, requirements: fitting.requirements })) ??
        (await this.#take(name, { ...fitting, payment, paidFor }))
      )
    } catch (cause) {
      return new GatewayError('store_unavailable', { cause, retryAfterS: 1 })
    } finally {
      this.#underWay.delete(name)
    }
  }

  async #verify(name: string, { payment, requirements }: Signable): Promise<GatewayError | undefined> {
    const { store, facilitator } = this.#options
    if (await store.isTaken(name)) return new GatewayError('payment_used')
    const verdict = await facilitator.verify(payment, requirements)
    if (verdict.kind === 'valid') return undefined
    if (verdict.kind === 'invalid') return this.#rejected(`The payment was not accepted (${verdict.reason})`)
    return this.#unavailable()
  }

  async #take(
    name: string,
    taking: Fitting & { readonly payment: Signable['payment']; readonly paidFor: PaidFor },
  ): Promise<TakenPayment | GatewayError> {
    const { store, seal, clock } = this.#options
    const { payment, requirements, most, paidFor } = taking
    const sealed = seal.seal(JSON.stringify({ payment, requirements }))
    try {
      await store.take({ ...paidFor, name, sealed, atMs: clock.now() })
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'conflict') return new GatewayError('payment_used')
      throw error
    }
    return this.#taken({ payment, requirements }, { ...paidFor, most, sealed })
  }

  #taken(signable: Signable, taken: PaidFor & { most: bigint; sealed: string }): TakenPayment {
    const { terms, settlements, store, clock, log, onEnd } = this.#options
    const { record, accountId, most, sealed } = taken
    const { scheme, amount: whole, network } = signable.requirements
    const unitsOf = (cost: bigint) => (scheme === 'exact' ? BigInt(whole) : terms.toUnits(cost))
    const received = (cost: bigint) => terms.toNano(unitsOf(cost))
    const reason = `x402 payment for call ${formatCallId(record)}`
    return {
      backing: { most, createdBy: 'x402', reason, received },
      charge: (cost) => ({
        settles: record,
        units: unitsOf(cost),
        amount: received(cost),
        atMs: clock.now(),
      }),
      settle: (cost, then) => {
        const pending = { record, accountId, sealed, units: unitsOf(cost), amount: received(cost) }
        settlements
          .settle(pending, signable)
          .then(then)
          .catch((err: unknown) => log.error({ err }, 'a paid call could not be answered'))
      },
      release: () => {
        onEnd('released')
        store
          .end(record, { state: 'released', atMs: clock.now() })
          .catch((err: unknown) => log.warn({ err }, 'a payment could not be marked as released'))
        return { state: 'released', response: { success: true, transaction: '', network, amount: '0' } }
      },
    }
  }

  #unavailable(): GatewayError {
    this.#options.onEnd('unavailable')
    return new GatewayError('payment_unavailable', { retryAfterS: 5 })
  }

  #rejected(detail: string): GatewayError {
    this.#options.onEnd('rejected')
    return new GatewayError('payment_invalid', { detail: `${detail}; pay anew by what is asked for now.` })
  }
}
