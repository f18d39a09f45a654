// One message as a client transport hands it over: authenticated, parsed, classified.
import type { Principal } from '../identity/principal.ts'
import type { Admission } from '../policy/limits/limits.ts'
import type { Server } from '../registry/server.ts'
import type { Client, Transport } from '../usage/record.ts'
import { isRequest, type JsonRpcMessage, type JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { Begun } from './metering.ts'
import type { Session } from './session.ts'

export interface Incoming {
  readonly principal: Principal
  readonly server: Server
  /** The legacy era's session; absent in the modern era. */
  readonly session?: Session
  readonly message: JsonRpcMessage
  /** The message's original bytes. */
  readonly body: Uint8Array
  /** MCP headers to pass on, in lower case, without the session id. */
  readonly headers: Readonly<Record<string, string>>
  readonly era: Era
  readonly transport: Transport
  readonly client: Client
  /** From the Idempotency-Key header or `_meta["tollbridge/idempotency-key"]`. */
  readonly idempotencyKey?: string
  /** Its user was asked to top up before; once is enough. */
  readonly linkAsked?: boolean
  /** Where it came with a payment that was taken: its charge. */
  readonly begun?: Begun
  /** Where limits have let it pass already. */
  readonly admission?: Admission | undefined
}

/** A message that expects an answer. */
export type Asking = Incoming & { readonly message: JsonRpcRequest }

export const isAsking = (incoming: Incoming): incoming is Asking => isRequest(incoming.message)
