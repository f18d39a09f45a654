// The audit log's writer: events in the order in which they come, one transaction at a time, durable before it says so.
import type { Clock } from '../base/clock.ts'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import {
  chainRow,
  formatPlace,
  genesis,
  isSigned,
  makeMark,
  type AuditMac,
  type ChainPlace,
  type Mark,
} from './chain.ts'
import type { AuditEvent, AuditFacts } from './event.ts'
import type { AuditStore, ChainEnd } from './store.ts'

export interface AuditLogOptions {
  readonly store: Pick<AuditStore, 'append' | 'readEnd' | 'findIds'>
  readonly mac: AuditMac
  readonly clock: Clock
  readonly log: Log
  /** Events that wait to be written; more are refused. */
  readonly maxWaiting?: number
  /** Events of one transaction. */
  readonly maxBatch?: number
  /** A checkpoint is made after so many events. */
  readonly checkpointEvery?: number
}

interface Waiting {
  readonly event: AuditEvent
  /** Absent where nobody waits for it any more, or nobody ever did. */
  settle?: { resolve(): void; reject(error: GatewayError): void }
}

/** How often a batch is built anew because another process was faster. */
const maxAttempts = 32

/**
 * Appends without a lock: the row's number is its primary key, so of two processes that continue the same row one fails,
 * reads the end of the chain again and follows. What could not be written is kept and written first of all.
 */
export class AuditLog {
  readonly #options: AuditLogOptions
  #queue: Waiting[] = []
  /** The last place that we wrote or read; undefined until it is known. */
  #end: ChainPlace | undefined
  /** The furthest place that we ever saw: a chain that ends before it was cut. */
  #seen: ChainPlace = genesis
  #running: Promise<void> | undefined
  #failure: GatewayError | undefined
  #lost = 0
  #checkpointMs = 0

  constructor(options: AuditLogOptions) {
    this.#options = options
    this.#checkpointMs = options.clock.now()
  }

  /**
   * Resolves when the event is on disk. Rejects with `audit_unavailable` where it could not be written: it is kept, and
   * written before anything else.
   */
  async append(facts: AuditFacts): Promise<void> {
    const event = this.#eventOf(facts)
    if (this.#isFull()) throw new GatewayError('audit_unavailable')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#queue.push({ event, settle: { resolve, reject } })
    this.#start()
    await promise
  }

  /** Writes an event that nobody waits for. Where too many wait already, it is counted instead. */
  note(facts: AuditFacts): void {
    const event = this.#eventOf(facts)
    if (this.#isFull()) return
    this.#queue.push({ event })
    this.#start()
  }

  /** Resolves when everything that was given is on disk. Rejects with the store's refusal where that failed. */
  async flush(): Promise<void> {
    this.#start()
    await this.#running
    if (this.#failure) throw this.#failure
  }

  /** Rejects where earlier events could not be written and still cannot: nothing may be changed then. */
  async ensureWritable(): Promise<void> {
    if (!this.#failure) return
    await this.flush().catch((cause: unknown) => {
      throw new GatewayError('store_unavailable', { detail: unwritable, cause })
    })
  }

  /** Whether events wait because the store did not take them. */
  get isBehind(): boolean {
    return this.#failure !== undefined
  }

  /** Where the chain ends for all that this process knows; `verifyAudit` holds the store to it. */
  get seen(): ChainPlace {
    return this.#seen
  }

  #eventOf(facts: AuditFacts): AuditEvent {
    const timeMs = this.#options.clock.now()
    return { id: newId('aud', timeMs), timeMs, ...facts }
  }

  #isFull(): boolean {
    const { maxWaiting = 10_000 } = this.#options
    if (this.#queue.length < maxWaiting) return false
    this.#lost++
    return true
  }

  #start(): void {
    if (this.#running || this.#queue.length === 0) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    const { maxBatch = 200, log } = this.#options
    // Whoever comes within this turn comes along.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, maxBatch)
      try {
        await this.#write(batch.map(({ event }) => event))
      } catch (error) {
        this.#failure = asGatewayError(error)
        log.error({ err: error, waiting: this.#queue.length }, 'the audit log could not be written')
        return this.#rejectAll(this.#failure)
      }
      this.#failure = undefined
      this.#queue.splice(0, batch.length)
      for (const { settle } of batch) settle?.resolve()
    }
  }

  /** Everybody is told; the events stay. */
  #rejectAll(cause: GatewayError): void {
    for (const waiting of this.#queue) {
      waiting.settle?.reject(new GatewayError('audit_unavailable', { cause }))
      delete waiting.settle
    }
  }

  async #write(events: readonly AuditEvent[]): Promise<void> {
    const { store } = this.#options
    let missing = this.#withLost(events)
    // A failed commit may have reached the disk all the same.
    const isDoubtful = this.#failure !== undefined
    for (let attempt = 1; ; attempt++) {
      try {
        const before = this.#end ?? (await this.#readEnd())
        if (isDoubtful || attempt > 1) {
          const written = await store.findIds(missing.map(({ id }) => id))
          missing = missing.filter(({ id }) => !written.has(id))
          if (missing.length === 0) return
        }
        await this.#append(missing, before)
        return
      } catch (error) {
        this.#end = undefined
        if (!(error instanceof GatewayError) || error.code !== 'conflict' || attempt === maxAttempts)
          throw error
      }
    }
  }

  async #append(events: readonly AuditEvent[], before: ChainPlace): Promise<void> {
    const { store, mac, log, clock, checkpointEvery = 1000 } = this.#options
    let end = before
    const rows = events.map((event) => {
      const row = chainRow(event, end)
      end = row
      return row
    })
    const atMs = clock.now()
    const every = BigInt(checkpointEvery)
    const isDue = end.seq / every !== before.seq / every || atMs - this.#checkpointMs >= hourMs
    const checkpoint = isDue ? makeMark('checkpoint', end, { atMs, mac }) : undefined
    const marks: Mark[] = [makeMark('head', end, { atMs, mac }), ...(checkpoint ? [checkpoint] : [])]
    await store.append(rows, marks)
    this.#end = { seq: end.seq, hash: end.hash }
    this.#seen = this.#end
    if (!checkpoint) return
    this.#checkpointMs = atMs
    log.info({ head: formatPlace(end) }, 'the audit log has reached a checkpoint')
  }

  /** Where to go on. A chain that does not end as it was signed goes on behind an event that says so for ever. */
  async #readEnd(): Promise<ChainPlace> {
    const { store, mac, log } = this.#options
    const found = await store.readEnd()
    const place = placeAfter(found, mac)
    const fault = endFault(found, mac) ?? goneBack(place, this.#seen)
    if (fault === undefined) {
      this.#seen = place
      return place
    }
    log.error({ fault, end: formatPlace(place) }, 'the audit log was tampered with')
    const actor = { via: 'gateway' }
    const event = this.#eventOf({ action: breakAction, actor, outcome: 'failed', note: fault })
    await this.#append([event], place.seq < this.#seen.seq ? this.#seen : place)
    return this.#end ?? place
  }

  #withLost(events: readonly AuditEvent[]): readonly AuditEvent[] {
    if (this.#lost === 0) return events
    const note = 'So many events came at once that these could not be written.'
    const facts = {
      action: 'audit.lose',
      actor: { via: 'gateway' },
      outcome: 'failed',
      count: this.#lost,
      note,
    } as const
    this.#lost = 0
    return [...events, this.#eventOf(facts)]
  }
}

const hourMs = 3_600_000
const unwritable =
  'What was done before is not in the audit log yet, so nothing was done now; try again shortly.'

/** What the log says of itself where it was found to end otherwise than it was signed. */
export const breakAction = 'audit.break'

/** What is wrong with the end of a chain; undefined where it ends as it was signed. */
export function endFault({ head, last, anchor }: ChainEnd, mac: AuditMac): string | undefined {
  const end = last ?? anchor
  if (!head) return end ? 'The signed head of the log is gone.' : undefined
  if (!isSigned(head, mac)) return 'The head of the log was not signed by this gateway.'
  if (!end || end.seq < head.seq)
    return `The log was cut: it should end with event ${head.seq}, and ends with ${end?.seq ?? 0}.`
  if (end.seq > head.seq) return `Events after ${head.seq} were put into the log by somebody else.`
  return end.hash === head.hash ? undefined : `Event ${head.seq} is not the one that was signed.`
}

function goneBack(place: ChainPlace, seen: ChainPlace): string | undefined {
  if (place.seq < seen.seq) return `The log was set back to event ${place.seq}; it had ${seen.seq}.`
  if (place.seq === seen.seq && place.hash !== seen.hash) return `Event ${seen.seq} was replaced.`
  return undefined
}

function placeAfter({ head, last, anchor }: ChainEnd, mac: AuditMac): ChainPlace {
  const places: ChainPlace[] = [last, anchor, head && isSigned(head, mac) ? head : undefined].filter(
    (place) => place !== undefined,
  )
  const { seq, hash } = places.reduce((far, place) => (place.seq > far.seq ? place : far), genesis)
  return { seq, hash }
}
