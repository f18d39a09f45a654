// One client connection that carries whole messages both ways: what is in flight on it, in order and within bounds.
import type { Clock } from '../../base/clock.ts'
import { asGatewayError, GatewayError } from '../../base/errors.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Incoming } from '../../sessions/incoming.ts'
import type { Relay } from '../../sessions/relay.ts'
import type { Session } from '../../sessions/session.ts'
import type { Sessions } from '../../sessions/sessions.ts'
import { isBatch } from '../../wire/batch.ts'
import { isRequest, isResponse, type JsonRpcMessage, type RequestId } from '../../wire/json-rpc.ts'
import { parseMessage } from '../../wire/parse.ts'
import type { Era } from '../../wire/protocol-version.ts'
import { batchFault, parseBatch } from '../batch-body.ts'
import { BatchAnswers } from './batch-answers.ts'
import { eraOf, headersOfLegacy, headersOfModern } from './messages.ts'
import { ChannelReply, type ReplyEnd, type ReplyHost } from './reply.ts'
import { ChannelStreams } from './streams.ts'
import type { Closing, Line, LineListener } from './line.ts'
import { clientInfo, idempotencyKey } from '../own-words.ts'
import type { Target } from '../target.ts'

export interface ChannelOptions {
  readonly relay: Relay
  readonly sessions: Sessions
  readonly clock: Clock
  readonly maxDepth: number
  readonly maxBodyBytes: number
  /** The input schema of the tool that a modern call is for; undefined at once where no header depends on it. */
  readonly inputSchema: (
    server: Incoming['server'],
    message: JsonRpcMessage,
    caller: Principal,
  ) => Promise<unknown> | undefined
}

export interface ChannelOrigin {
  readonly target: Target
  readonly transport: Incoming['transport']
  /** HTTP+SSE is a transport of the legacy era alone. */
  readonly eras: 'legacy' | 'both'
}

/** Hears once that a message was taken, or why it was not; for a request the answer says the rest. */
export type Taken = (refusal?: GatewayError) => void

/** A message in flight. */
interface Passing {
  readonly message: JsonRpcMessage
  readonly body: Uint8Array
  readonly principal: Principal
}
type Replying = Passing & { readonly reply: ChannelReply; readonly key: string | undefined }

const maxRequests = 1024
/** Bodies in flight, in largest bodies. */
const maxBodies = 4
/** What may wait for the client before another message; beyond that the connection is cut off. */
const maxWaitingBytes = 16 * 1024 * 1024
const usedId = 'A request with this id is already in flight on this connection; use another id.'

/**
 * Messages of the modern era stand for themselves. Those of the legacy era belong to the session that the connection's
 * initialize opens, which ends with it; a session made by the REST API outlives its connections.
 */
export class Channel implements ReplyHost, LineListener {
  readonly origin: ChannelOrigin
  readonly line: Line
  readonly #options: ChannelOptions
  readonly #streams: ChannelStreams
  readonly #open = new Set<ChannelReply>()
  readonly #requests = new Map<string, ChannelReply>()
  readonly #onDrain = new Set<() => void>()
  readonly #onGone: () => void
  #session: Session | undefined
  /** What has to be answered before later messages of the legacy era may follow, and these. */
  #gate: ChannelReply | undefined
  #held: Replying[] = []
  #openBytes = 0
  #paused = false
  #gone = false
  /** Monotonic time of the last message from the client. */
  lastActiveMs: number
  /** Monotonic time since when the client reads too slowly; undefined while it keeps up. */
  blockedSinceMs: number | undefined

  constructor(options: ChannelOptions, origin: ChannelOrigin, to: { line: Line; onGone: () => void }) {
    this.#options = options
    this.origin = origin
    this.line = to.line
    this.lastActiveMs = options.clock.monotonicMs()
    this.#onGone = to.onGone
    this.#streams = new ChannelStreams(this, (...of) => this.#openStream(...of))
  }

  /** Begins: from here on the connection's end is heard. */
  start(): void {
    this.line.listen(this)
    const { session } = this.origin.target
    if (session === undefined || session.status === 'created') return
    this.#session = session
    this.#streams.openStanding(session)
  }

  /** Nothing is in flight and no session is open. */
  get idle(): boolean {
    return this.#open.size === 0 && this.#session === undefined
  }

  /** The session that it belongs to has ended, so that nothing can come of it any more. */
  get orphaned(): boolean {
    const session = this.#session ?? this.origin.target.session
    return session !== undefined && !session.open
  }

  /**
   * Takes what the client sent. Returns why it is no message (or batch); then that is all. Else `taken` is called, at
   * once for what has an answer of its own, and answers travel on the channel.
   */
  receive(body: Uint8Array, principal: Principal, taken: Taken): GatewayError | undefined {
    if (this.#gone) return new GatewayError('session_not_found')
    this.lastActiveMs = this.#options.clock.monotonicMs()
    this.#streams.nudge()
    if (isBatch(body)) return this.#batch(body, principal, taken)
    const message = parseMessage(body, this.#options.maxDepth)
    if (message instanceof GatewayError) return message
    if (!isRequest(message)) {
      this.#message({ message, body, principal }, ({ refusal }) => taken(refusal))
      return undefined
    }
    this.#message({ message, body, principal }, ({ answer }) => void (answer && this.send(answer)))
    taken()
    return undefined
  }

  send(bytes: Uint8Array): boolean {
    if (this.#gone) return true
    if (this.line.waitingBytes > maxWaitingBytes) {
      this.terminate()
      return true
    }
    const keepsUp = this.line.send(bytes)
    if (!keepsUp) this.blockedSinceMs ??= this.#options.clock.monotonicMs()
    return keepsUp
  }

  onDrain(listener: () => void): void {
    if (this.#gone) queueMicrotask(listener)
    else this.#onDrain.add(listener)
  }

  drained(): void {
    this.blockedSinceMs = undefined
    const waiting = [...this.#onDrain]
    this.#onDrain.clear()
    for (const listener of waiting) listener()
  }

  close(why: Closing): void {
    if (this.#gone) return
    this.line.close(why)
    this.gone()
  }

  /** Cuts the connection off. */
  terminate(): void {
    this.line.terminate()
    this.gone()
  }

  gone(): void {
    if (this.#gone) return
    this.#gone = true
    this.#onGone()
    this.#streams.stopStanding()
    this.drained()
    for (const { reply } of this.#held.splice(0)) reply.refuse(new GatewayError('session_not_found'))
    for (const reply of this.#open) reply.leave()
    this.#leaveSession()
  }

  resumes(reply: ChannelReply): boolean {
    return this.#session !== undefined && this.#streams.resume(this.#session, reply)
  }

  finished(reply: ChannelReply, end: ReplyEnd): void {
    if (this.#open.delete(reply)) this.#openBytes -= reply.bytes
    const { about } = reply
    if (isRequest(about) && this.#requests.get(idKey(about.id)) === reply)
      this.#requests.delete(idKey(about.id))
    this.#streams.resumed(reply)
    reply.done(end)
    if (reply === this.#gate) this.#passGate(reply, end)
    if (this.#paused && !this.#crowded(1)) {
      this.#paused = false
      this.line.resume()
    }
    if (this.#gone) this.#leaveSession()
  }

  #batch(body: Uint8Array, principal: Principal, taken: Taken): GatewayError | undefined {
    const session = this.#session
    const fault = batchFault(session?.protocolVersion)
    if (fault) return fault
    const parts = parseBatch(body, this.#options.maxDepth)
    if (parts instanceof GatewayError) return parts
    const answers = new BatchAnswers(parts.length, (bytes) => void this.send(bytes))
    for (const part of parts) this.#message({ ...part, principal }, ({ answer }) => answers.done(answer))
    taken()
    return undefined
  }

  #message(passing: Passing, done: (end: ReplyEnd) => void): void {
    const { message, body } = passing
    const era = eraOf(message)
    const key = idempotencyKey(message)
    const known = era instanceof GatewayError ? 'legacy' : era
    const reply = new ChannelReply(this, { message, era: known, bytes: body.length, done })
    if (era instanceof GatewayError) return reply.refuse(era)
    if (key instanceof GatewayError) return reply.refuse(key)
    const fault = this.#admit(reply)
    if (fault) return reply.refuse(fault)
    const replying = { ...passing, reply, key }
    try {
      if (this.#cancels(message, era)) reply.accepted()
      else if (era === 'modern') this.#modern(replying)
      else this.#legacy(replying)
    } catch (thrown) {
      reply.refuse(asGatewayError(thrown))
    }
  }

  /** Counts a message as in flight, unless that would be too many; who sends faster than that is read more slowly. */
  #admit(reply: ChannelReply): GatewayError | undefined {
    const { about } = reply
    const overloaded = new GatewayError('overloaded', { retryAfterS: 1 })
    if (isRequest(about)) {
      if (this.#crowded(1)) return overloaded
      const id = idKey(about.id)
      if (this.#requests.has(id)) return new GatewayError('invalid_request', { detail: usedId })
      this.#requests.set(id, reply)
    } else if (this.#crowded(2)) {
      if (!this.#paused && !this.line.pause()) return overloaded
      this.#paused = true
    }
    this.#open.add(reply)
    this.#openBytes += reply.bytes
    return undefined
  }

  #crowded(times: number): boolean {
    return (
      this.#open.size >= times * maxRequests ||
      this.#openBytes >= times * maxBodies * this.#options.maxBodyBytes
    )
  }

  /** Whether this cancels a modern call, or one that is not there any more: no message for the server either way. */
  #cancels(message: JsonRpcMessage, era: Era): boolean {
    if (message.method !== 'notifications/cancelled') return false
    const id = message.params?.['requestId']
    const call = typeof id === 'string' || typeof id === 'number' ? this.#requests.get(idKey(id)) : undefined
    if (call?.era !== 'modern') return era === 'modern'
    call.leave()
    return true
  }

  #modern(replying: Replying): void {
    const { message, principal, reply } = replying
    if (this.origin.eras === 'legacy') return reply.refuse(new GatewayError('unsupported_era'))
    const schema = this.#options.inputSchema(this.origin.target.server, message, principal)
    if (schema === undefined) return this.#relay(replying, headersOfModern(message))
    schema
      .then((inputSchema) => {
        if (!reply.over) this.#relay(replying, headersOfModern(message, inputSchema))
      })
      .catch((error: unknown) => reply.refuse(asGatewayError(error)))
  }

  /**
   * Servers may count on messages in the order in which they were sent around the handshake, where a client of HTTP
   * waits by itself: whatever follows initialize or `notifications/initialized` waits until that went through.
   */
  #legacy(replying: Replying): void {
    const { message, reply } = replying
    if (this.#gate && !isResponse(message)) {
      this.#held.push(replying)
      return
    }
    if (message.method === 'initialize' && isRequest(message)) {
      this.#gate = reply
      void this.#initialize(replying)
      return
    }
    if (!this.#session) return reply.refuse(new GatewayError('session_required', { detail: noSession }))
    if (message.method === 'notifications/initialized') this.#gate = reply
    this.#options.sessions.touch(this.#session)
    this.#relay(replying, headersOfLegacy(this.#session.protocolVersion), this.#session)
  }

  async #initialize(replying: Replying): Promise<void> {
    const { message, principal, reply } = replying
    const { session: named, server, client } = this.origin.target
    try {
      if (this.#session || (named && named.status !== 'created'))
        throw new GatewayError('invalid_request', { detail: initializedAlready })
      const info = clientInfo(message)
      const about = info === undefined ? client : { ...client, info }
      const { transport } = this.origin
      const session =
        named ??
        (await this.#options.sessions.open(principal, { server, transport, ephemeral: true, client: about }))
      this.#session = session
      if (this.#gone) reply.refuse(new GatewayError('session_not_found'))
      else this.#relay(replying, headersOfLegacy(undefined), session)
    } catch (thrown) {
      reply.refuse(asGatewayError(thrown))
    }
  }

  #relay(
    { message, body, principal, reply, key }: Replying,
    headers: Incoming['headers'],
    session?: Session,
  ) {
    const { target, transport } = this.origin
    const client = session?.client ?? target.client
    const { server } = target
    const incoming = { principal, server, client, transport, message, body, era: reply.era, headers, session }
    this.#options.relay.handle({ ...incoming, idempotencyKey: key }, reply)
  }

  /** The handshake went one step further, or failed; what waited for it follows. */
  #passGate({ about }: ChannelReply, { refusal }: ReplyEnd): void {
    this.#gate = undefined
    const session = this.#session
    if (about.method === 'initialize' && session?.status === 'created') {
      // The server refused; another initialize may be tried.
      this.#session = undefined
      if (session.ephemeral) void this.#options.sessions.close(session)
    }
    if (about.method === 'notifications/initialized' && !refusal && session && !this.#gone)
      this.#streams.openStanding(session)
    for (const replying of this.#held.splice(0)) {
      try {
        this.#legacy(replying)
      } catch (thrown) {
        replying.reply.refuse(asGatewayError(thrown))
      }
    }
  }

  #openStream(
    session: Session,
    reply: Parameters<Relay['stream']>[1],
    lastEventId: string | undefined,
  ): void {
    const { target, transport } = this.origin
    const resumed = lastEventId !== undefined && { 'last-event-id': lastEventId }
    const headers = { ...headersOfLegacy(session.protocolVersion), accept: 'text/event-stream', ...resumed }
    const { principal, server } = target
    const { client } = session
    this.#options.relay.stream(
      { principal, server, session, client, transport, era: 'legacy', headers },
      reply,
    )
  }

  /** A session that was opened here ends with the connection, once its calls are done: they run, and are billed. */
  #leaveSession(): void {
    const session = this.#session
    if (this.#open.size > 0 || !session?.ephemeral) return
    void this.#options.sessions.close(session)
  }
}

const noSession = 'This request needs a session; send initialize first.'
const initializedAlready =
  'This connection has a session already; open another connection for another session.'

const idKey = (id: RequestId): string => `${typeof id === 'number' ? 'n' : 's'}${id}`
