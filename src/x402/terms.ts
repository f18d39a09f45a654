// What is asked for a call and what is taken for it: amounts in the asset's units, and the rules that a payment must meet.
import type { Clock } from '../base/clock.ts'
import { ledgerScale } from '../base/money.ts'
import { signedOf, x402Version, type Payment, type PaymentRequired } from './shapes.ts'
import type { Requirements, Resource, Scheme } from './shapes.ts'

/** What one call may cost, in nano-units, as its rule says before it runs. */
export interface Quote {
  /** What must be held before it is sent. */
  readonly least: bigint
  /** What it can cost at most. */
  readonly most: bigint
  /** It costs `most` or nothing. */
  readonly isFixed: boolean
  readonly currency: string
}

/** A call that may be paid for. */
export interface PayableCall {
  readonly quote: Quote
  readonly resource: Resource
  /** How long it may take. */
  readonly callMs: number
}

export interface TermsOptions {
  readonly payTo: string
  readonly network: string
  readonly asset: string
  readonly assetDecimals: number
  readonly assetName: string
  readonly assetVersion: string
  readonly currency: string
  readonly schemes: readonly Scheme[]
  /** How long a payment must be good after the longest time that its call may take. */
  readonly settleWithinS: number
}

/** The schemes that the facilitator settles on our network, with what it wants payers to know of each. */
export type Supported = ReadonlyMap<Scheme, Readonly<Record<string, unknown>>>

/** A payment that meets the terms, before anybody has verified it. */
export interface Fitting {
  readonly requirements: Requirements
  /** What it covers, in nano-units. */
  readonly most: bigint
}

export class Terms {
  readonly #options: TermsOptions
  readonly #clock: Clock
  /** Set once the facilitator has said it; nothing is asked for before. */
  supported: Supported = new Map()

  constructor(options: TermsOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  get network(): string {
    return this.#options.network
  }

  /** Undefined where this call cannot be paid for: it is free, or priced in another currency. */
  required(call: PayableCall, error: string): PaymentRequired | undefined {
    const { quote, resource } = call
    if (quote.most <= 0n || quote.currency !== this.#options.currency) return undefined
    const accepts = this.#options.schemes.flatMap((scheme) => this.#requirements(scheme, call) ?? [])
    return accepts.length === 0 ? undefined : { x402Version, error, resource, accepts }
  }

  #requirements(scheme: Scheme, { quote, callMs }: PayableCall): Requirements | undefined {
    const { network, asset, payTo, assetName, assetVersion, settleWithinS } = this.#options
    const extra = this.supported.get(scheme)
    if (!extra || (scheme === 'exact' && !quote.isFixed)) return undefined
    return {
      scheme,
      network,
      amount: this.toUnits(quote.most).toString(),
      asset,
      payTo,
      maxTimeoutSeconds: Math.ceil(callMs / 1000) + settleWithinS,
      extra: { name: assetName, version: assetVersion, ...extra },
    }
  }

  /** What the facilitator is to verify for this payment, or in what it differs from what was asked for. */
  fit(payment: Payment, call: PayableCall): Fitting | { readonly differs: string } {
    const { accepted, resource } = payment
    const asked = this.required(call, '')?.accepts.find(({ scheme }) => scheme === accepted.scheme)
    if (!asked) return { differs: 'scheme' }
    if (accepted.network !== asked.network) return { differs: 'network' }
    if (!isSame(accepted.asset, asked.asset)) return { differs: 'asset' }
    if (!isSame(accepted.payTo, asked.payTo)) return { differs: 'payTo' }
    if (resource.url !== call.resource.url) return { differs: 'resource' }
    const amount = BigInt(accepted.amount)
    const least = accepted.scheme === 'exact' ? BigInt(asked.amount) : this.toUnits(call.quote.least)
    if (amount < least || (accepted.scheme === 'exact' && amount > least)) return { differs: 'amount' }
    const differs = this.#signedDiffers(payment, call.callMs)
    if (differs !== undefined) return { differs }
    const requirements = { ...asked, amount: accepted.amount }
    return { requirements, most: this.toNano(amount) }
  }

  /** In what the signed part is not what the rest says. */
  #signedDiffers(payment: Payment, callMs: number): string | undefined {
    const signed = signedOf(payment)
    const { scheme, amount, asset, payTo } = payment.accepted
    if (scheme === 'upto' && signed.kind !== 'permit') return 'payload'
    if (signed.amount !== BigInt(amount)) return 'payload amount'
    if (!isSame(signed.to, payTo)) return 'payload recipient'
    if (signed.token !== undefined && !isSame(signed.token, asset)) return 'payload token'
    // It has to be settled after the call, however long that takes.
    const until = BigInt(Math.ceil((this.#clock.now() + callMs) / 1000))
    return signed.validUntil < until ? 'payload deadline' : undefined
  }

  /** Nano-units as the asset's smallest units, rounded up: what is asked for is never less than the cost. */
  toUnits(nano: bigint): bigint {
    const shift = this.#options.assetDecimals - ledgerScale
    if (shift >= 0) return nano * 10n ** BigInt(shift)
    const unit = 10n ** BigInt(-shift)
    return (nano + unit - 1n) / unit
  }

  /** The asset's smallest units as nano-units, rounded down. */
  toNano(units: bigint): bigint {
    const shift = ledgerScale - this.#options.assetDecimals
    return shift >= 0 ? units * 10n ** BigInt(shift) : units / 10n ** BigInt(-shift)
  }
}

const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()
