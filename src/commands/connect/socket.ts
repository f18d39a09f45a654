// One attempt at a WebSocket to the gateway, and why it failed in words for people.
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import manifest from '../../../package.json' with { type: 'json' }
import { GatewayError, errorCodes, type ErrorCode } from '../../base/errors.ts'

/** Why there is no connection. `final`: another attempt would end the same way. */
export interface Failure {
  readonly error: GatewayError
  readonly final: boolean
  /** The gateway does not know the credential. */
  readonly unauthorized?: boolean
}

export interface SocketEvents {
  opened(): void
  message(bytes: Buffer): void
  /** Once, instead of or after `opened`. `failure` where it was never open, or was closed for a reason. */
  closed(failure: Failure | undefined): void
}

const handshakeMs = 15_000
/** The gateway pings more often than this, unless it was told otherwise. */
const silenceMs = 90_000
const maxAnswerBytes = 256 * 1024 * 1024
const maxRefusalBytes = 16_384

/** Connects; everything else is told by `events`. */
export function openSocket(
  url: string,
  options: { credential: string; base: string },
  events: SocketEvents,
): WebSocket {
  const socket = new WebSocket(url, 'mcp', {
    headers: {
      authorization: `Bearer ${options.credential}`,
      'tollbridge-client-transport': 'stdio',
      'user-agent': `tollbridge-connect/${manifest.version}`,
    },
    handshakeTimeout: handshakeMs,
    perMessageDeflate: false,
    maxPayload: maxAnswerBytes,
  })
  let failure: Failure | undefined = { error: unreachable(options.base), final: false }
  const silence = setTimeout(() => socket.terminate(), silenceMs)
  silence.unref()
  socket.on('open', () => {
    failure = undefined
    events.opened()
  })
  socket.on('message', (data) => {
    silence.refresh()
    events.message(data as Buffer)
  })
  socket.on('ping', () => silence.refresh())
  socket.on('unexpected-response', (_request, response) => {
    void readRefusal(response).then((refusal) => {
      failure = refusal
      socket.terminate()
    })
  })
  // What went wrong is told by the close that follows.
  socket.on('error', () => {})
  socket.on('close', (code, reason) => {
    clearTimeout(silence)
    if (code === 1009) failure = { error: new GatewayError('payload_too_large'), final: false }
    if (code === 1008)
      failure = { error: new GatewayError('unauthorized', { detail: reason.toString() }), final: false }
    events.closed(failure)
  })
  return socket
}

const unreachable = (base: string): GatewayError =>
  new GatewayError('upstream_unavailable', {
    detail: `No gateway answers at ${base}; start one with \`npm start\`, or pass --url.`,
  })

/** What the gateway said instead of becoming a WebSocket. */
async function readRefusal(response: IncomingMessage): Promise<Failure> {
  const status = response.statusCode ?? 0
  const said = await readError(response)
  const final = ![401, 408, 425, 429, 500, 502, 503, 504].includes(status)
  const code = said?.data?.code
  const known = typeof code === 'string' && Object.hasOwn(errorCodes, code)
  const error = known
    ? new GatewayError(code as ErrorCode, { detail: said?.message ?? '' })
    : new GatewayError('upstream_unavailable', { detail: `The gateway answered ${status}; check the URL.` })
  return { error, final, ...(status === 401 && { unauthorized: true }) }
}

interface RpcError {
  readonly message?: string
  readonly data?: { readonly code?: unknown }
}

async function readError(response: IncomingMessage): Promise<RpcError | undefined> {
  let text = ''
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > maxRefusalBytes) return undefined
    }
    return (JSON.parse(text) as { error?: RpcError }).error
  } catch {
    return undefined
  }
}
