// A modern caller without a transport, and a scripted way to a legacy server; for the tests of bridges.
import type { ServerTransport } from '../../src/registry/server.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../src/upstreams/upstream.ts'
import { isRequest, type JsonRpcMessage, type JsonRpcRequest } from '../../src/wire/json-rpc.ts'

const prefix = 'io.modelcontextprotocol/'

export interface CallOptions {
  readonly id?: string | number
  readonly capabilities?: object
  /** More of `params._meta`. */
  readonly meta?: object
}

/** A request as a modern client sends it. */
export function modernRequest(
  method: string,
  params: object = {},
  options: CallOptions = {},
): JsonRpcRequest {
  const { id = 1, capabilities = {}, meta = {} } = options
  const _meta = {
    [`${prefix}protocolVersion`]: '2026-07-28',
    [`${prefix}clientCapabilities`]: capabilities,
    ...meta,
  }
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta } }
}

/** What one exchange was told so far. */
export class Heard implements UpstreamSink {
  headed: UpstreamHead | undefined
  readonly messages: JsonRpcMessage[] = []
  failure: UpstreamFailure | undefined
  ends = 0
  exchange: UpstreamExchange | undefined
  readonly #done = Promise.withResolvers<void>()
  readonly #changed = new Set<() => void>()

  head(head: UpstreamHead): void {
    if (this.headed || this.ends > 0) throw new Error('a second head')
    this.headed = head
  }

  message({ message, bytes }: UpstreamMessage): void {
    if (this.ends > 0 || !this.headed) throw new Error('a message before the head or after the end')
    if (JSON.stringify(message) !== Buffer.from(bytes).toString()) throw new Error('bytes differ')
    if (message) this.messages.push(message)
    for (const changed of this.#changed) changed()
  }

  end(): void {
    this.#end()
  }

  fail(failure: UpstreamFailure): void {
    this.failure = failure
    this.#end()
  }

  /** The last message once the exchange has ended; throws where it failed. */
  async answer(): Promise<JsonRpcMessage> {
    await this.ended()
    if (this.failure) throw new Error(this.failure.message)
    const last = this.messages.at(-1)
    if (!last) throw new Error('no answer')
    return last
  }

  async ended(): Promise<this> {
    await this.#done.promise
    return this
  }

  /** Resolves once a message is so. */
  async until(isSo: (message: JsonRpcMessage) => boolean, timeoutMs = 5000): Promise<JsonRpcMessage> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = this.messages.find(isSo)
      if (found) return found
      const leftMs = deadline - Date.now()
      if (leftMs <= 0 || this.ends > 0) throw new Error(`not heard: ${JSON.stringify(this.messages)}`)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          this.#changed.delete(done)
          resolve()
        }
        const timer = setTimeout(done, leftMs)
        this.#changed.add(done)
      })
    }
  }

  #end(): void {
    if (++this.ends > 1) throw new Error('a second end')
    this.#done.resolve()
    for (const changed of this.#changed) changed()
  }
}

/** Sends a message and records what comes; throws where the sink is told anything before the exchange is there. */
export function sendTo(upstream: Upstream, message: JsonRpcMessage): Heard {
  const heard = new Heard()
  heard.exchange = upstream.send({ body: Buffer.from(JSON.stringify(message)), message, headers: {} }, heard)
  if (heard.headed || heard.ends > 0) throw new Error('the sink was called too early')
  return heard
}

/** One exchange as the scripted server sees it. */
export interface ServerSide {
  readonly request: JsonRpcMessage
  readonly headers: Readonly<Record<string, string>>
  readonly sink: UpstreamSink
  aborted: boolean
}

/** What the scripted server does with a message; undefined leaves it unanswered. */
export type Script = (message: JsonRpcRequest, side: ServerSide) => object | undefined | void

/**
 * A legacy server behind a way that never opens a socket. Answers `initialize` and what the script answers; keeps
 * everything that it was sent.
 */
export class ScriptedWay implements Upstream {
  readonly transport: ServerTransport['type']
  readonly multiplexed: boolean
  readonly sent: ServerSide[] = []
  /** The bytes of each message that was sent. */
  readonly bodies: string[] = []
  readonly streams: ServerSide[] = []
  readonly endedSessions: string[] = []
  closed = 0
  /** Session ids that the server knows; undefined where it mints none. */
  sessions: Set<string> | undefined
  capabilities: object = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    logging: {},
  }
  /** How the GET stream is answered; 0 leaves it unanswered. */
  streamStatus = 200
  script: Script = () => ({})
  /** How answers to the server's own requests are taken. */
  answerStatus = 202
  #minted = 0

  constructor(options: { multiplexed: boolean; sessions?: boolean }) {
    this.multiplexed = options.multiplexed
    this.transport = options.multiplexed ? 'stdio' : 'streamable-http'
    if (options.sessions) this.sessions = new Set()
  }

  /** Messages of one method, or all without a method. */
  of(method: string | undefined): ServerSide[] {
    return this.sent.filter(({ request }) => request.method === method)
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const { message, headers } = request
    this.bodies.push(Buffer.from(request.body).toString())
    const side: ServerSide = { request: message, headers, sink, aborted: false }
    this.sent.push(side)
    queueMicrotask(() => {
      if (!side.aborted) this.#serve(side)
    })
    return exchangeOf(side)
  }

  listen(headers: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange {
    const side: ServerSide = { request: { jsonrpc: '2.0' }, headers, sink, aborted: false }
    this.streams.push(side)
    queueMicrotask(() => {
      if (side.aborted || this.streamStatus === 0) return
      const isOpen = this.streamStatus === 200
      sink.head({ status: this.streamStatus, contentType: isOpen ? 'event-stream' : 'none' })
      if (!isOpen && !side.aborted) sink.end()
    })
    return exchangeOf(side)
  }

  endSession(headers: Readonly<Record<string, string>>): Promise<number> {
    this.endedSessions.push(headers['mcp-session-id'] ?? '')
    return Promise.resolve(200)
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }

  /** Answers an exchange. */
  answer(side: ServerSide, answer: object, status = 200): void {
    if (side.aborted) return
    this.say(side, { jsonrpc: '2.0', id: side.request.id ?? null, ...answer }, status)
    if (!side.aborted) side.sink.end()
  }

  /** Says something on an exchange, or on the newest open stream. */
  say(side: ServerSide | undefined, message: JsonRpcMessage, status?: number): void {
    const target = side ?? this.streams.findLast(({ aborted }) => !aborted)
    if (!target) throw new Error('nobody listens')
    if (status !== undefined) target.sink.head({ status, contentType: 'json' })
    if (!target.aborted) target.sink.message({ message, bytes: Buffer.from(JSON.stringify(message)) })
  }

  #serve(side: ServerSide): void {
    const { request, headers, sink } = side
    if (!isRequest(request)) {
      const status = request.method === undefined ? this.answerStatus : 202
      sink.head({ status, contentType: 'none' })
      return sink.end()
    }
    if (request.method === 'initialize') return this.#initialize(side, request)
    if (this.sessions && !this.sessions.has(headers['mcp-session-id'] ?? ''))
      return this.answer(side, { error: { code: -32001, message: 'Session not found' } }, 404)
    const answer = this.script(request, side)
    if (answer) this.answer(side, 'error' in answer ? answer : { result: answer })
  }

  #initialize(side: ServerSide, request: JsonRpcRequest): void {
    const { script, capabilities } = this
    const scripted = script(request, side)
    if (scripted === undefined) return
    if ('error' in scripted) return this.answer(side, scripted)
    const sessionId = this.sessions && `session-${++this.#minted}`
    if (sessionId) this.sessions?.add(sessionId)
    const result = {
      protocolVersion: '2025-11-25',
      capabilities,
      serverInfo: { name: 'scripted', version: '1' },
      ...scripted,
    }
    side.sink.head({ status: 200, contentType: 'json', ...(sessionId && { sessionId }) })
    this.say(side, { jsonrpc: '2.0', id: request.id, result })
    if (!side.aborted) side.sink.end()
  }
}

const exchangeOf = (side: ServerSide): UpstreamExchange => ({
  abort: () => (side.aborted = true),
  pause: () => {},
  resume: () => {},
})
