// What carries the messages of one connection, whatever it is made of: a child's pipes, an event stream, a WebSocket.
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { UpstreamFailure, UpstreamRequest } from './upstream.ts'

/** Why nothing more comes. */
export interface LinkEnd {
  readonly stage: UpstreamFailure['stage']
  readonly message: string
  readonly tooLarge?: boolean
  readonly cause?: unknown
  /** What the server said last besides its messages; worth telling where it never answered anything. */
  readonly lastWords?: string
  /** The server was not even tried, so that this says nothing of it. */
  readonly untried?: boolean
}

/** Why one message was not taken. */
export type LinkRefusal = Pick<UpstreamFailure, 'stage' | 'message' | 'gone'>

/** What a link waits for before it takes messages, in words that complete "while waiting for …". */
export interface LinkOpening {
  readonly stage: 'connect' | 'handshake'
  readonly awaited: string
}

/** Never called before the link's constructor has returned. */
export interface LinkEvents {
  /** Messages may be written from now on. Once, and only where the link was `opening` at first. */
  opened(): void
  /** What the server sent, without its framing; nobody writes over it. `message` where it is parsed already. */
  message(bytes: Buffer, message?: JsonRpcMessage): void
  /** Nothing more comes, and nothing more is told. Called once. */
  gone(end: LinkEnd): void
}

export interface Link {
  /** Until it is open; undefined afterwards. */
  readonly opening: LinkOpening | undefined
  /** True until the end is certain; then nothing more can be written. */
  readonly alive: boolean
  /** Resolves once everything that the link held is given back. */
  readonly ended: Promise<void>
  /**
   * Takes one message, or says why not. `told` hears later, at most once, that it was handed over, or why this message
   * alone failed; after `gone` it hears nothing. Only to be called once the link is open.
   */
  write(
    request: UpstreamRequest,
    told: (failure?: Omit<UpstreamFailure, 'retryAfterS'>) => void,
  ): LinkRefusal | undefined
  /** Stops and resumes reading. May be called before it is open. */
  pause(): void
  resume(): void
  /** Ends it, politely where that can be done; `gone` follows with this end, unless another came first. */
  close(end: LinkEnd): void
  /** Ends it at once; synchronous, for the gateway's exit. */
  killNow(): void
}
