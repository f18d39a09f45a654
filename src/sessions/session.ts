// One client's session with one server: whose it is, where it stands, and what is in flight in it.
import { assert, type GatewayError } from '../base/errors.ts'
import { LinkedList, type ListNode } from '../base/linked-list.ts'
import type { Admission } from '../policy/limits/limits.ts'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type { Client, Transport } from '../usage/record.ts'
import type { Upstream, UpstreamMessage } from '../upstreams/upstream.ts'
import type { JsonRpcMessage, JsonRpcRequest, RequestId } from '../wire/json-rpc.ts'
import type { Charge } from './charge.ts'
import type { OpenStream } from './open-streams.ts'
import type { Reply } from './reply.ts'

export type SessionStatus = 'created' | 'connected' | 'active' | 'expired' | 'closed'

/** Hears when an answer that came on another stream is durable, or (`instead`) what to send in its place. */
export type Deliver = (instead?: Uint8Array) => void

/** What a session knows of a call in flight. */
export interface SessionCall {
  readonly input: { readonly request: JsonRpcRequest }
  /** The client has cancelled it. */
  cancel(): void
  /** Answers it with `error`; it may have run. */
  abandon(error: GatewayError): void
  /** Takes a final answer that came on another stream of the session. */
  resume(message: UpstreamMessage, parsed: JsonRpcMessage, deliver: Deliver): void
}

/** What a session starts from. */
export interface SessionOrigin {
  readonly id: string
  /** What the client sends as Mcp-Session-Id: 192 random bits, so possession cannot be guessed; never an authentication. */
  readonly token: string
  /** Who opened it; the session ends when this credential is revoked. */
  readonly principal: Principal
  readonly server: Server
  readonly transport: Transport
  readonly client: Client
  /** Made by initialize alone: it ends where that fails. A session made by the API can be tried again. */
  readonly ephemeral: boolean
  readonly nowMs: number
  readonly idleMs: number
  readonly expiresAtMs: number
  /** As a former process left it. */
  readonly restored?: RestoredState
}

/** How far a session had come when the process ended in which it was opened. */
export interface RestoredState {
  readonly tokenHash: string
  readonly createdAtMs: number
  readonly status: SessionStatus
  readonly protocolVersion: string | undefined
  readonly initializeBody: Uint8Array | undefined
  readonly upstreamSessionId: string | undefined
}

/** One connection of the client to the stream, and what it is recorded and counted by. */
export interface Stay {
  readonly reply: Reply
  readonly charge: Charge
  readonly admission?: Admission | undefined
}

/** A server's stream that goes on while its client is away. */
export interface LeftStream {
  /** A client listens again, at most until its credential ends; its time and what it is sent go on `charge`. */
  attach(stay: Stay, expiresAtMs: number | undefined): void
  /** Ends it for good. */
  stop(): void
}

/** Calls of one session whose late answers are kept back. */
const maxWithheld = 1000

const order: readonly SessionStatus[] = ['created', 'connected', 'active']

/** States only move on: created → connected → active → expired | closed. */
export class Session {
  readonly id: string
  /** Empty while it is not known. */
  token: string
  /** Of the token of a former process's session, by which it is known again. */
  readonly tokenHash: string | undefined
  readonly principal: Principal
  readonly serverId: string
  readonly serverName: string
  readonly transport: Transport
  readonly ephemeral: boolean
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly idleMs: number
  client: Client
  lastActiveAtMs: number
  #status: SessionStatus = 'created'

  /** The way to the server; for stdio this session's own child. */
  upstream: Upstream | undefined
  #upstreamSessionId: string | undefined
  protocolVersion: string | undefined
  /** It was opened by a former process. */
  readonly restored: boolean
  /** Hears of what has to be written down, so that the session can go on after a restart. */
  onChange: () => void = () => {}
  /** The client's initialize as it came, to open the server's session again when the server has lost it. */
  initializeBody: Uint8Array | undefined
  /** A re-initialisation in flight, shared by all calls that wait for it. */
  recovery: Promise<void> | undefined
  /** Since when and how often the server had to be opened again; spaces the attempts. */
  recoveries = { count: 0, lastMs: 0 }
  /** The standing one, and those that resume a call's broken stream. */
  readonly streams = new Set<OpenStream>()
  /** The stream that its client has left, and may come back to. */
  left: LeftStream | undefined
  readonly #calls = new LinkedList<SessionCall>()
  readonly #withheld = new Set<string>()

  constructor(origin: SessionOrigin) {
    this.id = origin.id
    this.token = origin.token
    this.principal = origin.principal
    this.serverId = origin.server.id
    this.serverName = origin.server.name
    this.transport = origin.transport
    this.client = origin.client
    this.ephemeral = origin.ephemeral
    const { restored } = origin
    this.createdAtMs = restored?.createdAtMs ?? origin.nowMs
    this.lastActiveAtMs = origin.nowMs
    this.idleMs = origin.idleMs
    this.expiresAtMs = origin.expiresAtMs
    this.tokenHash = restored?.tokenHash
    this.restored = restored !== undefined
    this.#status = restored?.status ?? 'created'
    this.protocolVersion = restored?.protocolVersion
    this.initializeBody = restored?.initializeBody
    this.#upstreamSessionId = restored?.upstreamSessionId
  }

  /** What the server calls the session. */
  get upstreamSessionId(): string | undefined {
    return this.#upstreamSessionId
  }

  set upstreamSessionId(id: string | undefined) {
    if (id === this.#upstreamSessionId) return
    this.#upstreamSessionId = id
    if (this.#status !== 'created') this.onChange()
  }

  /** Whether it is the server's own session over Streamable HTTP, so that ids of its events mean something to it. */
  get straight(): boolean {
    const { upstream } = this
    if (!upstream) return true
    return upstream.transport === 'streamable-http' && !upstream.multiplexed && upstream.era === undefined
  }

  /** Whether it goes on in the next process: SSE and WebSocket sessions end with their connection. */
  get lasting(): boolean {
    if (this.transport !== 'streamable-http') return false
    return this.#status === 'created' ? !this.ephemeral : this.open
  }

  get userId(): string {
    return this.principal.userId
  }

  get status(): SessionStatus {
    return this.#status
  }

  get open(): boolean {
    return this.#status !== 'expired' && this.#status !== 'closed'
  }

  /** Moves on to `status`; moving back is not possible, and a repeated status changes nothing. */
  advance(status: SessionStatus): void {
    if (status === 'expired' || status === 'closed') {
      if (this.open) this.#status = status
      return
    }
    assert(this.open, 'a session that has ended does not come back')
    if (order.indexOf(status) <= order.indexOf(this.#status)) return
    this.#status = status
    if (status === 'connected') this.onChange()
  }

  /** Takes the revision out of the answer to initialize. */
  initialized(answer: JsonRpcMessage): void {
    const version = answer.result?.['protocolVersion']
    if (typeof version !== 'string') return
    this.protocolVersion = version
    this.advance('connected')
  }

  /** A call or a stream is in flight. */
  get busy(): boolean {
    return this.#calls.size > 0 || this.streams.size > 0
  }

  /** What has passed its idle or its absolute limit at this time; a call or a stream in flight is not idle. */
  overdue(nowMs: number): boolean {
    if (nowMs >= this.expiresAtMs) return true
    return !this.busy && nowMs - this.lastActiveAtMs >= this.idleMs
  }

  /** Keep what this returns; it is what `removeCall` takes. */
  addCall(call: SessionCall): ListNode<SessionCall> {
    if (this.#withheld.size > 0) this.#withheld.delete(callKey(call.input.request.id))
    return this.#calls.add(call)
  }

  /** Remembers a call that was answered without the server's result: what comes of it later was not paid for. */
  withhold(id: RequestId): void {
    this.#withheld.add(callKey(id))
    if (this.#withheld.size <= maxWithheld) return
    const [oldest] = this.#withheld
    if (oldest !== undefined) this.#withheld.delete(oldest)
  }

  /** Whether a late answer with this id must not reach the client. */
  isWithheld(id: unknown): boolean {
    return isId(id) && this.#withheld.has(callKey(id))
  }

  removeCall(node: ListNode<SessionCall>): void {
    this.#calls.remove(node)
  }

  /** The call in flight with this JSON-RPC id; `1` and `"1"` are different ids. */
  findCall(id: unknown): SessionCall | undefined {
    for (const call of this.#calls) if (call.input.request.id === id) return call
    return undefined
  }

  get calls(): readonly SessionCall[] {
    return [...this.#calls]
  }
}

const isId = (id: unknown): id is RequestId => typeof id === 'string' || typeof id === 'number'
const callKey = (id: RequestId): string => `${typeof id === 'number' ? 'n' : 's'}${id}`
