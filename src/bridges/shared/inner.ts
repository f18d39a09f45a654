// The gateway's own legacy session with a server, from its initialize to its loss or end.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import type { Json } from '../../eras/json-object.ts'
import { ask, notify, type Reply } from '../../upstreams/ask.ts'
import { tell } from '../../upstreams/tell.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamMessage,
} from '../../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import { legacyVersions } from '../../wire/protocol-version.ts'

export interface InnerSessionOptions {
  readonly clock: Clock
  /** The gateway's own version, which servers see. */
  readonly version: string
  /** For initialize, and for each further question of the gateway's own. */
  readonly timeoutMs: number
  /** An id that nothing else on the session has. */
  readonly nextId: () => number
  /** A message that is no answer to a question of the gateway's own. */
  readonly onMessage: (inner: InnerSession, message: UpstreamMessage) => void
  /** The session is of no use any more. May be called more than once. */
  readonly onLost: (inner: InnerSession, failure: UpstreamFailure) => void
  /** Whether anybody waits for what the server says unasked. */
  readonly wantsStream: () => boolean
}

/** Why there is no session: the server's own answer to initialize, or none. */
export type NotOpened = { readonly reply: Reply } | { readonly failure: UpstreamFailure }

/** Between two attempts at the stream of the server's own messages, which servers may end at any time. */
const firstStreamPauseMs = 1000
const maxStreamPauseMs = 30_000

/** One conversation. What it says to the server carries this session's own headers, never a tenant's. */
export class InnerSession {
  readonly upstream: Upstream
  headers: Readonly<Record<string, string>> = { accept: 'application/json, text/event-stream' }
  /** The server's InitializeResult. */
  initialized: Json = {}
  readonly #options: InnerSessionOptions
  #closed = false
  #stream: UpstreamExchange | undefined
  #hasNoStream = false
  #streamPause: NodeJS.Timeout | undefined
  #streamPauseMs = firstStreamPauseMs

  /** Takes the upstream over; `close` ends it. */
  constructor(upstream: Upstream, options: InnerSessionOptions) {
    this.upstream = upstream
    this.#options = options
    if (upstream.multiplexed) this.stand()
  }

  /** A session that the server knows by an id, so that 404 means that it has forgotten it. */
  get hasId(): boolean {
    return this.headers['mcp-session-id'] !== undefined
  }

  get protocolVersion(): string {
    return String(this.initialized['protocolVersion'])
  }

  /**
   * Sends initialize and `notifications/initialized`; undefined where the session is open then. No client capability
   * is declared: a request of the server could not be attributed to one tenant.
   */
  async initialize(): Promise<NotOpened | undefined> {
    const { version } = this.#options
    const params = {
      protocolVersion: legacyVersions[0],
      capabilities: {},
      clientInfo: { name: 'tollbridge', version },
    }
    try {
      const reply = await this.ask('initialize', params)
      const result = reply.message?.result
      if (typeof result?.['protocolVersion'] !== 'string') return { reply }
      this.initialized = result
      this.headers = {
        ...this.headers,
        'mcp-protocol-version': result['protocolVersion'],
        ...(reply.sessionId !== undefined && { 'mcp-session-id': reply.sessionId }),
      }
      if (this.#closed) await this.#endAtServer()
      else await notify(this.#visit(), 'notifications/initialized', this.headers)
      return undefined
    } catch (error) {
      return { failure: failureOf(error) }
    }
  }

  /** A question of the gateway's own. Rejects with `upstream_unavailable`. */
  ask(method: string, params: Json): Promise<Reply> {
    return ask(this.#visit(), method, params, this.headers)
  }

  /** Sends what needs no answer, and waits for none. */
  tell(message: JsonRpcMessage): void {
    tell(this.upstream, message, this.headers)
  }

  /** Opens the stream of the server's own messages, once for all tenants; it is opened again when the server ends it. */
  stand(): void {
    if (this.#stream || this.#hasNoStream || this.#closed || this.#streamPause) return
    const headers = { ...this.headers, accept: 'text/event-stream' }
    this.#stream = this.upstream.listen(headers, {
      head: ({ status }) => {
        if (status === 404 && this.hasId) this.#options.onLost(this, forgotten)
        else this.#hasNoStream = status >= 400 && status < 500
      },
      message: (message) => {
        this.#streamPauseMs = firstStreamPauseMs
        this.#options.onMessage(this, message)
      },
      end: () => this.#standAgain(),
      fail: (failure) => (failure.gone ? this.#options.onLost(this, failure) : this.#standAgain()),
    })
  }

  /** Ends the session with the server, and the connection or child. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.discard()
    await this.#endAtServer()
  }

  /** The server has ended the session already. */
  discard(): void {
    this.#closed = true
    this.#stream?.abort()
    this.#stream = undefined
    clearTimeout(this.#streamPause)
    // It is gone either way; a child that hangs is killed by its own grace time.
    this.upstream.close().catch(() => {})
  }

  async #endAtServer(): Promise<void> {
    if (!this.upstream.multiplexed && this.hasId) await this.upstream.endSession(this.headers).catch(() => {})
    await this.upstream.close().catch(() => {})
  }

  #standAgain(): void {
    this.#stream = undefined
    if (this.#hasNoStream || this.#closed || !this.#options.wantsStream()) return
    this.#streamPause = setTimeout(() => {
      this.#streamPause = undefined
      if (this.#options.wantsStream()) this.stand()
    }, this.#streamPauseMs)
    this.#streamPause.unref()
    this.#streamPauseMs = Math.min(maxStreamPauseMs, this.#streamPauseMs * 2)
  }

  #visit() {
    const { clock, timeoutMs, nextId } = this.#options
    const deadlineMs = clock.monotonicMs() + timeoutMs
    return { upstream: this.upstream, clock, deadlineMs, lastId: nextId() - 1 }
  }
}

/** The server no longer knows the session (MCP 2025-11-25, "Session Management"). */
export const forgotten: UpstreamFailure = {
  stage: 'handshake',
  message: 'The server has lost its session.',
  sent: false,
}

/** Why a question of the gateway's own was not answered. `sent` is for the tenant that waits: its own bytes stayed here. */
export function failureOf(error: unknown): UpstreamFailure {
  const isKnown = error instanceof GatewayError
  const stage = isKnown && isStage(error.data['stage']) ? error.data['stage'] : 'connect'
  const message = isKnown ? error.message : 'There is no way to the server.'
  return { stage, message, sent: false, cause: error }
}

const stages = ['egress', 'connect', 'handshake', 'call', 'process'] as const
const isStage = (stage: unknown): stage is UpstreamFailure['stage'] => stages.some((one) => one === stage)
