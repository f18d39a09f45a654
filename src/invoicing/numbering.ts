// Numbers of documents: a format such as `INV-{year}-{seq:6}` and the series that it counts in. Pure.
import { localTime } from '../base/zone.ts'

/** Text with `{seq}` or `{seq:DIGITS}` once, and `{year}` where the count starts anew each year. */
const seqPattern = /\{seq(?::(\d{1,2}))?\}/g

/** What is wrong with a format, or undefined where it is fine. */
export function findFormatProblem(format: string): string | undefined {
  if ([...format.matchAll(seqPattern)].length !== 1) return 'must have {seq} or {seq:6} in it, once'
  const rest = format.replaceAll(seqPattern, '').replaceAll('{year}', '')
  if (!/^[A-Za-z0-9 ./_#-]{0,40}$/.test(rest))
    return 'may have {year}, {seq} or {seq:6}, letters, digits and . / _ # - around them, at most 40'
  return undefined
}

/** The year that a document counts in, in the issuer's zone; 0 where the format does not tell years apart. */
export const seriesYear = (format: string, timeMs: number, zone: string): number =>
  format.includes('{year}') ? localTime(timeMs, zone).year : 0

/** The number with this place in its series. */
export function formatNumber(format: string, year: number, seq: number): string {
  return format
    .replaceAll('{year}', String(year))
    .replaceAll(seqPattern, (_match, digits?: string) => String(seq).padStart(Number(digits ?? 1), '0'))
}
