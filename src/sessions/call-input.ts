// What a call is made of: whose it is, where it goes, and what waits for its answer.
import type { Principal } from '../identity/principal.ts'
import type { Admission } from '../policy/limits/limits.ts'
import type { Server } from '../registry/server.ts'
import type { JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { Charge } from './charge.ts'
import type { Present } from './presenter.ts'
import type { Claim } from './replays.ts'
import type { Reply } from './reply.ts'
import type { Session } from './session.ts'

export interface CallInput {
  readonly principal: Principal
  readonly request: JsonRpcRequest
  readonly body: Uint8Array
  readonly era: Era
  /** Whose call it is: its time limit, its price, its failures. */
  readonly server: Server
  /** Where the client sent it: that server, or an aggregate that it is a member of. */
  readonly endpoint: Server
  readonly session?: Session
  readonly charge: Charge
  readonly reply: Reply
  /** MCP headers to send upstream, without the session id. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds until the answer is given up; undefined for streams that may stay open. */
  readonly timeoutMs: number | undefined
  /** What is added to the answer for its caller. */
  readonly present?: Present | undefined
  /** The idempotency key that this call runs for, where it came with one. */
  readonly claim?: Claim
  readonly admission?: Admission | undefined
}
