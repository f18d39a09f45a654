// The way to the built-in server, for one caller: a modern MCP server with tools and nothing else, in this process.
import { isObject } from '../base/is-object.ts'
import { OwnExchange, type Refusal } from '../bridges/own-exchange.ts'
import { StreamlessWay } from '../bridges/streamless-way.ts'
import type { Principal } from '../identity/principal.ts'
import type { UpstreamExchange, UpstreamRequest, UpstreamSink } from '../upstreams/upstream.ts'
import { isRequest, resultResponse, type JsonRpcRequest } from '../wire/json-rpc.ts'
import { metaKeys, modernVersions } from '../wire/protocol-version.ts'
import { ListenStream } from './listen-stream.ts'
import type { BuiltInTool } from './tool.ts'

export interface BuiltInWayOptions {
  readonly tools: readonly BuiltInTool[]
  readonly caller: Principal
  /** The gateway's own version, which callers see. */
  readonly version: string
}

const instructions =
  'Tells you about your own account at this gateway: its balance, what your calls have cost, what a tool costs, and which MCP servers you may use. Calls here are free.'
/** The tools are those of this version of the gateway. */
const listTtlMs = 3_600_000

/** Holds nothing between two messages, so that one may be made for each. */
export class BuiltInWay extends StreamlessWay {
  readonly transport = 'built-in'
  readonly era = 'modern'
  readonly #options: BuiltInWayOptions

  constructor(options: BuiltInWayOptions) {
    super()
    this.#options = options
  }

  send({ message }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    if (!isRequest(message)) return new OwnExchange(sink).answerBare(202)
    const fault = envelopeFault(message)
    if (fault) return new OwnExchange(sink).answerError(message, fault)
    switch (message.method) {
      case 'server/discover':
        return this.#answer(sink, message, this.#discovered())
      case 'tools/list':
        return this.#listTools(sink, message)
      case 'tools/call':
        return this.#callTool(sink, message)
      case 'subscriptions/listen':
        return new ListenStream(sink, message.id).start()
      default:
        return new OwnExchange(sink).answerError(message, {
          code: -32601,
          message: 'Method not found',
          status: 404,
        })
    }
  }

  #answer(sink: UpstreamSink, { id }: JsonRpcRequest, result: object): UpstreamExchange {
    return new OwnExchange(sink).answer(resultResponse(id, this.#completed(result)))
  }

  #completed(result: object): object {
    const serverInfo = { name: 'tollbridge', version: this.#options.version }
    const _meta = { 'io.modelcontextprotocol/serverInfo': serverInfo }
    return { resultType: 'complete', ...result, _meta }
  }

  #discovered(): object {
    const offered = { supportedVersions: [...modernVersions], capabilities: { tools: {} }, instructions }
    return { ...offered, ttlMs: listTtlMs, cacheScope: 'public' }
  }

  #listTools(sink: UpstreamSink, message: JsonRpcRequest): UpstreamExchange {
    if (message.params?.['cursor'] !== undefined)
      return new OwnExchange(sink).answerError(message, {
        code: -32602,
        message: 'This list has one page; ask for it without a cursor.',
        status: 200,
      })
    const tools = this.#options.tools.map(({ listed }) => listed)
    return this.#answer(sink, message, { tools, ttlMs: listTtlMs, cacheScope: 'public' })
  }

  #callTool(sink: UpstreamSink, message: JsonRpcRequest): UpstreamExchange {
    const { name, arguments: given } = message.params ?? {}
    const tool = this.#options.tools.find((one) => one.name === name)
    if (!tool) {
      const shown = typeof name === 'string' ? `Unknown tool: ${name.slice(0, 200)}` : 'The tool has no name.'
      return new OwnExchange(sink).answerError(message, { code: -32602, message: shown, status: 200 })
    }
    const exchange = new OwnExchange(sink)
    tool.call(given, this.#options.caller).then(
      (result) => exchange.answer(resultResponse(message.id, this.#completed(result))),
      (cause: unknown) => exchange.refuse('The tool failed.', cause),
    )
    return exchange
  }
}

/** What is wrong with a request's metadata (MCP 2026-07-28, "Request Metadata" and "Version Negotiation"). */
function envelopeFault({ params }: JsonRpcRequest): Refusal | undefined {
  const meta = isObject(params?.['_meta']) ? params['_meta'] : {}
  const requested = meta[metaKeys.protocolVersion]
  if (typeof requested !== 'string') return malformed(metaKeys.protocolVersion, 'a string')
  const supported: readonly string[] = modernVersions
  if (!supported.includes(requested)) {
    const message = `Protocol version ${requested.slice(0, 32)} is not served here.`
    return { code: -32022, message, data: { supported, requested }, status: 400 }
  }
  if (!isObject(meta[metaKeys.clientCapabilities])) return malformed(metaKeys.clientCapabilities, 'an object')
  return undefined
}

const malformed = (key: string, kind: string): Refusal => ({
  code: -32602,
  message: `params._meta["${key}"] must be ${kind}.`,
  status: 400,
})
