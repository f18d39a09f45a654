// Calendar maths in IANA time zones, with nothing but Intl: local dates of an instant, and where days and months begin.

/** A date and an hour as a clock on the wall shows them. Months count from 1. */
export interface LocalTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
}

/** A stretch of time; `endMs` is the first instant after it. */
export interface Period {
  readonly startMs: number
  readonly endMs: number
}

const dayMs = 86_400_000
/** Names differ in case too, so callers could make many. */
const maxFormats = 1000
const formats = new Map<string, Intl.DateTimeFormat>()

/** Whether the text names a zone of the IANA database (or an alias, such as "UTC"); plain offsets are none. */
export function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false
  try {
    formatOf(text)
    return true
  } catch {
    return false
  }
}

/** What clocks in the zone show at an instant, in milliseconds since the epoch as if it were UTC. */
function wallMs(timeMs: number, zone: string): number {
  const part: Record<string, number> = {}
  for (const { type, value } of formatOf(zone).formatToParts(timeMs)) part[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((timeMs % 1000) + 1000) % 1000)
}

/** How far the zone's clocks are ahead of UTC at an instant. */
export const offsetMs = (timeMs: number, zone: string): number => wallMs(timeMs, zone) - timeMs

/** The local date and hour of an instant. */
export function localTime(timeMs: number, zone: string): LocalTime {
  const wall = new Date(wallMs(timeMs, zone))
  return {
    year: wall.getUTCFullYear(),
    month: wall.getUTCMonth() + 1,
    day: wall.getUTCDate(),
    hour: wall.getUTCHours(),
  }
}

/** The local date of an instant, "2026-01-31". */
export const localDate = (timeMs: number, zone: string): string =>
  new Date(wallMs(timeMs, zone)).toISOString().slice(0, 10)

/** The local hour that an instant lies in, with its offset: "2026-10-25T02:00:00+01:00" is told from "…+02:00". */
export function localHour(timeMs: number, zone: string): string {
  const wall = wallMs(timeMs, zone)
  const minutes = Math.round((wall - timeMs) / 60_000)
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${new Date(wall).toISOString().slice(0, 13)}:00:00${minutes < 0 ? '-' : '+'}${two(hours)}:${two(rest)}`
}

/** The calendar day of the zone that an instant lies in: 23 or 25 hours long where clocks change. */
export function dayOf(timeMs: number, zone: string): Period {
  const { year, month, day } = localTime(timeMs, zone)
  return {
    startMs: instantOf(Date.UTC(year, month - 1, day), zone),
    endMs: instantOf(Date.UTC(year, month - 1, day + 1), zone),
  }
}

/** The calendar week of the zone that an instant lies in, from Monday on. */
export function weekOf(timeMs: number, zone: string): Period {
  const { year, month, day } = localTime(timeMs, zone)
  const sinceMonday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7
  return {
    startMs: instantOf(Date.UTC(year, month - 1, day - sinceMonday), zone),
    endMs: instantOf(Date.UTC(year, month - 1, day - sinceMonday + 7), zone),
  }
}

/** The calendar month of the zone that an instant lies in. */
export function monthOf(timeMs: number, zone: string): Period {
  const { year, month } = localTime(timeMs, zone)
  return {
    startMs: instantOf(Date.UTC(year, month - 1), zone),
    endMs: instantOf(Date.UTC(year, month), zone),
  }
}

/** The first instant at which the zone's clocks show this time or, where they skip it, a later one. */
function instantOf(wall: number, zone: string): number {
  const before = wall - offsetMs(wall - dayMs, zone)
  const after = wall - offsetMs(wall + dayMs, zone)
  // Where clocks go back, the time is shown twice and `before` is the first; where they jump, it is what follows.
  return wallMs(before, zone) === wall || wallMs(after, zone) !== wall ? before : after
}

/** Throws RangeError where there is no such zone. */
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  if (formats.size >= maxFormats) formats.clear()
  formats.set(zone, format)
  return format
}
