// The gateway's own questions to one member for one request of a caller, all within one deadline.
import { isObject } from '../../base/is-object.ts'
import { cancelAt } from '../../upstreams/tell.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest } from '../../upstreams/upstream.ts'
import { isResponse, type JsonRpcMessage, type RequestId } from '../../wire/json-rpc.ts'
import { metaKeys, modernVersions } from '../../wire/protocol-version.ts'
import { without, withoutMeta, type Json } from '../../eras/json-object.ts'

export interface Answer {
  readonly message: JsonRpcMessage
  readonly bytes: Uint8Array
}

/** Why a member has no part in an answer; every caller may read it. */
export type Trouble = string

export const troubles = {
  inactive: 'The MCP server is switched off.',
  late: 'The MCP server did not answer in time.',
  unreachable: 'The MCP server cannot be reached.',
  broken: 'The MCP server broke off.',
  refused: 'The MCP server answered with an error.',
  overfull: 'The aggregate has too many members; this one is left out.',
} as const satisfies Record<string, Trouble>

/** Questions one after another; `end` takes back the one that is open. */
export class Visit {
  readonly #way: (message: JsonRpcMessage) => Upstream
  readonly #timer: NodeJS.Timeout
  /** Ends the open question. */
  #cut: ((trouble: Trouble) => void) | undefined
  #over: Trouble | undefined

  constructor(way: (message: JsonRpcMessage) => Upstream, deadlineMs: number) {
    this.#way = way
    this.#timer = setTimeout(() => this.#end(troubles.late), deadlineMs)
    this.#timer.unref()
  }

  end(): void {
    this.#end(troubles.broken)
  }

  /** Never rejects. */
  ask(request: UpstreamRequest): Promise<Answer | Trouble> {
    return new Promise((resolve) => {
      if (this.#over !== undefined) return resolve(this.#over)
      let open: OpenQuestion | undefined
      const settle = (answer: Answer | Trouble): void => {
        this.#cut = undefined
        open?.end()
        resolve(answer)
      }
      this.#cut = settle
      try {
        open = new OpenQuestion(this.#way(request.message), request, settle)
      } catch {
        settle(troubles.unreachable)
      }
    })
  }

  #end(trouble: Trouble): void {
    clearTimeout(this.#timer)
    this.#over ??= trouble
    this.#cut?.(this.#over)
  }
}

/** One request whose answer alone matters. */
class OpenQuestion {
  readonly #way: Upstream
  readonly #id: RequestId | null | undefined
  readonly #exchange: UpstreamExchange
  #open = true
  #ended = false

  constructor(way: Upstream, request: UpstreamRequest, settle: (answer: Answer | Trouble) => void) {
    this.#way = way
    this.#id = request.message.id
    const once = (answer: Answer | Trouble): void => {
      if (this.#open) settle(answer)
    }
    this.#exchange = way.send(request, {
      head: () => {},
      message: ({ message, bytes }) => {
        if (!message || !isResponse(message)) return
        this.#ended = message.id === this.#id
        if (this.#ended || message.error) once({ message, bytes })
      },
      end: () => {
        this.#ended = true
        once(troubles.broken)
      },
      fail: ({ sent }) => {
        this.#ended = true
        once(sent ? troubles.broken : troubles.unreachable)
      },
    })
  }

  end(): void {
    if (!this.#open) return
    this.#open = false
    this.#exchange.abort()
    if (!this.#ended) cancelAt(this.#way, this.#id)
  }
}

/** What the gateway asks a member on behalf of a caller's request: the caller's own metadata and params, under another id. */
export function ownRequest(
  asked: UpstreamRequest,
  { id, params }: { id: RequestId; params: Json },
): UpstreamRequest {
  const { method, params: given = {} } = asked.message
  const message: JsonRpcMessage = {
    jsonrpc: '2.0',
    id,
    ...(method !== undefined && { method }),
    params: { ...withoutMeta(without(given, 'cursor'), 'progressToken'), ...params },
  }
  const meta = given['_meta']
  const declared = isObject(meta) ? meta[metaKeys.protocolVersion] : undefined
  const version = asked.headers['mcp-protocol-version'] ?? declared
  return {
    message,
    body: Buffer.from(JSON.stringify(message)),
    headers: {
      'mcp-protocol-version': typeof version === 'string' ? version : modernVersions[0],
      ...(method !== undefined && { 'mcp-method': method }),
    },
  }
}
