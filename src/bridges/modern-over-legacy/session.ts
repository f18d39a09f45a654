// One initialised legacy session with a server, as the conversation of modern callers uses it.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { exactly } from '../../eras/exact-json.ts'
import type { LogLevel } from '../../eras/modern-client-legacy-server/logs.ts'
import type { Json } from '../../eras/json-object.ts'
import {
  initializeParams,
  readInitializeResult,
  type DeclaredClient,
  type LegacyServer,
} from '../../eras/modern-client-legacy-server/server.ts'
import { ask, notify, type Visit } from '../../upstreams/ask.ts'
import { parseMessage } from '../../upstreams/parse-message.ts'
import type { Upstream, UpstreamExchange, UpstreamFailure } from '../../upstreams/upstream.ts'
import type { UpstreamMessage, UpstreamSink } from '../../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

export interface SessionOptions {
  /** Opens a way to the server; throws GatewayError where there is none now. */
  readonly open: () => Upstream
  readonly client: DeclaredClient
  readonly clock: Clock
  /** For `initialize`, and for each later request of the conversation's own. */
  readonly handshakeTimeoutMs: number
  /** A JSON-RPC id that the conversation has not used. */
  readonly nextId: () => number
}

export interface TellOptions {
  /** The same message, for writing it; see `exactly`. */
  readonly written?: JsonRpcMessage
  readonly onRefused?: () => void
}

/** A session with the server. It ends when the server forgets it, when its connection is gone, or by `end`. */
export class LegacySession {
  readonly upstream: Upstream
  readonly server: LegacyServer
  /** Of every message after `initialize`. */
  readonly headers: Readonly<Record<string, string>>
  readonly #options: SessionOptions
  #logLevel: LogLevel | undefined
  #levelSet: Promise<unknown> = Promise.resolve()

  constructor(
    upstream: Upstream,
    options: SessionOptions,
    opened: { readonly server: LegacyServer; readonly sessionId: string | undefined },
  ) {
    this.upstream = upstream
    this.#options = options
    this.server = opened.server
    this.headers = headersOf(opened)
  }

  /** Whether the server can forget this session and say so. */
  get named(): boolean {
    return this.headers['mcp-session-id'] !== undefined
  }

  /** `written` is the same message, for writing it. */
  send(message: JsonRpcMessage, sink: UpstreamSink, written = message): UpstreamExchange {
    return this.upstream.send({ body: bytesOf(written), message, headers: this.headers }, sink)
  }

  /** Sends a notification or an answer; `onRefused` hears where the server does not take it. */
  tell(message: JsonRpcMessage, options: TellOptions = {}): void {
    const { written = message, onRefused = () => {} } = options
    const sink: UpstreamSink = {
      head: ({ status }) => {
        if (status >= 400) onRefused()
      },
      message: () => {},
      end: () => {},
      fail: onRefused,
    }
    this.send(message, sink, written)
  }

  /** A request of the conversation's own; undefined where the server does not answer. */
  async ask(method: string, params: Json): Promise<JsonRpcMessage | undefined> {
    const { clock, handshakeTimeoutMs, nextId } = this.#options
    const deadlineMs = clock.monotonicMs() + handshakeTimeoutMs
    const visit: Visit = { upstream: this.upstream, clock, deadlineMs, lastId: nextId() - 1 }
    try {
      return (await ask(visit, method, params, this.headers)).message
    } catch {
      return undefined
    }
  }

  /** Sets the conversation's log level where it is another. Logs are a courtesy: a refusal changes nothing. */
  async setLogLevel(level: LogLevel): Promise<void> {
    if (this.server.capabilities['logging'] === undefined) return
    if (this.#logLevel !== level) {
      this.#logLevel = level
      this.#levelSet = this.#levelSet.then(() => this.ask('logging/setLevel', { level }))
    }
    await this.#levelSet
  }

  /** Takes leave of the server and closes the way. */
  async end(): Promise<void> {
    if (this.named) await this.upstream.endSession(this.headers)
    await this.upstream.close()
  }
}

const bytesOf = (message: JsonRpcMessage): Uint8Array => Buffer.from(JSON.stringify(message))

const headersOf = ({
  server,
  sessionId,
}: {
  readonly server: LegacyServer
  readonly sessionId: string | undefined
}) => ({
  'mcp-protocol-version': server.protocolVersion,
  ...(sessionId !== undefined && { 'mcp-session-id': sessionId }),
})

/** A message of the server, and the same for writing it again; see `exactly`. */
export interface Said {
  readonly message: JsonRpcMessage
  readonly written: JsonRpcMessage
}

/** Every message of an event or body: servers of 2025-03-26 may send several as a batch. */
export function messagesIn({ message, bytes }: UpstreamMessage): Said[] {
  if (message !== undefined) return [{ message, written: exactly(message, bytes) }]
  if (bytes[0] !== 0x5b) return []
  try {
    const batch: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (!Array.isArray(batch)) return []
    const messages = batch.map((one) => parseMessage(Buffer.from(JSON.stringify(one))))
    return messages.flatMap((one) => (one ? [{ message: one, written: one }] : []))
  } catch {
    return []
  }
}

/** Why a session could not be opened; what waits for it has not been sent. */
export class OpeningError extends Error {
  readonly failure: UpstreamFailure

  constructor(failure: UpstreamFailure) {
    super(failure.message)
    this.failure = failure
  }
}

/** What whoever waits for a session is told where there is none. */
export const openingFailure = (error: unknown): UpstreamFailure =>
  error instanceof OpeningError ? error.failure : failureOf(error)

/** Opens a way and initialises a session over it. Rejects with `OpeningError`; the way is closed then. */
export async function openSession(options: SessionOptions): Promise<LegacySession> {
  let upstream: Upstream | undefined
  try {
    upstream = options.open()
    return await initialize(upstream, options)
  } catch (error) {
    upstream?.close().catch(() => {})
    throw new OpeningError(failureOf(error))
  }
}

async function initialize(upstream: Upstream, options: SessionOptions): Promise<LegacySession> {
  const { client, clock, handshakeTimeoutMs, nextId } = options
  const deadlineMs = clock.monotonicMs() + handshakeTimeoutMs
  const visit: Visit = { upstream, clock, deadlineMs, lastId: nextId() - 1 }
  const { message, status, sessionId } = await ask(visit, 'initialize', initializeParams(client), {})
  const server = readInitializeResult(message)
  if (!server) {
    const why = message?.error
      ? `The server refused initialize: ${oneLine(message.error.message)}`
      : `The server gave no answer to initialize that a legacy server gives (HTTP ${status}).`
    throw new GatewayError('upstream_unavailable', { detail: why, data: { stage: 'handshake' } })
  }
  await notify(visit, 'notifications/initialized', headersOf({ server, sessionId }))
  return new LegacySession(upstream, options, { server, sessionId })
}

const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 200)

function failureOf(error: unknown): UpstreamFailure {
  if (!(error instanceof GatewayError))
    return { stage: 'connect', message: 'There is no way to the server.', sent: false, cause: error }
  const stage = error.data['stage'] as UpstreamFailure['stage'] | undefined
  return { stage: stage ?? 'connect', message: error.message, sent: false, cause: error }
}
