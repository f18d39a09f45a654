// The usage record of a session that the API makes: method `session/create`, priced like any other.
import type { GatewayError } from '../base/errors.ts'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type { Client } from '../usage/record.ts'
import { denied, type CallEnd } from './charge.ts'
import type { Metering } from './metering.ts'
import type { Session } from './session.ts'

export interface SessionRequest {
  readonly client: Client
  readonly requestBytes: number
  readonly idempotencyKey?: string
}

export interface SessionOpening {
  readonly principal: Principal
  readonly server: Server
  readonly session: Session
  readonly request: SessionRequest
}

/**
 * Charges a new session and resolves once the record is durable. `refusal` is there where the account does not cover
 * it, or the store is away; the caller then closes the session again.
 */
export function chargeSession(
  metering: Metering,
  { principal, server, session, request }: SessionOpening,
): Promise<{ readonly callId: string; readonly refusal?: GatewayError }> {
  const { charge, refusal } = metering.begin({
    userId: principal.userId,
    accountId: principal.accountId,
    sessionId: session.id,
    serverId: server.id,
    server: server.name,
    method: 'session/create',
    transport: 'api',
    upstreamTransport: 'none',
    era: 'legacy',
    upstreamEra: 'none',
    requestBytes: request.requestBytes,
    client: request.client,
    ...(principal.keyId !== undefined && { keyId: principal.keyId }),
    ...(request.idempotencyKey !== undefined && { idempotencyKey: request.idempotencyKey }),
  })
  const made: CallEnd = { outcome: 'success', statusCode: 201, responseBytes: 0, free: false }
  const { callId } = charge
  const { promise, resolve } = Promise.withResolvers<{ callId: string; refusal?: GatewayError }>()
  charge.settle(refusal ? denied(refusal) : made, (failure) => {
    const why = failure ?? refusal
    resolve(why ? { callId, refusal: why } : { callId })
  })
  return promise
}
