// stdio towards one server: one child for one session, and each of its messages sent to whom it belongs.
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'
import { isRequest, isResponse } from '../wire/json-rpc.ts'
import type { Server, StdioTransport } from '../registry/server.ts'
import { parseMessage } from './parse-message.ts'
import { StdioChild, type ChildOptions } from './stdio-child.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from './upstream.ts'

/** A registered server that is a command. */
export type StdioServer = Server & { readonly transport: StdioTransport }

export interface StdioOptions extends Omit<ChildOptions, 'maxLineBytes'> {
  /** Messages that wait until somebody listens; the oldest are dropped. */
  readonly maxQueuedMessages: number
  /** The first answer arrived: the server works. */
  readonly onAnswer?: () => void
  /** The child is gone. `failed`: it ended by itself before its first answer. `message` says why, without secrets. */
  readonly onGone?: (end: { readonly failed: boolean; readonly message: string }) => void
}

/** One request that waits for its answer, or the listener. */
class StdioExchange implements UpstreamExchange {
  readonly sink: UpstreamSink
  readonly id: RequestId | undefined
  readonly progressToken: RequestId | undefined
  headed = false
  /** Aborted or ended: its sink hears nothing more. */
  silent = false
  readonly #owner: StdioUpstream

  constructor(owner: StdioUpstream, sink: UpstreamSink, message?: JsonRpcMessage) {
    this.#owner = owner
    this.sink = sink
    this.id = message?.id ?? undefined
    this.progressToken = readToken(message)
  }

  abort(): void {
    this.#owner.forget(this)
  }

  pause(): void {
    this.#owner.setPaused(this, true)
  }

  resume(): void {
    this.#owner.setPaused(this, false)
  }
}

/**
 * A child process that speaks newline-delimited JSON-RPC (MCP "stdio"). The child starts in the constructor; what is
 * sent before it runs waits in its pipe. Requests are found by id, of which `1` and `"1"` are two. Pausing any
 * exchange pauses the child. `abort` only forgets a call: telling the server with `notifications/cancelled` is the
 * caller's.
 */
export class StdioUpstream implements Upstream {
  readonly transport = 'stdio'
  readonly multiplexed = true
  readonly #child: StdioChild
  readonly #options: StdioOptions
  readonly #pending = new Map<RequestId, StdioExchange>()
  readonly #byToken = new Map<RequestId, StdioExchange>()
  readonly #paused = new Set<StdioExchange>()
  #listener: StdioExchange | undefined
  #waiting: UpstreamMessage[] = []
  #answered = false
  #closing = false
  #failure: UpstreamFailure | undefined

  constructor(server: StdioServer, options: StdioOptions) {
    this.#options = options
    const childOptions = { ...options, maxLineBytes: server.limits.maxResponseBytes }
    this.#child = new StdioChild(server.transport, childOptions, {
      line: (line) => this.#receive(line),
      gone: (reason) => this.#onGone(reason),
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The last lines that the server wrote to its standard error, with the values of its variables masked. */
  get lastStderr(): readonly string[] {
    return this.#child.lastStderr
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const exchange = new StdioExchange(this, sink, request.message)
    if (isRequest(request.message)) {
      if (this.#pending.has(request.message.id))
        return this.#refuse(exchange, 'A request with this id is already waiting for its answer.')
      if (!this.#child.write(request.body)) return this.#refuse(exchange)
      this.#pending.set(request.message.id, exchange)
      if (exchange.progressToken !== undefined) this.#byToken.set(exchange.progressToken, exchange)
      return exchange
    }
    if (!this.#child.write(request.body)) return this.#refuse(exchange)
    this.#soon(exchange, () => {
      sink.head({ status: 202, contentType: 'none' })
      sink.end()
    })
    return exchange
  }

  listen(_: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange {
    const exchange = new StdioExchange(this, sink)
    if (this.#listener) return this.#refuse(exchange, 'This session already has a stream.')
    if (!this.#child.alive) return this.#refuse(exchange)
    this.#listener = exchange
    this.#soon(exchange, () => {
      this.#head(exchange, 'event-stream')
      const waiting = this.#waiting
      this.#waiting = []
      for (const message of waiting) this.#deliver(exchange, message)
    })
    return exchange
  }

  /** Stops the child. */
  async endSession(): Promise<number> {
    await this.close()
    return 200
  }

  /** Stops the process group; what is pending fails. Resolves when the process is gone. */
  async close(): Promise<void> {
    this.#closing ||= this.#child.alive
    this.#child.stop('The session was closed.')
    await this.#child.ended
  }

  /** Kills the process group at once; synchronous, for the gateway's exit. */
  killNow(): void {
    this.#child.killNow()
  }

  /** Used by the exchange: its sink hears nothing more. */
  forget(exchange: StdioExchange): void {
    exchange.silent = true
    if (this.#listener === exchange) this.#listener = undefined
    if (exchange.id !== undefined && this.#pending.get(exchange.id) === exchange)
      this.#pending.delete(exchange.id)
    const token = exchange.progressToken
    if (token !== undefined && this.#byToken.get(token) === exchange) this.#byToken.delete(token)
    this.setPaused(exchange, false)
  }

  /** Used by the exchange. */
  setPaused(exchange: StdioExchange, paused: boolean): void {
    if (paused && !exchange.silent) {
      this.#paused.add(exchange)
      this.#child.pause()
    } else if (this.#paused.delete(exchange) && this.#paused.size === 0) this.#child.resume()
  }

  #receive(line: Buffer): void {
    const message = parseMessage(line)
    // What is not a message is a stray print of the server's author; it harms nobody.
    if (!message) return
    const parsed = { message, bytes: line }
    if (isResponse(message)) {
      this.#answer(parsed, message)
      return
    }
    const owner = message.method === 'notifications/progress' ? this.#progressOwner(message) : undefined
    const target = owner ?? this.#listener ?? this.#newestPending()
    if (target) {
      this.#head(target, 'event-stream')
      this.#deliver(target, parsed)
      return
    }
    this.#waiting.push(parsed)
    if (this.#waiting.length > this.#options.maxQueuedMessages) this.#waiting.shift()
  }

  #answer(parsed: UpstreamMessage, message: JsonRpcMessage): void {
    if (!this.#answered) {
      this.#answered = true
      this.#options.onAnswer?.()
    }
    const exchange =
      message.id === undefined || message.id === null ? undefined : this.#pending.get(message.id)
    // An unknown id: answered before, aborted, or made up.
    if (!exchange) return
    this.#head(exchange, 'json')
    this.#deliver(exchange, parsed)
    if (exchange.silent) return
    this.forget(exchange)
    exchange.sink.end()
  }

  #progressOwner(message: JsonRpcMessage): StdioExchange | undefined {
    const token = message.params?.progressToken
    return typeof token === 'string' || typeof token === 'number' ? this.#byToken.get(token) : undefined
  }

  #newestPending(): StdioExchange | undefined {
    let newest: StdioExchange | undefined
    for (const exchange of this.#pending.values()) newest = exchange
    return newest
  }

  #head(exchange: StdioExchange, contentType: 'json' | 'event-stream'): void {
    if (exchange.headed || exchange.silent) return
    exchange.headed = true
    exchange.sink.head({ status: 200, contentType })
  }

  #deliver(exchange: StdioExchange, message: UpstreamMessage): void {
    if (!exchange.silent) exchange.sink.message(message)
  }

  #refuse(exchange: StdioExchange, message?: string): UpstreamExchange {
    const failure: UpstreamFailure =
      message === undefined
        ? {
            ...(this.#failure ?? {
              stage: 'process',
              gone: true,
              message: this.#child.alive
                ? 'The process does not read its input; too much is waiting.'
                : 'The process has ended.',
            }),
            sent: false,
          }
        : { stage: 'call', message, sent: false }
    this.#soon(exchange, () => exchange.sink.fail(failure))
    return exchange
  }

  /** After the caller has the exchange in its hands, unless it aborts. */
  #soon(exchange: StdioExchange, act: () => void): void {
    queueMicrotask(() => {
      if (!exchange.silent) act()
    })
  }

  #onGone(reason: { message: string; tooLarge?: boolean }): void {
    const lastLine = this.#answered ? undefined : this.#child.lastStderr.at(-1)
    const message = lastLine === undefined ? reason.message : `${reason.message} It wrote: ${lastLine}`
    this.#failure = {
      stage: 'process',
      gone: true,
      message,
      sent: true,
      ...(reason.tooLarge && { tooLarge: true }),
    }
    const orphans = [...this.#pending.values(), ...(this.#listener ? [this.#listener] : [])]
    this.#waiting = []
    this.#options.onGone?.({ failed: !this.#answered && !this.#closing, message })
    for (const exchange of orphans) {
      if (exchange.silent) continue
      this.forget(exchange)
      exchange.sink.fail(this.#failure)
    }
  }
}

function readToken(message: JsonRpcMessage | undefined): RequestId | undefined {
  const meta = message?.params?._meta
  if (typeof meta !== 'object' || meta === null || !('progressToken' in meta)) return undefined
  const token = meta.progressToken
  return typeof token === 'string' || typeof token === 'number' ? token : undefined
}
