// One question of our own to a server, with a deadline: what the handshake is made of.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { isRequest, isResponse, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { tell } from './tell.ts'
import type { Upstream, UpstreamExchange, UpstreamFailure, UpstreamSink } from './upstream.ts'

/** A visit in progress; ids count up. */
export interface Visit {
  readonly upstream: Upstream
  readonly clock: Clock
  /** Monotonic time at which everything ends. */
  readonly deadlineMs: number
  lastId: number
}

export interface Reply {
  /** The HTTP status; 200 over stdio. */
  readonly status: number
  /** Undefined where the exchange ended without an answer to our id. */
  readonly message: JsonRpcMessage | undefined
  readonly sessionId: string | undefined
}

type Headers = Readonly<Record<string, string>>

/**
 * Sends a request and waits for its answer. Rejects with `upstream_unavailable` (`data.stage`) where the exchange
 * breaks off or the visit's time is over. A `ping` from the server is answered, any other request refused.
 */
export function ask(visit: Visit, method: string, params: object, headers: Headers): Promise<Reply> {
  const id = ++visit.lastId
  const message = { jsonrpc: '2.0' as const, id, method, params: params as Record<string, unknown> }
  return exchange(visit, message, headers, (received) => {
    if (isResponse(received)) return received.id === id
    if (isRequest(received)) answerServer(visit, received, headers)
    return false
  })
}

/** Sends a notification and waits until it is accepted; errors as of `ask`. */
export async function notify(visit: Visit, method: string, headers: Headers): Promise<void> {
  await exchange(visit, { jsonrpc: '2.0', method }, headers, () => false)
}

function exchange(
  visit: Visit,
  message: JsonRpcMessage,
  headers: Headers,
  isAnswer: (received: JsonRpcMessage) => boolean,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let status = 0
    let sessionId: string | undefined
    let running: UpstreamExchange | undefined
    const finish = (answer?: JsonRpcMessage): void => {
      clearTimeout(timer)
      resolve({ status, message: answer, sessionId })
    }
    const timer = setTimeout(
      () => {
        running?.abort()
        reject(handshakeError(`The server did not answer ${message.method} in time.`))
      },
      Math.max(0, visit.deadlineMs - visit.clock.monotonicMs()),
    )
    const sink: UpstreamSink = {
      head: (head) => {
        status = head.status
        sessionId = head.sessionId
      },
      message: ({ message: received }) => {
        // An error without an id (a parse error, a stale session) can only be ours.
        if (!received || !(isAnswer(received) || (received.error && received.id == null))) return
        // Some servers keep the stream open after the answer.
        running?.abort()
        finish(received)
      },
      end: () => finish(),
      fail: (failure) => {
        clearTimeout(timer)
        reject(failureError(failure))
      },
    }
    running = send(visit.upstream, message, headers, sink)
  })
}

function answerServer({ upstream }: Visit, { id, method }: JsonRpcMessage, headers: Headers): void {
  const answer = method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'Method not found' } }
  tell(upstream, { jsonrpc: '2.0', id: id ?? null, ...answer }, headers)
}

const send = (
  upstream: Upstream,
  message: JsonRpcMessage,
  headers: Headers,
  sink: UpstreamSink,
): UpstreamExchange => upstream.send({ body: Buffer.from(JSON.stringify(message)), message, headers }, sink)

const failureError = ({ stage, message, cause }: UpstreamFailure): GatewayError =>
  stageError(stage === 'call' ? 'handshake' : stage, message, cause)

export const handshakeError = (detail: string): GatewayError => stageError('handshake', detail)

const stageError = (stage: string, detail: string, cause?: unknown): GatewayError =>
  new GatewayError('upstream_unavailable', { detail, data: { stage }, cause })
