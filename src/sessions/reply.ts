// What a client transport offers one message: where its answer goes, and whether the client is still there.
import type { GatewayError } from '../base/errors.ts'
import type { LimitState } from '../policy/limits/counter.ts'
import type { UpstreamMessage } from '../upstreams/upstream.ts'

export type { LimitState }

/** The final answer of a message, already durable. */
export interface FinalAnswer {
  /** HTTP status, for transports that have one. */
  readonly status: number
  /** One JSON-RPC message. */
  readonly bytes: Uint8Array
  /** The SSE event as the upstream sent it, where it did and nothing was changed. */
  readonly frame?: Uint8Array
  /** The record's public id; absent where nothing could be recorded. */
  readonly callId?: string
  /** Decimal string. */
  readonly cost?: string
  /** A session that this answer opens; the client sends it back as Mcp-Session-Id. */
  readonly sessionToken?: string
  readonly retryAfterS?: number
}

/** What a stream does for a client that is away and may come back. */
export interface Absence {
  /** How long the server is still listened to. */
  readonly maxMs: number
  /** The server is no longer listened to: a client that comes back has missed something. */
  missed(): void
}

/** One message's way back to the client. Calls after the client has gone are ignored. */
export interface Reply {
  /** There where messages are kept for a client that has gone: they may still be given. */
  readonly absence?: Absence | undefined
  /** Where the tightest limit stands that is for this message; told first. Only HTTP has a place for it. */
  limited?(state: LimitState): void
  /** The answer will be a stream: its head goes out at once. Has no effect on transports that always stream. */
  stream(head: { readonly callId: string; readonly sessionToken?: string }): void
  /** One message (or bare event) before the final answer; goes out at once. False while the client reads too slowly. */
  message(message: UpstreamMessage): boolean
  final(answer: FinalAnswer): void
  /** The message needs no answer: it was accepted (a notification or a response). */
  accepted(callId: string | undefined): void
  /** Ends a stream without a final answer; an answer that has not begun becomes an empty stream. */
  end(): void
  /** A refusal in the transport's error shape. `callId` is its record's public id, where there is one. */
  refuse(error: GatewayError, callId?: string): void
  /** Runs once when the client can take more after `message` returned false. */
  onDrain(listener: () => void): void
  /** Runs once when the client goes away before the answer is complete. */
  onGone(listener: () => void): void
}
