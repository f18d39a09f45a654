// Which stretch of time an invoice is for: a month of the account's zone, or any other that was named.
import { GatewayError } from '../base/errors.ts'
import { monthOf, type Period } from '../base/zone.ts'

/** "2026-10" in a zone; undefined where the text is no month. */
export function findMonth(text: string, zone: string): Period | undefined {
  const [, year, month] = /^(20\d{2})-(0[1-9]|1[0-2])$/.exec(text) ?? []
  if (year === undefined) return undefined
  return monthOf(Date.UTC(Number(year), Number(month) - 1, 15), zone)
}

/** The months of a zone that ended at least `closedForMs` before now, newest first, `count` of them. */
export function closedMonths(
  nowMs: number,
  zone: string,
  { closedForMs, count }: { closedForMs: number; count: number },
): Period[] {
  const months: Period[] = []
  let { startMs } = monthOf(nowMs - closedForMs, zone)
  while (months.length < count) {
    const month = monthOf(startMs - 1, zone)
    months.push(month)
    startMs = month.startMs
  }
  return months
}

/** A stretch as a request names it. Throws `validation_failed` where it is none. */
export function readPeriod(start: string, end: string): Period {
  const [startMs, endMs] = [Date.parse(start), Date.parse(end)]
  if (endMs > startMs) return { startMs, endMs }
  const message = 'must be after the start'
  throw new GatewayError('validation_failed', { fields: [{ field: '/period/end', message }] })
}
