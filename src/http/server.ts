// An HTTP server: strict parsing, Host and Origin, then MCP endpoints or the API.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Refusals } from '../audit/refusals.ts'
import { GatewayError } from '../base/errors.ts'
import { sendError } from '../transports/http-reply.ts'
import type { FindClientAddress } from './client-address.ts'
import { LingeringClose, usualLinger, type LingerLimits } from './lingering-close.ts'
import { refusedFacts } from './refused.ts'
import { answerTo, asksForWebSocket, findMcpPath, type McpEndpoints } from './mcp.ts'

export interface HttpLimits {
  readonly maxHeaderBytes: number
  readonly maxHeaders: number
  readonly maxConnections: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly keepAliveMs: number
}

export interface HttpServerOptions {
  readonly limits: HttpLimits
  readonly originFault: (request: IncomingMessage) => GatewayError | undefined
  readonly clientAddress: FindClientAddress
  /** Absent where this listener has no MCP endpoints: their paths are the API's to refuse. */
  readonly mcp?: McpEndpoints
  /** Hears who was refused by Host or Origin. */
  readonly refusals: Pick<Refusals, 'add'>
  readonly api: (request: IncomingMessage, response: ServerResponse) => void
  /** How long a connection lives on after an answer that did not wait for its request. */
  readonly linger?: LingerLimits
}

/** Listens once everything behind it is ready. */
export class HttpServer {
  readonly #server: Server
  readonly #lingering: LingeringClose

  constructor({
    limits,
    originFault: checkOrigin,
    clientAddress,
    mcp,
    api,
    refusals,
    linger = usualLinger,
  }: HttpServerOptions) {
    const originFault = (request: IncomingMessage): GatewayError | undefined => {
      const error = checkOrigin(request)
      if (error)
        refusals.add(refusedFacts(request, { action: 'http.request', error, ip: clientAddress(request) }))
      return error
    }
    const lingering = new LingeringClose(linger)
    this.#lingering = lingering
    this.#server = createServer(
      {
        maxHeaderSize: limits.maxHeaderBytes,
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
        keepAliveTimeout: limits.keepAliveMs,
        connectionsCheckingInterval: 1000,
        insecureHTTPParser: false,
        requireHostHeader: true,
        noDelay: true,
        ServerResponse: lingering.responseClass(),
        shouldUpgradeCallback: (request) => mcp !== undefined && asksForWebSocket(request),
      },
      (request, response) => {
        if (lingering.isOver(request)) return
        const malformed = headFault(request, limits.maxHeaders)
        if (malformed) {
          lingering.closeAfter(response)
          return sendError(response, malformed, null)
        }
        const fault = originFault(request)
        if (fault) return sendError(response, fault, null)
        const path = mcp && findMcpPath(request.url ?? '/')
        if (path) mcp.handle(request, response, path)
        else api(request, response)
      },
    )
    this.#server.on('upgrade', (request, socket, head) => {
      // Until the WebSocket has the connection, nobody else hears of its faults.
      socket.on('error', () => socket.destroy())
      const fault = headFault(request, limits.maxHeaders) ?? originFault(request)
      try {
        if (fault) sendError(answerTo({ request, socket, head }), fault, null)
        else mcp?.upgrade({ request, socket, head })
      } catch {
        // Somebody asks for a WebSocket behind a request that is still being answered.
        socket.destroy()
      }
    })
    this.#server.on('clientError', (error, socket) => lingering.refuse(error, socket as Socket))
    // Node would drop what is over its count in silence; we refuse it ourselves.
    this.#server.maxHeadersCount = 0
    this.#server.maxConnections = limits.maxConnections
  }

  /** Resolves with the port, which differs from the asked one where that is 0. */
  listen(host: string, port: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#server.once('error', reject)
    this.#server.listen(port, host, () => {
      this.#server.off('error', reject)
      resolve((this.#server.address() as AddressInfo).port)
    })
    return promise
  }

  /** Stops listening and ends what is left of connections after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#lingering.stop()
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs)
    await promise
    clearTimeout(timer)
  }
}

/** What the parser lets through and we do not: too many headers, two hosts, a body that parsers end in two places. */
function headFault({ rawHeaders, headers }: IncomingMessage, maxHeaders: number): GatewayError | undefined {
  if (rawHeaders.length > 2 * maxHeaders) return malformed('The request has too many headers; send fewer.')
  // Node reads the first and drops the others; RFC 9112, section 3.2, wants them refused.
  if (hasTwoHosts(rawHeaders)) return malformed('The request has two Host headers; send one.')
  const coding = headers['transfer-encoding']
  if (coding === undefined || coding.toLowerCase() === 'chunked') return undefined
  return malformed('The only transfer coding that is taken is chunked.')
}

const malformed = (detail: string): GatewayError => new GatewayError('invalid_request', { detail })

/** `rawHeaders` holds names and values in turn. */
function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1
}
