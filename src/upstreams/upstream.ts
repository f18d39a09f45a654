// What the gateway needs of a connection to an MCP server, whatever its transport.
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { LastFailure, ServerTransport } from '../registry/server.ts'

/** One message from the client, on its way to the server. */
export interface UpstreamRequest {
  /** The client's own bytes; sent unchanged. */
  readonly body: Uint8Array
  readonly message: JsonRpcMessage
  /**
   * MCP headers for this message in lower case (mcp-protocol-version, mcp-session-id, mcp-method, mcp-name,
   * mcp-param-*, accept, last-event-id). Vetted by the caller; transports without headers ignore them.
   */
  readonly headers: Readonly<Record<string, string>>
}

/** One message from the server. */
export interface UpstreamMessage {
  /** Parsed payload; undefined for an SSE event without one (priming event, comment) and for a body that is not JSON-RPC. */
  readonly message: JsonRpcMessage | undefined
  /** The payload's bytes, without framing. */
  readonly bytes: Uint8Array
  /** The whole SSE event as it came, ending in its blank line; undefined where the transport has no such frame. */
  readonly frame?: Uint8Array
  /** The name of the SSE event; undefined where it has none, which means `message`. */
  readonly event?: string | undefined
}

/** How the answer begins. Connections have no such thing, and report 200 (202 where nothing will follow). */
export interface UpstreamHead {
  readonly status: number
  readonly contentType: 'json' | 'event-stream' | 'none' | 'other'
  /** As the server sent it, for bodies of kind `other` and `json`. */
  readonly contentTypeText?: string
  /** What a 403 asks the gateway for (`WWW-Authenticate`, RFC 6750, 3.1). Clients do not see it. */
  readonly challenge?: string
  /** A session id that the server minted with this answer. */
  readonly sessionId?: string
}

/** Why an exchange broke off. `sent: false` says for certain that no byte of the request left the gateway. */
export interface UpstreamFailure {
  readonly stage: LastFailure['stage']
  readonly message: string
  readonly sent: boolean
  /** The connection, or the child, with everything that the server knew of the session is gone; another may be opened. */
  readonly gone?: boolean
  /** It was not even tried: the server is in trouble, and is tried again after so many seconds. */
  readonly retryAfterS?: number
  /** The answer passed the server's `maxResponseBytes`. */
  readonly tooLarge?: boolean
  readonly cause?: unknown
}

/** Receives one exchange: `head` once, then messages, then exactly one of `end` or `fail`. Never called after `abort`. */
export interface UpstreamSink {
  head(head: UpstreamHead): void
  message(message: UpstreamMessage): void
  end(): void
  fail(failure: UpstreamFailure): void
}

/** An exchange in flight. */
export interface UpstreamExchange {
  /** Ends it; the sink hears nothing more. Over HTTP this closes the connection's stream. Safe to call twice. */
  abort(): void
  /** Stops and resumes reading, for backpressure. */
  pause(): void
  resume(): void
}

/**
 * A way to one server. For HTTP it is shared by all callers and holds no session; otherwise it is one connection or
 * child process, made for one session. Bridges and shared connections are ways too, over others: whoever holds one
 * need not know. `send` never throws: failures reach the sink.
 */
export interface Upstream {
  readonly transport: ServerTransport['type']
  /** The era that the server itself is spoken to in, where that is not simply the caller's own. */
  readonly era?: Era | undefined
  /** Answers are found by JSON-RPC id alone, so that an id can be in flight only once. */
  readonly multiplexed: boolean
  /** Sends a message. For a request the sink gets everything that belongs to it, the final answer last. */
  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange
  /** Opens the stream of unsolicited messages (legacy GET). At most one per connection. */
  listen(headers: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange
  /** Ends the server's session (legacy DELETE); resolves with the status, 405 where the server has no such thing. */
  endSession(headers: Readonly<Record<string, string>>): Promise<number>
  /** Ends a connection, or kills the process group, and fails what is pending. HTTP: nothing, the pool is shared. */
  close(): Promise<void>
}
