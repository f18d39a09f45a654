// The amounts of an invoice: taxes on the rounded subtotal, what credit has paid, what is due. Pure; nano-units.
import { divideRounded, formatDecimal, ledgerScale, parseDecimal } from '../base/money.ts'
import { allocate, exponentOf, roundAmount } from './allocation.ts'
import type { TaxLine } from './invoice.ts'

/** A tax of the configuration; without `when` it is for everybody. */
export interface TaxSetting {
  readonly name: string
  /** A fraction: "0.19" is 19 %. */
  readonly rate: string
  readonly when?: { readonly country?: string | undefined } | undefined
}

const rateDecimals = 9

/** A rounded amount with all the decimals of its currency: "12.30", "12" for JPY. */
export function formatMoney(nano: bigint, currency: string): string {
  const decimals = exponentOf(currency)
  const [whole = '', fraction = ''] = formatDecimal(nano, ledgerScale).split('.')
  return decimals === 0 ? whole : `${whole}.${fraction.padEnd(decimals, '0')}`
}

/** The taxes that apply in a country, each on the rounded subtotal, each rounded by itself. */
export function taxesOf(
  subtotal: bigint,
  currency: string,
  { settings, country }: { settings: readonly TaxSetting[]; country: string | undefined },
): { lines: TaxLine[]; sum: bigint } {
  const unit = 10n ** BigInt(ledgerScale - exponentOf(currency))
  let sum = 0n
  const lines = settings
    .filter(({ when }) => when?.country === undefined || when.country === country)
    .map(({ name, rate }) => {
      const units = parseDecimal(rate, rateDecimals) ?? 0n
      // Rounded once, out of the exact product.
      const amount = divideRounded(subtotal * units, unit * 10n ** BigInt(rateDecimals)) * unit
      sum += amount
      return { name, rate, base: formatMoney(subtotal, currency), amount: formatMoney(amount, currency) }
    })
  return { lines, sum }
}

/** The net amount in what credit has paid and what is owed, rounded so that the two add up to the subtotal. */
export function splitByPayer(
  exactTotal: bigint,
  exactApplied: bigint,
  currency: string,
): { subtotal: bigint; applied: bigint; owed: bigint } {
  const parts = [
    { key: 'applied', exact: exactApplied },
    { key: 'owed', exact: exactTotal - exactApplied },
  ]
  const [applied = 0n, owed = 0n] = allocate(parts, currency)
  return { subtotal: roundAmount(exactTotal, currency), applied, owed }
}
