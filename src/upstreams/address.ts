// How requests to a registered server are addressed: its URL, with credential and session id where it wants them.
import { newId } from '../base/id.ts'
import { assert } from '../base/errors.ts'
import type {
  HttpTransport,
  Server,
  ServerAuth,
  SseTransport,
  WebSocketTransport,
} from '../registry/server.ts'

/** A registered server that is reached over the network. */
export type NetworkServer = Server & {
  readonly transport: HttpTransport | SseTransport | WebSocketTransport
}

type Pairs = readonly (readonly [string, string])[]

export interface Address {
  readonly url: URL
  /** Path and query, as they stand in the request line. */
  readonly target: string
  /** The server's own headers, its credential, and the session's id. */
  readonly headers: Pairs
}

export interface AddressOptions {
  /** Throws `egress_denied` or `unprocessable`. */
  readonly checkUrl: (url: string) => URL
  /** Instead of the transport's `url`. */
  readonly url?: string
  /** What stands at the server's `sessionId` place; made up where there is a place and no id. */
  readonly sessionId?: string | undefined
}

/** Throws as `checkUrl` where the address is not one that the server may have. */
export function addressOf(server: NetworkServer, options: AddressOptions): Address {
  const { transport, auth } = server
  const place = transport.sessionId
  const id = place && (options.sessionId ?? newId('ses'))
  assert(id === undefined || /^[A-Za-z0-9._~-]{1,128}$/.test(id), 'a session id is plain text')
  const text = options.url ?? transport.url
  const url = options.checkUrl(place?.in === 'path' ? text.replaceAll(`{${place.name}}`, id ?? '') : text)
  const headers = ownHeaders(server)
  if (place?.in === 'header' && id !== undefined) headers.push([place.name.toLowerCase(), id])
  return { url, target: url.pathname + withQuery('', queryOf(auth, server, id)), headers }
}

/**
 * Path and query of an address that the server gave for this session: `search` as it is, and of our own parameters
 * those that it does not have already.
 */
export function targetOf({ pathname, search }: URL, server: NetworkServer, sessionId?: string): string {
  return pathname + withQuery(search, queryOf(server.auth, server, sessionId))
}

function queryOf(auth: ServerAuth, { transport }: NetworkServer, sessionId: string | undefined): Pairs {
  const pairs: (readonly [string, string])[] = []
  if (auth.type === 'api-key' && auth.in === 'query') pairs.push([auth.name, auth.value])
  if (transport.sessionId?.in === 'query' && sessionId !== undefined)
    pairs.push([transport.sessionId.name, sessionId])
  return pairs
}

function withQuery(search: string, pairs: Pairs): string {
  const known = new URLSearchParams(search)
  let text = search
  for (const [name, value] of pairs) {
    if (known.has(name)) continue
    text += `${text.length > 1 ? '&' : '?'}${encodeURIComponent(name)}=${encodeURIComponent(value)}`
  }
  return text
}

function ownHeaders({ transport, auth }: NetworkServer): [string, string][] {
  const headers = Object.entries(transport.headers ?? {})
  if (auth.type === 'bearer') headers.push(['authorization', `Bearer ${auth.token}`])
  if (auth.type === 'basic')
    headers.push([
      'authorization',
      `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`,
    ])
  if (auth.type === 'api-key' && auth.in === 'header') headers.push([auth.name.toLowerCase(), auth.value])
  return headers
}
