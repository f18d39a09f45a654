// Opening a server's session again after the server has lost it, so that the client need not notice.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from '../registry/server.ts'
import type { Upstream, UpstreamHead, UpstreamMessage } from '../upstreams/upstream.ts'
import { tell } from '../upstreams/tell.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { Session } from './session.ts'
import type { Ways } from './ways.ts'

/** A child that keeps dying is started at most this often: 0.5 s, doubling to 30 s; a quiet minute forgives. */
const firstBackoffMs = 500
const longestBackoffMs = 30_000
const forgivenAfterMs = 60_000

export interface RecoveryOptions {
  readonly ways: Ways
}

/**
 * Sends the client's own initialize again and notes the new session. Shared by all calls that wait for it.
 * False where the server cannot be opened again, or only later: the caller then gets an error of its own.
 */
export async function recoverSession(
  session: Session,
  server: Server,
  options: RecoveryOptions,
): Promise<boolean> {
  if (!session.initializeBody || !session.open) return false
  session.recovery ??= reopen(session, server, options).finally(() => (session.recovery = undefined))
  return session.recovery.then(
    () => true,
    () => false,
  )
}

async function reopen(session: Session, server: Server, options: RecoveryOptions): Promise<void> {
  const now = performance.now()
  const { count, lastMs } = session.recoveries
  const attempts = now - lastMs > forgivenAfterMs ? 0 : count
  const backoffMs = attempts === 0 ? 0 : Math.min(firstBackoffMs * 2 ** (attempts - 1), longestBackoffMs)
  const waitMs = lastMs + backoffMs - now
  if (attempts > 0 && waitMs > server.timeouts.connectMs) throw new Error('too many restarts; backing off')
  if (attempts > 0 && waitMs > 0) await sleep(waitMs)
  session.recoveries = { count: attempts + 1, lastMs: performance.now() }
  if (session.upstream) {
    await session.upstream.close()
    assertOpen(session)
    session.upstream = options.ways.forSession(server, session, readMessage(session.initializeBody))
  }
  assertOpen(session)
  const upstream = session.upstream ?? options.ways.shared(server, session.principal)
  const headers = { accept: 'application/json, text/event-stream' }
  const upstreamSessionId = await initialize(upstream, session.initializeBody ?? new Uint8Array(), {
    headers,
    timeoutMs: server.timeouts.connectMs + server.timeouts.callMs,
  })
  if (!session.open && upstreamSessionId !== undefined)
    void upstream.endSession({ 'mcp-session-id': upstreamSessionId }).catch(() => {})
  assertOpen(session)
  session.upstreamSessionId = upstreamSessionId
  const initialized: JsonRpcMessage = { jsonrpc: '2.0', method: 'notifications/initialized' }
  tell(upstream, initialized, {
    ...headers,
    ...(session.upstreamSessionId !== undefined && { 'mcp-session-id': session.upstreamSessionId }),
    ...(session.protocolVersion !== undefined && { 'mcp-protocol-version': session.protocolVersion }),
  })
}

/** A session that ended meanwhile must not open anything on the server that nobody would close. */
function assertOpen(session: Session): void {
  if (!session.open) throw new Error('the session has ended')
}

/** Resolves with the session id that the server minted, if any; rejects where it does not answer with a result. */
function initialize(
  upstream: Upstream,
  body: Uint8Array,
  options: { headers: Readonly<Record<string, string>>; timeoutMs: number },
): Promise<string | undefined> {
  const message = readMessage(body)
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  let head: UpstreamHead | undefined
  const sink = {
    head: (got: UpstreamHead) => (head = got),
    message: ({ message: answer }: UpstreamMessage) => {
      if (answer?.id === message.id && answer?.result) resolve(head?.sessionId)
      else if (answer?.error) reject(new Error('the server refused to initialize again'))
    },
    end: () => reject(new Error('the server did not answer initialize')),
    fail: () => reject(new Error('the server cannot be reached')),
  }
  const exchange = upstream.send({ body, message, headers: options.headers }, sink)
  const timer = setTimeout(() => {
    exchange.abort()
    reject(new Error('the server did not answer initialize in time'))
  }, options.timeoutMs)
  return promise.finally(() => {
    clearTimeout(timer)
    // A stream may stay open after its answer.
    exchange.abort()
  })
}

const readMessage = (body: Uint8Array | undefined): JsonRpcMessage =>
  JSON.parse(Buffer.from(body ?? '{}').toString()) as JsonRpcMessage
