// A scripted server behind a shared session, and clients that write down all that they hear; for the tests of sharing.
import { expect } from 'vitest'
import type { SharedSessionOptions } from '../../src/bridges/shared/session.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../src/upstreams/upstream.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'

/** What the server got, and the way back. */
export interface Got {
  readonly message: JsonRpcMessage
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly sink: UpstreamSink
  readonly connection: Connection
  aborted: boolean
  ended: boolean
  paused: boolean
}

export const hello = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {}, resources: { subscribe: true }, logging: {} },
  serverInfo: { name: 'scripted', version: '1' },
  instructions: 'be kind',
}

/** One way to the scripted server, as a child (`multiplexed`) or as HTTP with a session id. */
export class Connection implements Upstream {
  readonly transport: Upstream['transport']
  readonly multiplexed: boolean
  readonly server: ScriptedServer
  readonly number: number
  readonly listeners: Got[] = []
  closed = false
  ended = false
  dead = false

  constructor(server: ScriptedServer, number: number) {
    this.server = server
    this.number = number
    this.multiplexed = server.multiplexed
    this.transport = server.multiplexed ? 'stdio' : 'streamable-http'
  }

  send({ message, body, headers }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    expect(JSON.parse(Buffer.from(body).toString())).toEqual(message)
    const got = this.#got(message, Buffer.from(body).toString(), headers, sink)
    queueMicrotask(() => {
      if (got.aborted) return
      if (this.dead) return this.fail(got, { stage: 'process', message: 'dead', sent: false, gone: true })
      this.server.onGot(got)
    })
    return exchangeOf(got)
  }

  listen(headers: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    const got = this.#got({ jsonrpc: '2.0' }, '', headers, sink)
    this.listeners.push(got)
    queueMicrotask(() => {
      if (!got.aborted) sink.head({ status: 200, contentType: 'event-stream' })
    })
    return exchangeOf(got)
  }

  endSession(): Promise<number> {
    this.ended = true
    return Promise.resolve(200)
  }

  close(): Promise<void> {
    this.closed = true
    return Promise.resolve()
  }

  /** Something that nobody asked for. */
  say(method: string, params: object = {}, more: object = {}): void {
    const listener = this.listeners.findLast(({ aborted, ended }) => !aborted && !ended)
    listener?.sink.message(messageOf({ jsonrpc: '2.0', method, params, ...more }))
  }

  die(): void {
    this.dead = true
    const failure = { stage: 'process', message: 'it died', sent: true, gone: true } as const
    for (const got of [...this.server.got, ...this.listeners])
      if (got.connection === this) this.fail(got, failure)
  }

  fail(got: Got, failure: UpstreamFailure): void {
    if (got.aborted || got.ended) return
    got.ended = true
    got.sink.fail(failure)
  }

  #got(message: JsonRpcMessage, body: string, headers: Got['headers'], sink: UpstreamSink): Got {
    const got = {
      message,
      body,
      headers,
      sink,
      connection: this,
      aborted: false,
      ended: false,
      paused: false,
    }
    if (message.method !== undefined || message.id !== undefined) this.server.got.push(got)
    return got
  }
}

const exchangeOf = (got: Got): UpstreamExchange => ({
  abort: () => (got.aborted = true),
  pause: () => (got.paused = true),
  resume: () => (got.paused = false),
})

export const messageOf = (message: object, text = JSON.stringify(message)): UpstreamMessage => ({
  message: JSON.parse(text) as JsonRpcMessage,
  bytes: Buffer.from(text),
})

/** Greets, accepts what needs no answer, and leaves the rest to the test. */
export class ScriptedServer {
  readonly multiplexed: boolean
  readonly connections: Connection[] = []
  readonly got: Got[] = []
  /** Methods that are answered with an empty result at once. */
  readonly obliging = new Set(['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel'])
  greeting: (got: Got) => void = (got) => this.answer(got, { result: hello })
  heldHttpStatus: ((got: Got) => number) | undefined

  constructor({ multiplexed = true } = {}) {
    this.multiplexed = multiplexed
  }

  get last(): Connection {
    const connection = this.connections.at(-1)
    if (!connection) throw new Error('not connected yet')
    return connection
  }

  open = (): Connection => {
    const connection = new Connection(this, this.connections.length + 1)
    this.connections.push(connection)
    return connection
  }

  onGot(got: Got): void {
    const { method, id } = got.message
    const status = this.heldHttpStatus?.(got)
    if (status !== undefined && status !== 200) {
      got.sink.head({ status, contentType: 'none' })
      if (!got.aborted) this.end(got)
    } else if (method === 'initialize') this.greeting(got)
    else if (id === undefined || method === undefined) {
      got.sink.head({ status: 202, contentType: 'none' })
      this.end(got)
    } else if (this.obliging.has(method)) this.answer(got, { result: {} })
  }

  /** The one request of this method that is still to be answered. */
  held(method: string): Got[] {
    return this.got.filter(({ message, aborted, ended }) => message.method === method && !aborted && !ended)
  }

  methods(): (string | undefined)[] {
    return this.got.map(({ message }) => message.method)
  }

  answer(got: Got, outcome: object): void {
    if (got.aborted || got.ended) return
    const sessionId =
      !this.multiplexed && got.message.method === 'initialize' ? `s${got.connection.number}` : ''
    got.sink.head({ status: 200, contentType: 'json', ...(sessionId && { sessionId }) })
    if (!got.aborted) got.sink.message(messageOf({ jsonrpc: '2.0', id: got.message.id, ...outcome }))
    this.end(got)
  }

  end(got: Got): void {
    if (got.aborted || got.ended) return
    got.ended = true
    got.sink.end()
  }
}

export interface Heard {
  head: UpstreamHead | undefined
  readonly messages: JsonRpcMessage[]
  readonly texts: string[]
  ended: boolean
  failure: UpstreamFailure | undefined
  exchange: UpstreamExchange
  readonly done: Promise<void>
}

/** Fails the test where a sink is called out of turn: before its exchange is there, or after its end. */
function hear(begin: (sink: UpstreamSink) => UpstreamExchange): Heard {
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const heard = { messages: [], texts: [], ended: false, failure: undefined, done } as unknown as Heard
  const inTurn = (): void => {
    if (!heard.exchange || heard.ended || heard.failure) throw new Error('a sink was called out of turn')
  }
  heard.exchange = begin({
    head: (head) => {
      inTurn()
      if (heard.head) throw new Error('two heads')
      heard.head = head
    },
    message: ({ message, bytes }) => {
      inTurn()
      if (!heard.head) throw new Error('a message before its head')
      if (message) heard.messages.push(message)
      heard.texts.push(Buffer.from(bytes).toString())
    },
    end: () => {
      inTurn()
      heard.ended = true
      resolve()
    },
    fail: (failure) => {
      inTurn()
      heard.failure = failure
      resolve()
    },
  })
  return heard
}

/** `text` is what goes over the wire, where that is not simply the message. */
export const send = (
  way: Upstream,
  message: object,
  text = JSON.stringify(message),
  headers: UpstreamRequest['headers'] = {},
): Heard =>
  hear((sink) => way.send({ body: Buffer.from(text), message: message as JsonRpcMessage, headers }, sink))

export const request = (id: string | number, method = 'tools/call', params: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
})

export const notice = (method: string, params: object = {}): object => ({ jsonrpc: '2.0', method, params })

export const listen = (way: Upstream): Heard => hear((sink) => way.listen({}, sink))

/** All of it zero: nobody is left and nothing is kept. */
export const nothingHeld = { tenants: 0, inFlight: 0, sent: 0, subscriptions: 0, tasks: 0 }

export const sharedOptions = (
  server: { open: () => Upstream; multiplexed?: boolean },
  more: Partial<SharedSessionOptions> = {},
): SharedSessionOptions => ({
  transport: server.multiplexed === false ? 'streamable-http' : 'stdio',
  open: server.open,
  clock: systemClock,
  version: '1.2.3',
  openTimeoutMs: 5000,
  idleMs: 60_000,
  ...more,
})
