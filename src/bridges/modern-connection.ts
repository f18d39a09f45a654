// Modern callers of one connection or child of a modern server, which tells their requests apart by id alone.
import { subscriptionIdOf, withSubscriptionId } from '../eras/change-filter.ts'
import { readdressAnswer, readdressProgress, readdressRequest, written } from '../eras/readdress.ts'
import type { Address, Written } from '../eras/readdress.ts'
import { cancelAt, tell, unheard } from '../upstreams/tell.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Conversation } from './conversations.ts'
import { OwnExchange } from './own-exchange.ts'
import { noWay } from './own-texts.ts'

export interface ModernConnectionOptions {
  readonly transport: Upstream['transport']
  /** Opens a connection or child for this conversation alone; throws GatewayError where there is none now. */
  readonly open: () => Upstream
}

interface Opened {
  readonly upstream: Upstream
  readonly calls: Map<number, ConnectionCall>
}

/** Opened at the first request, and again at the next one after it broke. Ids and progress tokens are its own. */
export class ModernConnection implements Upstream, Conversation {
  readonly transport: Upstream['transport']
  readonly era = 'modern'
  readonly multiplexed = false
  readonly #open: () => Upstream
  #opened: Opened | undefined
  #lastId = 0

  constructor({ transport, open }: ModernConnectionOptions) {
    this.transport = transport
    this.#open = open
  }

  get busy(): boolean {
    return (this.#opened?.calls.size ?? 0) > 0
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const { message, body } = request
    // Who gives up ends its exchange; the id here is a caller's, and several may use the same.
    if (message.method === 'notifications/cancelled') return new OwnExchange(sink).answerBare(202)
    let opened: Opened
    try {
      opened = this.#opened ??= this.#connect()
    } catch (cause) {
      return new OwnExchange(sink).fail(noWay(cause))
    }
    if (!isRequest(message)) return opened.upstream.send(request, sink)
    const ownId = ++this.#lastId
    const own = readdressRequest(message, body, ownId)
    const call = new ConnectionCall(opened, sink, { ownId, address: own.address, request: message })
    opened.calls.set(ownId, call)
    call.exchange = opened.upstream.send({ ...request, message: own.message, body: own.bytes }, call)
    return call
  }

  /** Whose request it is does not matter here: nothing waits for its caller between two requests. */
  seenBy(): Upstream {
    return this
  }

  /** The modern era has no such stream. */
  listen(_: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    return new OwnExchange(sink).fail({
      stage: 'call',
      message: 'A modern server has no such stream.',
      sent: false,
    })
  }

  endSession(): Promise<number> {
    return Promise.resolve(405)
  }

  async close(): Promise<void> {
    await this.#opened?.upstream.close()
  }

  #connect(): Opened {
    const opened: Opened = { upstream: this.#open(), calls: new Map() }
    const lose = (): void => {
      if (this.#opened === opened) this.#opened = undefined
    }
    // What names no request comes here: the changes that callers listen to, and logs.
    opened.upstream.listen(
      {},
      { ...unheard, message: (message) => hear(opened, message), end: lose, fail: lose },
    )
    return opened
  }
}

function hear({ upstream, calls }: Opened, received: UpstreamMessage): void {
  const { message } = received
  if (!message || isResponse(message)) return
  // A modern server may not ask; a refusal frees it.
  if (isRequest(message)) return refuse(upstream, message)
  const id = subscriptionIdOf(message)
  const target = id === undefined ? onlyCall(calls) : calls.get(Number(id))
  target?.message(received)
}

/** A log names no request, so that it belongs to somebody for certain only where one is in flight. */
function onlyCall(calls: ReadonlyMap<number, ConnectionCall>): ConnectionCall | undefined {
  const asking = [...calls.values()].filter((call) => !call.isListening)
  return asking.length === 1 ? asking[0] : undefined
}

function refuse(upstream: Upstream, { id, method }: JsonRpcRequest): void {
  const error = { code: -32601, message: `${method} cannot be asked by a server of this revision.` }
  tell(upstream, { jsonrpc: '2.0', id, error })
}

/** One caller's request at the connection. */
class ConnectionCall implements UpstreamSink, UpstreamExchange {
  readonly #opened: Opened
  readonly #sink: UpstreamSink
  readonly #ownId: number
  readonly #address: Address
  readonly isListening: boolean
  exchange: UpstreamExchange | undefined
  #headed = false

  constructor(
    opened: Opened,
    sink: UpstreamSink,
    { ownId, address, request }: { ownId: number; address: Address; request: JsonRpcRequest },
  ) {
    this.#opened = opened
    this.#sink = sink
    this.#ownId = ownId
    this.#address = address
    this.isListening = request.method === 'subscriptions/listen'
  }

  /** Here the closed stream does not say it, so that the server has to be told. */
  abort(): void {
    if (!this.#opened.calls.delete(this.#ownId)) return
    this.exchange?.abort()
    cancelAt(this.#opened.upstream, this.#ownId)
  }

  pause(): void {
    this.exchange?.pause()
  }

  resume(): void {
    this.exchange?.resume()
  }

  head(head: UpstreamHead): void {
    this.#headed = true
    this.#sink.head(head)
  }

  message(received: UpstreamMessage): void {
    const { message, bytes } = received
    if (!this.#opened.calls.has(this.#ownId)) return
    if (!this.#headed) this.head({ status: 200, contentType: 'event-stream' })
    const own = message && this.#readdress({ message, bytes })
    this.#sink.message(own ? { message: own.message, bytes: own.bytes } : received)
  }

  end(): void {
    if (this.#opened.calls.delete(this.#ownId)) this.#sink.end()
  }

  fail(failure: UpstreamFailure): void {
    if (this.#opened.calls.delete(this.#ownId)) this.#sink.fail(failure)
  }

  #readdress(own: Written): Written | undefined {
    const named = subscriptionIdOf(own.message) === undefined ? own : this.#named(own)
    if (isResponse(own.message)) return readdressAnswer(named, this.#address)
    if (own.message.method === 'notifications/progress') return readdressProgress(named, this.#address)
    return named === own ? undefined : named
  }

  #named({ message }: Written): Written {
    return written(withSubscriptionId(message, this.#address.id))
  }
}
