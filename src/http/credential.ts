// The credential of a request, wherever it carries one.
import type { IncomingMessage } from 'node:http'
import { offeredProtocols } from '../transports/web-socket.ts'

/** From `Authorization: Bearer …` or `X-API-Key`; undefined where there is none. Never from the URL. */
export function findCredential(request: IncomingMessage): string | undefined {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const space = authorization.indexOf(' ')
    const isBearer = space > 0 && authorization.slice(0, space).toLowerCase() === 'bearer'
    // Another scheme is a credential that nobody knows, not the absence of one.
    return isBearer ? authorization.slice(space + 1).trim() : authorization
  }
  const key = request.headers['x-api-key']
  return typeof key === 'string' ? key : undefined
}

/**
 * From a WebSocket's offered subprotocol `bearer.…`, since the WebSocket of browsers can set no headers; undefined
 * where there is none.
 */
export function findOfferedCredential(request: IncomingMessage): string | undefined {
  const offered = offeredProtocols(request).find((name) => name.startsWith(bearerProtocol))
  return offered?.slice(bearerProtocol.length)
}

const bearerProtocol = 'bearer.'
