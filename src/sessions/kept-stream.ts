// One resumable stream: its last events in order, and the connection that reads them.
import { formatEvent } from '../wire/sse-frame.ts'
import type { RequestId } from '../wire/json-rpc.ts'
import type { UpstreamMessage } from '../upstreams/upstream.ts'
import type { Reply } from './reply.ts'

export interface KeptEvent {
  readonly seq: number
  /** The event before it in its stream, 0 for the first: numbers may jump at a restart. */
  readonly previous: number
  /** The whole SSE event with its id; empty for one that was lost before it could be kept. */
  readonly frame: Uint8Array
  readonly atMs: number
  /** It is the answer, so that nothing follows. */
  readonly last: boolean
  /** Runs when the stream lets go of it. */
  release?: () => void
}

/** What an event says, before it has its number. */
export interface EventInput {
  /** One JSON-RPC message. */
  readonly bytes: Uint8Array
  /** The event as the server sent it, without an id of its own. */
  readonly frame?: Uint8Array | undefined
  readonly last?: boolean
}

export interface KeptStreamOptions {
  /** What the ids of its events begin with; it names the session and the stream. */
  readonly idPrefix: string
  /** The stream's name within its session. */
  readonly name: string
  /** Public id of the record of the call that it belongs to. */
  readonly callId: string
  /** The request that the stream answers; absent for the session's own stream. */
  readonly requestId?: RequestId
  /** Numbers of new events are above this one: a former process may have given out some that were not kept. */
  readonly floorSeq: number
  readonly now: () => number
  /** Hears of each event. */
  readonly onEvent: (event: KeptEvent) => void
}

interface Follower {
  readonly reply: Reply
  /** Hears that its connection is no longer the stream's. */
  readonly onLost: () => void
  /** The number of the newest event that it was given. */
  at: number
  blocked: boolean
}

/** Events are numbered upwards. One connection at a time reads them; the newest takes the place of the one before. */
export class KeptStream {
  readonly name: string
  readonly callId: string
  readonly requestId: RequestId | undefined
  readonly #options: KeptStreamOptions
  #events: KeptEvent[] = []
  /** Index of the oldest event that is kept. */
  #head = 0
  #lastSeq = 0
  #lostThrough = 0
  #ended = false
  #follower: Follower | undefined
  #onDrain: (() => void) | undefined
  /** The newest event that a connection was given. */
  #givenThrough = 0

  constructor(options: KeptStreamOptions) {
    this.#options = options
    this.name = options.name
    this.callId = options.callId
    this.requestId = options.requestId
  }

  get size(): number {
    return this.#events.length - this.#head
  }

  get lastSeq(): number {
    return this.#lastSeq
  }

  /** The newest event that is not kept any more; who has not read it has a gap. */
  get lostThrough(): number {
    return this.#lostThrough
  }

  get givenThrough(): number {
    return this.#givenThrough
  }

  get ended(): boolean {
    return this.#ended
  }

  get followed(): boolean {
    return this.#follower !== undefined
  }

  /** Takes the next event. False while the connection reads too slowly; without one, nothing waits. */
  append({ bytes, frame, last = false }: EventInput): boolean {
    if (this.#ended) return true
    const seq = Math.max(this.#lastSeq, this.#options.floorSeq) + 1
    const id = this.idOf(seq)
    const named = frame
      ? Buffer.concat([Buffer.from(`id: ${id}\n`), frame])
      : formatEvent({ id, event: 'message', data: bytes })
    this.#add({ seq, previous: this.#lastSeq, frame: named, atMs: this.#options.now(), last })
    return !this.#follower?.blocked
  }

  /** Puts back an event of a former process; nobody reads yet. */
  restore(event: KeptEvent): void {
    // Something before it could not be written.
    if (event.previous > this.#lastSeq) {
      while (this.dropOldest());
      this.#lostThrough = event.previous
    }
    if (event.frame.length === 0) this.#lostThrough = event.seq
    else this.#events.push(event)
    this.#lastSeq = event.seq
    this.#givenThrough = event.seq
    if (event.last) this.#ended = true
  }

  /** From now on whoever has not read everything has a gap. */
  lose(): void {
    if (this.#ended) return
    const seq = Math.max(this.#lastSeq, this.#options.floorSeq) + 1
    while (this.dropOldest());
    this.#lostThrough = seq
    const event = { seq, previous: this.#lastSeq, frame: new Uint8Array(), atMs: this.#options.now() }
    this.#add({ ...event, last: false })
  }

  /** Lets go of the oldest event; a connection that is behind gets it now, since a gap would be silent. False: there is none. */
  dropOldest(): boolean {
    const event = this.#events[this.#head]
    if (!event) return false
    this.#head++
    event.release?.()
    if (this.#head > 64 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head)
      this.#head = 0
    }
    this.#lostThrough = event.seq
    if (this.#follower && this.#follower.at < event.seq) this.#give(this.#follower, event)
    return true
  }

  /** Whether everything after this event is there. */
  canFollow(from: number): boolean {
    return from >= this.#lostThrough
  }

  /** Gives `reply` every event after `from`, and those that come; it ends with the stream. */
  follow(reply: Reply, from: number, onLost: () => void = () => {}): void {
    this.unfollow()
    const follower: Follower = { reply, onLost, at: Math.max(from, this.#lostThrough), blocked: false }
    this.#follower = follower
    reply.onGone(() => {
      if (this.#follower === follower) this.#follower = undefined
      this.#drained()
    })
    this.#pump()
  }

  /** The stream goes on without this connection, or without any. */
  unfollow(reply?: Reply): void {
    const follower = this.#follower
    if (follower && (reply === undefined || follower.reply === reply)) this.#letGo(follower)
  }

  /** Passes on what need not be kept. */
  message(message: UpstreamMessage): boolean {
    return this.#follower?.reply.message(message) ?? true
  }

  /** No further event comes. */
  end(): void {
    this.#ended = true
    this.#pump()
  }

  /** Runs once when more can be taken after `append` returned false. */
  onDrain(listener: () => void): void {
    if (this.#follower?.blocked) this.#onDrain = listener
    else queueMicrotask(listener)
  }

  /** An event without a message, by which a client learns where it is (MCP 2025-11-25, "Sending Messages to the Server"). */
  priming(at: number, retryMs: number): Uint8Array {
    return Buffer.from(`id: ${this.idOf(at)}\nretry: ${retryMs}\ndata: \n\n`)
  }

  idOf(seq: number): string {
    return `${this.#options.idPrefix}${seq}`
  }

  #add(event: KeptEvent): void {
    this.#lastSeq = event.seq
    if (event.last) this.#ended = true
    if (event.frame.length > 0) this.#events.push(event)
    this.#pump()
    this.#options.onEvent(event)
  }

  #pump(): void {
    const follower = this.#follower
    if (!follower) return
    while (!follower.blocked && this.#follower === follower) {
      const next = this.#after(follower.at)
      if (!next) break
      this.#give(follower, next)
    }
    if (this.#ended && this.#follower === follower && follower.at >= this.#lastSeq) this.#letGo(follower)
  }

  #give(follower: Follower, event: KeptEvent): void {
    follower.at = event.seq
    this.#givenThrough = Math.max(this.#givenThrough, event.seq)
    const { frame } = event
    if (follower.reply.message({ message: undefined, bytes: frame, frame }) || follower.blocked) return
    follower.blocked = true
    follower.reply.onDrain(() => {
      follower.blocked = false
      if (this.#follower === follower) this.#pump()
      if (!this.#follower?.blocked) this.#drained()
    })
  }

  #drained(): void {
    const listener = this.#onDrain
    this.#onDrain = undefined
    listener?.()
  }

  #letGo(follower: Follower): void {
    this.#follower = undefined
    follower.reply.end()
    follower.onLost()
    this.#drained()
  }

  #after(seq: number): KeptEvent | undefined {
    const newest = this.#events.at(-1)
    if (!newest || this.size === 0 || newest.seq <= seq) return undefined
    if (newest.previous <= seq) return newest
    let [low, high] = [this.#head, this.#events.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#events[middle]?.seq ?? 0) > seq) high = middle
      else low = middle + 1
    }
    return this.#events[low]
  }
}
