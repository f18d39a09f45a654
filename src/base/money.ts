// Money and exact decimals: bigint at a fixed scale, decimal strings at the edges, never a floating-point number.

/** Decimals of the ledger: amounts are nano-units of the currency. */
export const ledgerScale = 9
/** Decimals of a price's rates. */
export const rateScale = 12

const decimalPattern = /^(-?)(\d{1,30})(?:\.(\d{1,30}))?$/

/**
 * Reads a decimal string such as "0.0045" at `scale`.
 * Returns undefined where the text is no plain decimal or has non-zero digits past the scale.
 */
export function parseDecimal(text: string, scale: number): bigint | undefined {
  const [, sign, whole, fraction = ''] = decimalPattern.exec(text) ?? []
  if (whole === undefined || /[1-9]/.test(fraction.slice(scale))) return undefined
  const units = BigInt(whole + fraction.slice(0, scale).padEnd(scale, '0'))
  return sign ? -units : units
}

/** Writes units at `scale` as a plain decimal without trailing zeros ("0.0045", "10", "-1.5"). */
export function formatDecimal(units: bigint, scale: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${whole}${fraction ? `.${fraction}` : ''}`
}

/** Moves units from one scale to another, rounding half away from zero where digits are lost. */
export function rescale(units: bigint, from: number, to: number): bigint {
  if (to >= from) return units * 10n ** BigInt(to - from)
  return divideRounded(units, 10n ** BigInt(from - to))
}

/** `dividend / divisor` rounded half away from zero; the divisor is positive. */
export function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const half = divisor / 2n
  return dividend < 0n ? -((half - dividend) / divisor) : (dividend + half) / divisor
}

/** A ledger amount (nano) as the decimal string that JSON carries. */
export const formatAmount = (nano: bigint): string => formatDecimal(nano, ledgerScale)

/** A decimal string as a ledger amount (nano), or undefined where it is none. */
export const parseAmount = (text: string): bigint | undefined => parseDecimal(text, ledgerScale)
