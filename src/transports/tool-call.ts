// One call of a tool by the API: a modern message through the relay, so that policy, limits and the bill are those of any other.
import { GatewayError } from '../base/errors.ts'
import type { Principal } from '../identity/principal.ts'
import type { Incoming } from '../sessions/incoming.ts'
import type { FinalAnswer, Reply } from '../sessions/reply.ts'
import type { Relay } from '../sessions/relay.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import { metaKeys, modernVersions } from '../wire/protocol-version.ts'
import { headersOfModern } from './channel/messages.ts'

export interface ToolCallParts {
  readonly relay: Pick<Relay, 'handle'>
  /** Of the tool that a message calls, where its server wants arguments mirrored; else undefined. */
  readonly inputSchema: (
    server: Incoming['server'],
    message: JsonRpcMessage,
    principal: Principal,
  ) => Promise<unknown> | undefined
}

export interface ToolCall {
  readonly principal: Principal
  readonly server: Incoming['server']
  readonly client: Incoming['client']
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
  /** Aborts when nobody waits for the answer any more; the call is then cancelled. */
  readonly signal: AbortSignal
}

export interface ToolAnswer {
  /** A result, or an error of the server. */
  readonly message: JsonRpcMessage
  readonly callId: string | undefined
  /** Decimal string. */
  readonly cost: string | undefined
}

/** Rejects with the gateway's own refusals. What a server asks for meanwhile is declined by having no capabilities. */
export async function callTool(parts: ToolCallParts, call: ToolCall): Promise<ToolAnswer> {
  const { principal, server, client } = call
  const message: JsonRpcRequest = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: call.tool,
      arguments: call.arguments,
      _meta: {
        [metaKeys.protocolVersion]: modernVersions[0],
        [metaKeys.clientCapabilities]: {},
        [metaKeys.clientInfo]: { name: 'tollbridge-api', version: '1' },
      },
    },
  }
  const schema = await parts.inputSchema(server, message, principal)
  const headers = headersOfModern(message, schema)
  const body = Buffer.from(JSON.stringify(message))
  const answer = await new Promise<FinalAnswer>((resolve, reject) => {
    const reply = new SingleReply(call.signal, { resolve, reject })
    parts.relay.handle(
      { principal, server, client, message, body, headers, era: 'modern', transport: 'api' },
      reply,
    )
  })
  const { callId, cost } = answer
  return { message: JSON.parse(Buffer.from(answer.bytes).toString()) as JsonRpcMessage, callId, cost }
}

interface Settling {
  readonly resolve: (answer: FinalAnswer) => void
  readonly reject: (error: GatewayError) => void
}

/** Waits for the final answer alone; what is said before it has nowhere to go. */
class SingleReply implements Reply {
  readonly #signal: AbortSignal
  readonly #settling: Settling

  constructor(signal: AbortSignal, settling: Settling) {
    this.#signal = signal
    this.#settling = settling
  }

  stream(): void {}

  message(): boolean {
    return true
  }

  final(answer: FinalAnswer): void {
    this.#settling.resolve(answer)
  }

  accepted(): void {
    this.end()
  }

  end(): void {
    this.#settling.reject(new GatewayError('upstream_unavailable'))
  }

  refuse(error: GatewayError): void {
    this.#settling.reject(error)
  }

  onDrain(): void {}

  onGone(listener: () => void): void {
    if (this.#signal.aborted) listener()
    else this.#signal.addEventListener('abort', listener, { once: true })
  }
}
