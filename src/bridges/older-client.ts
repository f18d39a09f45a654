// A legacy client of an older revision at a newer legacy server: the session speaks what the client asked for.
import { exactly } from '../eras/exact-json.ts'
import type { Json } from '../eras/json-object.ts'
import { resultForRevision, type Revision } from '../eras/revisions.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcMessage, type JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'

const versionHeader = 'mcp-protocol-version'

/**
 * One for each session. The server is told its own revision, the client hears its own, and of the server's results what
 * the client's revision has no form for is written as text. What a client has not declared, it is never asked.
 */
export class OlderClient implements Upstream {
  readonly #way: () => Upstream
  readonly #revision: Revision
  /** What the server speaks in this session, where that is newer than the client. */
  #serverVersion: string | undefined

  constructor(way: () => Upstream, revision: Revision) {
    this.#way = way
    this.#revision = revision
  }

  get transport(): Upstream['transport'] {
    return this.#way().transport
  }

  get multiplexed(): boolean {
    return this.#way().multiplexed
  }

  get era(): Era | undefined {
    return this.#way().era
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const { message } = request
    const forServer = { ...request, headers: this.#headers(request.headers) }
    if (!isRequest(message)) return this.#way().send(forServer, sink)
    return this.#way().send(forServer, new OlderSink(sink, (answer) => this.#convert(message, answer)))
  }

  listen(headers: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    return this.#way().listen(this.#headers(headers), sink)
  }

  endSession(headers: UpstreamRequest['headers']): Promise<number> {
    return this.#way().endSession(this.#headers(headers))
  }

  close(): Promise<void> {
    return this.#way().close()
  }

  #headers(headers: UpstreamRequest['headers']): UpstreamRequest['headers'] {
    return this.#serverVersion === undefined || headers[versionHeader] === undefined
      ? headers
      : { ...headers, [versionHeader]: this.#serverVersion }
  }

  #convert({ method }: JsonRpcRequest, { result }: JsonRpcMessage): Json | undefined {
    if (!result) return undefined
    if (method === 'initialize') return this.#initialized(result)
    const known = resultForRevision(method, result, this.#revision)
    return known === result ? undefined : known
  }

  /** Revisions are dates and compare as text. A server that answers an older one is for the client to judge. */
  #initialized(result: Json): Json | undefined {
    const answered = result['protocolVersion']
    if (typeof answered !== 'string' || answered <= this.#revision.version) return undefined
    this.#serverVersion = answered
    return { ...result, protocolVersion: this.#revision.version }
  }
}

/** Hands on what comes, with the answer's result in its place where `convert` gives another. */
class OlderSink implements UpstreamSink {
  readonly #sink: UpstreamSink
  readonly #convert: (answer: JsonRpcMessage) => Json | undefined

  constructor(sink: UpstreamSink, convert: (answer: JsonRpcMessage) => Json | undefined) {
    this.#sink = sink
    this.#convert = convert
  }

  head(head: UpstreamHead): void {
    this.#sink.head(head)
  }

  message(received: UpstreamMessage): void {
    const { message, bytes } = received
    const result = message && isResponse(message) ? this.#convert(message) : undefined
    if (!message || !result) return this.#sink.message(received)
    const exact = exactly(message, bytes)
    const written = exact === message ? result : (this.#convert(exact) ?? result)
    this.#sink.message({
      message: { ...message, result },
      bytes: Buffer.from(JSON.stringify({ ...exact, result: written })),
    })
  }

  end(): void {
    this.#sink.end()
  }

  fail(failure: UpstreamFailure): void {
    this.#sink.fail(failure)
  }
}
