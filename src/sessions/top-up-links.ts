// Where an account is topped up: the link that goes with a refusal for lack of money.
import { GatewayError } from '../base/errors.ts'
import { divideRounded, formatAmount, ledgerScale, parseAmount } from '../base/money.ts'
import { findExponent } from '../pricing/currency.ts'

/** Refusals that money would have prevented. */
const forLackOfMoney = new Set(['balance_exhausted', 'budget_exhausted'])

export class TopUpLinks {
  readonly #template: string

  /** `template` holds `{account}`, `{amount}` and `{currency}`, or some of them. */
  constructor(template: string) {
    this.#template = template
  }

  /** The refusal with `topUpUrl` among its data, where it is one for lack of money; else the same one. */
  explain(refusal: GatewayError, accountId: string): GatewayError {
    if (!forLackOfMoney.has(refusal.code)) return refusal
    const { code, message: detail, data, retryAfterS, cause } = refusal
    const currency = textOf(data['currency']) ?? ''
    const topUpUrl = this.urlFor(accountId, { amount: missing(data, currency), currency })
    const retry = retryAfterS !== undefined && { retryAfterS }
    return new GatewayError(code, { detail, data: { ...data, topUpUrl }, cause, ...retry })
  }

  /** `amount` in nano-units; an empty text stands for it where it is left to who pays. */
  urlFor(account: string, { amount, currency }: { amount?: bigint; currency: string }): string {
    const values = { account, currency, amount: amount === undefined ? '' : formatAmount(amount) }
    return this.#template.replaceAll(/\{(account|amount|currency)\}/g, (_, name: keyof typeof values) =>
      encodeURIComponent(values[name]),
    )
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const amountOf = (value: unknown): bigint => parseAmount(textOf(value) ?? '0') ?? 0n

/** What the call needs and the account does not have, rounded up to what can be paid. */
function missing(data: GatewayError['data'], currency: string): bigint {
  const required = amountOf(data['required'])
  const free = amountOf(data['balance']) - amountOf(data['held'])
  const least = data['balance'] === undefined ? required : required - free
  const unit = 10n ** BigInt(ledgerScale - (findExponent(currency) ?? 2))
  const rounded = divideRounded(least, unit) * unit
  const up = rounded < least ? rounded + unit : rounded
  return up > unit ? up : unit
}
