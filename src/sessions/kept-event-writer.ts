// Brings kept events to the disk behind the back of their streams: small groups, one commit at a time.
import type { Log } from '../base/log.ts'
import type { KeptEventRow, KeptEventsGone, KeptEventStore } from './kept-event-store.ts'

/** How long an event may wait for others; the first of a stream and an answer do not wait. */
const groupMs = 20
/** How long rows that are to go may wait, and how many go in one transaction. */
const trimMs = 1000
const maxTrimmed = 500
/** What may wait for a store that is slow or away; what comes beyond is kept in memory alone. */
const maxWaiting = 50_000
const maxWaitingBytes = 32 * 1024 * 1024
/** Rows of one commit: records of calls wait behind it. */
const maxGroup = 1000

/** A row, and whether it is still worth writing. */
interface Waiting {
  readonly row: KeptEventRow
  readonly wanted: () => boolean
}

/**
 * Events are sent before they are on the disk: a killed process loses at most the last `groupMs` of them, always the
 * newest of a stream, so that what is left has no gap.
 */
export class KeptEventWriter {
  readonly #store: KeptEventStore
  readonly #log: Log
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #dropped = 0
  #gone = new Map<string, KeptEventsGone>()
  #groupTimer: NodeJS.Timeout | undefined
  #trimTimer: NodeJS.Timeout | undefined
  #working: Promise<void> | undefined
  /** Something waits that is not to wait for others. */
  #hurry = false
  #trimDue = false

  constructor(store: KeptEventStore, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** Rows that are not on the disk yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** `soon`: without waiting for others. */
  add(row: KeptEventRow, { wanted, soon }: { wanted: () => boolean; soon: boolean }): void {
    if (this.#waiting.length >= maxWaiting || this.#waitingBytes >= maxWaitingBytes) {
      this.#dropped++
      return
    }
    this.#waiting.push({ row, wanted })
    this.#waitingBytes += row.event.frame.length
    if (!soon) this.#groupTimer ??= setTimeout(() => void this.#work(), groupMs)
    else if (!this.#hurry) {
      this.#hurry = true
      queueMicrotask(() => void this.#work())
    }
  }

  /** Rows that are no longer needed; unless `soon`, they go some time later. */
  remove(gone: KeptEventsGone, soon = false): void {
    this.#gone.set(`${gone.sessionId} ${gone.stream ?? ''}`, gone)
    if (soon) queueMicrotask(() => this.#trim())
    else this.#trimTimer ??= setTimeout(() => this.#trim(), trimMs)
  }

  /** Resolves when everything so far is on the disk, or was given up. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0 || this.#gone.size > 0 || this.#working) {
      await this.#working
      this.#trimDue = true
      await this.#work()
    }
    clearTimeout(this.#groupTimer)
    clearTimeout(this.#trimTimer)
    this.#groupTimer = undefined
    this.#trimTimer = undefined
  }

  #trim(): void {
    clearTimeout(this.#trimTimer)
    this.#trimTimer = undefined
    this.#trimDue = true
    void this.#work()
  }

  #work(): Promise<void> {
    this.#working ??= this.#turn().finally(() => {
      this.#working = undefined
      if (this.#hurry || (this.#trimDue && this.#gone.size > 0)) void this.#work()
      else if (this.#waiting.length > 0) this.#groupTimer ??= setTimeout(() => void this.#work(), groupMs)
    })
    return this.#working
  }

  async #turn(): Promise<void> {
    clearTimeout(this.#groupTimer)
    this.#groupTimer = undefined
    const rows = this.#take()
    if (this.#dropped > 0)
      this.#log.warn(
        { events: this.#dropped },
        'more events came than could be written; they are in memory alone',
      )
    this.#dropped = 0
    try {
      if (rows.length > 0) await this.#store.insert(rows)
      if (this.#trimDue) await this.#delete()
    } catch (error) {
      this.#log.warn({ err: error, events: rows.length }, 'kept events could not be written')
    }
  }

  /** The next group of rows that are still worth writing. */
  #take(): KeptEventRow[] {
    const wanted = this.#waiting.filter((each) => each.wanted())
    this.#waiting = wanted.slice(maxGroup)
    this.#waitingBytes = this.#waiting.reduce((bytes, { row }) => bytes + row.event.frame.length, 0)
    this.#hurry = this.#waiting.length > 0
    return wanted.slice(0, maxGroup).map(({ row }) => row)
  }

  /** What fails here is found at the next start. */
  async #delete(): Promise<void> {
    const gone = [...this.#gone].slice(0, maxTrimmed)
    for (const [key] of gone) this.#gone.delete(key)
    this.#trimDue = this.#gone.size > 0
    await this.#store.delete(gone.map(([, each]) => each))
  }
}
