// HTTP+SSE (2024-11-05) towards clients: GET opens the stream, POST takes messages, answers travel on the stream.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { randomToken } from '../base/id.ts'
import type { Principal } from '../identity/principal.ts'
import { Channel, type ChannelOptions } from './channel/channel.ts'
import type { Channels } from './channel/channels.ts'
import { answerHeaders, sendError } from './http-reply.ts'
import { accepts, readBody, typeFault } from './request-body.ts'
import { SseLine } from './channel/sse-line.ts'
import type { Target } from './target.ts'

export interface HttpSseOptions extends ChannelOptions {
  readonly channels: Channels
  readonly keepAliveMs: number
}

const notAcceptable = 'Accept must allow text/event-stream.'
const noToken = 'The sessionId is missing; send messages to the URL that the endpoint event names.'

export class HttpSse {
  readonly #options: HttpSseOptions
  /** By the token in the message endpoint's URL; possession is never an authentication. */
  readonly #byToken = new Map<string, Channel>()

  constructor(options: HttpSseOptions) {
    this.#options = options
  }

  /** Streams that are open. */
  get count(): number {
    return this.#byToken.size
  }

  /** Answers a request to the stream's endpoint; `messagePath` is where its messages go. Never throws. */
  open(request: IncomingMessage, response: ServerResponse, target: Target & { messagePath: string }): void {
    if (request.method !== 'GET')
      return sendError(response, new GatewayError('method_not_allowed'), null, { allow: 'GET' })
    const { accept } = request.headers
    if (accept !== undefined && !accepts(accept, 'text/event-stream'))
      return sendError(response, new GatewayError('not_acceptable', { detail: notAcceptable }), null)
    const { channels, keepAliveMs } = this.#options
    const fault = channels.fault(target.principal)
    if (fault) return sendError(response, fault, null)
    const token = randomToken()
    const line = new SseLine(response)
    const channel = new Channel(
      this.#options,
      { target, transport: 'sse', eras: 'legacy' },
      { line, onGone: () => this.#remove(token, channel) },
    )
    this.#byToken.set(token, channel)
    channels.add(channel, keepAliveMs)
    line.begin(`${target.messagePath}?sessionId=${token}`)
    channel.start()
  }

  /** Answers a POST to the message endpoint: 202 once the message is taken. Never throws. */
  take(request: IncomingMessage, response: ServerResponse, target: Target): void {
    if (request.method !== 'POST')
      return sendError(response, new GatewayError('method_not_allowed'), null, { allow: 'POST' })
    const channel = this.#find(request, target)
    if (channel instanceof GatewayError) return sendError(response, channel, null)
    const fault = typeFault(request)
    if (fault) return sendError(response, fault, null)
    readBody(request, this.#options.maxBodyBytes, (error, body) => {
      if (error) return sendError(response, error, null)
      this.#receive(channel, { body, principal: target.principal, response })
    })
  }

  #receive(channel: Channel, of: { body: Buffer; principal: Principal; response: ServerResponse }): void {
    const { body, principal, response } = of
    try {
      const fault = channel.receive(body, principal, (refusal) => {
        if (refusal) sendError(response, refusal, null)
        else response.writeHead(202, { ...answerHeaders, 'content-type': 'text/plain' }).end('Accepted')
      })
      if (fault) sendError(response, fault, null)
    } catch (thrown) {
      if (response.headersSent) response.destroy()
      else sendError(response, asGatewayError(thrown), null)
    }
  }

  /** The stream that a message is for: the same user's, at the same endpoint. To others it does not exist. */
  #find(request: IncomingMessage, { principal, server, session }: Target): Channel | GatewayError {
    const url = request.url ?? ''
    const query = url.indexOf('?')
    const token = query < 0 ? null : new URLSearchParams(url.slice(query + 1)).get('sessionId')
    if (token === null || token === '') return new GatewayError('invalid_request', { detail: noToken })
    const channel = this.#byToken.get(token)
    const opened = channel?.origin.target
    const own =
      opened?.principal.userId === principal.userId &&
      opened.server.id === server.id &&
      opened.session === session
    return channel && own ? channel : new GatewayError('session_not_found')
  }

  #remove(token: string, channel: Channel): void {
    this.#byToken.delete(token)
    this.#options.channels.remove(channel)
  }
}
