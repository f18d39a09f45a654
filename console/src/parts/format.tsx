// Numbers, money and times as people read them. Nothing is computed here: amounts are the gateway's own decimals.
import { currentZone } from './zone.ts'

/** The gateway's decimal with the fraction padded to cents; never rounded. */
export function money(amount: string, currency?: string | null): string {
  const [, sign = '', whole = '0', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(amount) ?? []
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')
  return `${sign}${grouped}.${fraction.padEnd(2, '0')}${currency ? ` ${currency}` : ''}`
}

interface MoneyProps {
  readonly value: string
  readonly currency?: string | null
  /** Decimals of the longest amount that the column may have. */
  readonly places?: number
}

/** An amount in a column: the points stand below each other, whatever the fractions. */
export function Money({ value, currency, places = 9 }: MoneyProps) {
  const [whole = '', fraction = ''] = money(value).split('.')
  return (
    <span className="money">
      {`${whole}.${fraction}`}
      <span className="pad" data-pad={'0'.repeat(Math.max(0, places - fraction.length))} />
      {currency ? ` ${currency}` : ''}
    </span>
  )
}

/** A headline: whole cents (halves to even), and the exact amount behind them. */
export function Amount({ value, currency }: { readonly value: string; readonly currency?: string | null }) {
  const unit = currency ? ` ${currency}` : ''
  return <span title={money(value, currency)}>{`${cents.format(value as `${number}`)}${unit}`}</span>
}

// A decimal string is formatted as it is (ECMA-402, 2023): no double could hold all of them.
const cents = new Intl.NumberFormat('en', {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  roundingMode: 'halfEven',
})

export const count = (value: number): string => value.toLocaleString('en')

export const duration = (ms: number): string =>
  ms < 1 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`

export const bytes = (value: number): string =>
  value < 1024
    ? `${value} B`
    : value < 1024 * 1024
      ? `${(value / 1024).toFixed(1)} KiB`
      : `${(value / 1024 / 1024).toFixed(1)} MiB`

const absolute = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium',
  timeZone: currentZone(),
})
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const steps = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

function ago(ms: number): string {
  const [unit, size] = steps.find(([, each]) => Math.abs(ms) >= each) ?? ['second', 1000]
  return relative.format(-Math.round(ms / size), unit)
}

/** A moment: near ones by how long ago, all with the exact time behind them. */
export function Time({ at, exact }: { readonly at: string; readonly exact?: boolean }) {
  const ms = Date.now() - Date.parse(at)
  const isFar = exact === true || Math.abs(ms) > 7 * 86_400_000
  return (
    <time dateTime={at} title={`${absolute.format(new Date(at))} (${at})`}>
      {isFar ? absolute.format(new Date(at)) : ago(ms)}
    </time>
  )
}
