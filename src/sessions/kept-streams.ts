// The last events of all resumable streams, within bounds of count, size and age, in memory and on the disk.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { CallIds } from '../base/id.ts'
import { LinkedList } from '../base/linked-list.ts'
import type { Log } from '../base/log.ts'
import { errorResponse, type RequestId } from '../wire/json-rpc.ts'
import { ownStream, type KeptEventRow, type KeptEventStore } from './kept-event-store.ts'
import { KeptEventWriter } from './kept-event-writer.ts'
import { KeptStream, type KeptEvent } from './kept-stream.ts'
import type { Session } from './session.ts'

export interface KeptStreamLimits {
  /** Of one session, over all its streams; 0 keeps nothing. */
  readonly maxEvents: number
  readonly maxBytes: number
  /** Of all sessions. */
  readonly maxTotalBytes: number
  readonly maxAgeMs: number
  /** What clients are asked to wait before they resume. */
  readonly retryMs: number
}

export interface KeptStreamsOptions {
  readonly store: KeptEventStore
  readonly clock: Clock
  readonly log: Log
  readonly limits: KeptStreamLimits
}

/** A place in a stream of a session: everything after it is there. */
export interface StreamPoint {
  readonly stream: KeptStream
  readonly seq: number
}

/** The streams of one session. */
interface Shelf {
  readonly sessionId: string
  readonly streams: Map<string, KeptStream>
  /** One entry for each event that is kept, in the order in which they came. */
  readonly order: LinkedList<KeptStream>
  bytes: number
  /** Rows may be on the disk. */
  stored: boolean
  /** The session has ended. */
  closed: boolean
}

interface Placed {
  readonly shelf: Shelf
  readonly atMs: number
}

/** What an event takes beside its own bytes. */
const eventBytes = 128
const sweepMs = 1000
/** Rows of events that are gone may be so many before they are removed without waiting for the sweep. */
const maxStaleRows = 2000

export class KeptStreams {
  readonly limits: KeptStreamLimits
  readonly #options: KeptStreamsOptions
  readonly #writer: KeptEventWriter
  readonly #shelves = new Map<string, Shelf>()
  readonly #all = new LinkedList<Placed>()
  /** Streams with rows on the disk that are not kept any more. */
  readonly #stale = new Map<KeptStream, Shelf>()
  #staleRows = 0
  /** Sessions of a former process of which events are on the disk and not here. */
  readonly #unread = new Map<string, Promise<void> | undefined>()
  #bytes = 0
  #sweep: NodeJS.Timeout | undefined
  #purge: NodeJS.Timeout | undefined

  constructor(options: KeptStreamsOptions) {
    this.#options = options
    this.limits = options.limits
    this.#writer = new KeptEventWriter(options.store, options.log)
  }

  /** Finds what a former process has kept; to be called when the sessions that go on are known. */
  async start(): Promise<void> {
    const { store, clock, limits } = this.#options
    await store.purge(clock.now() - limits.maxAgeMs)
    for (const id of await store.listSessions()) this.#unread.set(id, undefined)
    this.#sweep = setInterval(() => this.sweep(), sweepMs)
    this.#sweep.unref()
    // By then everything that the former process has kept is too old.
    this.#purge = setTimeout(() => void this.#purgeOld(), Math.min(limits.maxAgeMs + sweepMs, 2 ** 31 - 1))
    this.#purge.unref()
  }

  /** Resolves when everything is on the disk. */
  async stop(): Promise<void> {
    clearInterval(this.#sweep)
    clearTimeout(this.#purge)
    await this.#writer.flush()
  }

  /** How much is kept now, for tests and metrics. */
  get counts(): { readonly events: number; readonly bytes: number; readonly sessions: number } {
    return { events: this.#all.size, bytes: this.#bytes, sessions: this.#shelves.size }
  }

  /** Reads what a former process has kept of a session; undefined where there is nothing to wait for. */
  load(session: Session): Promise<void> | undefined {
    if (!this.#unread.has(session.id)) return undefined
    const reading = this.#unread.get(session.id) ?? this.#read(session)
    this.#unread.set(session.id, reading)
    return reading
  }

  /** A stream for the answer of a request; `callId` is its record's public id, `use_…`. */
  open(session: Session, callId: string, requestId: RequestId): KeptStream {
    return this.#make(session, { name: callId.slice('use_'.length), callId, requestId })
  }

  /** The session's own stream, of what its server says unasked. */
  own(session: Session): KeptStream {
    const known = this.#shelves.get(session.id)?.streams.get(ownStream)
    return known ?? this.#make(session, { name: ownStream, callId: '' })
  }

  /** Whether the client of this session may be given ids of the gateway's own. */
  keeps({ protocolVersion }: Session): boolean {
    return this.limits.maxEvents > 0 && protocolVersion !== undefined && protocolVersion >= '2025-03-26'
  }

  /** Whether this is an id of the session's that the gateway gave. */
  isOwnId(session: Session, eventId: string): boolean {
    return eventId.startsWith(idPrefix(session))
  }

  /** Where such an id stands; undefined where not everything after it is there any more. */
  findPoint(session: Session, eventId: string): StreamPoint | undefined {
    const [, name, digits] =
      /^(own|[0-9a-hjkmnp-tv-z]{13})-(\d{1,16})$/.exec(eventId.slice(idPrefix(session).length)) ?? []
    if (name === undefined) return undefined
    const stream = name === ownStream ? this.own(session) : this.#shelves.get(session.id)?.streams.get(name)
    const seq = Number(digits)
    return stream?.canFollow(seq) ? { stream, seq } : undefined
  }

  /** The session has ended: nothing is kept for it any more. */
  forget(session: Session): void {
    const shelf = this.#shelves.get(session.id)
    const stored = shelf?.stored || this.#unread.has(session.id)
    this.#shelves.delete(session.id)
    this.#unread.delete(session.id)
    if (shelf) {
      shelf.closed = true
      for (const stream of shelf.streams.values()) {
        while (stream.dropOldest());
        this.#stale.delete(stream)
      }
    }
    if (stored) this.#writer.remove({ sessionId: session.id })
  }

  /** Lets go of what is too old. */
  sweep(): void {
    const oldest = this.#options.clock.now() - this.limits.maxAgeMs
    for (let first = this.#all.first; first && first.atMs <= oldest; first = this.#all.first)
      this.#evict(first.shelf)
    this.#removeStale()
  }

  #make(session: Session, of: { name: string; callId: string; requestId?: RequestId }): KeptStream {
    const { clock } = this.#options
    const shelf = this.#shelfOf(session.id)
    const stream: KeptStream = new KeptStream({
      ...of,
      idPrefix: `${idPrefix(session)}${of.name}-`,
      // What a former process gave out after its last commit is not known.
      floorSeq: session.restored ? floorAt(clock.now()) : 0,
      now: () => clock.now(),
      onEvent: (event) => this.#keep(shelf, stream, event),
    })
    shelf.streams.set(of.name, stream)
    return stream
  }

  #shelfOf(sessionId: string): Shelf {
    const known = this.#shelves.get(sessionId)
    if (known) return known
    const shelf = {
      sessionId,
      streams: new Map(),
      order: new LinkedList<KeptStream>(),
      bytes: 0,
      stored: false,
      closed: false,
    }
    this.#shelves.set(sessionId, shelf)
    return shelf
  }

  #keep(shelf: Shelf, stream: KeptStream, event: KeptEvent): void {
    if (shelf.closed) return void stream.dropOldest()
    shelf.stored = true
    const { sessionId } = shelf
    const requestId = stream.requestId === undefined ? undefined : JSON.stringify(stream.requestId)
    const wanted = () => !shelf.closed && event.seq > stream.lostThrough - (stream.name === ownStream ? 1 : 0)
    this.#writer.add(
      { sessionId, stream: stream.name, requestId, event },
      { wanted, soon: event.last || event.previous === 0 },
    )
    this.#place(shelf, stream, event)
  }

  /** Counts an event, and makes room for it. */
  #place(shelf: Shelf, stream: KeptStream, event: KeptEvent): void {
    if (event.frame.length === 0) return
    const bytes = event.frame.length + eventBytes
    const inShelf = shelf.order.add(stream)
    const inAll = this.#all.add({ shelf, atMs: event.atMs })
    shelf.bytes += bytes
    this.#bytes += bytes
    event.release = () => {
      shelf.order.remove(inShelf)
      this.#all.remove(inAll)
      shelf.bytes -= bytes
      this.#bytes -= bytes
    }
    const { maxEvents, maxBytes, maxTotalBytes } = this.limits
    while (shelf.order.size > maxEvents || shelf.bytes > maxBytes) this.#evict(shelf)
    for (let first = this.#all.first; first && this.#bytes > maxTotalBytes; first = this.#all.first)
      this.#evict(first.shelf)
  }

  /** The oldest event of a session is the oldest of its stream too. */
  #evict(shelf: Shelf): void {
    const stream = shelf.order.first
    if (!stream) return
    stream.dropOldest()
    if (stream.ended && stream.size === 0) shelf.streams.delete(stream.name)
    this.#stale.set(stream, shelf)
    if (++this.#staleRows >= maxStaleRows) this.#removeStale(true)
  }

  #removeStale(soon = false): void {
    this.#staleRows = 0
    for (const [{ name, lostThrough }, { sessionId }] of this.#stale) {
      const through = name === ownStream ? lostThrough - 1 : lostThrough
      this.#writer.remove({ sessionId, stream: name, through }, soon)
    }
    this.#stale.clear()
  }

  async #read(session: Session): Promise<void> {
    const rows = await this.#options.store.load(session.id)
    if (!this.#unread.delete(session.id) || !session.open) return
    for (const row of rows) this.#restore(session, row)
    const shelf = this.#shelfOf(session.id)
    shelf.stored = true
    for (const stream of shelf.streams.values())
      if (!stream.ended && stream.requestId !== undefined) this.#interrupt(stream)
  }

  #restore(session: Session, { stream: name, requestId, event }: KeptEventRow): void {
    const shelf = this.#shelfOf(session.id)
    const id = requestId === undefined ? {} : { requestId: JSON.parse(requestId) as RequestId }
    const stream = shelf.streams.get(name) ?? this.#make(session, { name, callId: `use_${name}`, ...id })
    stream.restore(event)
    this.#place(shelf, stream, event)
  }

  /** The call ran when the former process ended; whoever waits for its answer is told. */
  #interrupt(stream: KeptStream): void {
    const { requestId, callId } = stream
    if (requestId === undefined) return
    const { rpcCode, message, code } = new GatewayError('interrupted')
    const text = errorResponse(requestId, { code: rpcCode, message, data: { code, callId } })
    stream.append({ bytes: Buffer.from(text), last: true })
  }

  async #purgeOld(): Promise<void> {
    const { store, clock, log } = this.#options
    await store.purge(clock.now() - this.limits.maxAgeMs).catch((error: unknown) => {
      log.warn({ err: error }, 'old events could not be removed')
    })
  }
}

/** Ids are bound to their session: another's, or a server's own, never look like them. */
const idPrefix = ({ id }: Session): string => `tb-${id.slice(-8)}-`

/** Grows faster than events do: a thousand a millisecond. */
const floorAt = (nowMs: number): number => (Math.floor(nowMs) - CallIds.epochMs) * 1000
