// Sends one request to a receiver: to vetted addresses only, within a time, with a bound on what is read of the answer.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { GatewayError } from '../base/errors.ts'
import type { Egress } from '../upstreams/egress.ts'

export interface WebhookRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What came back, or why nothing did. */
export type WebhookAnswer =
  | { readonly status: number; readonly body: string; readonly retryAfterS?: number }
  | { readonly error: string }

export interface SenderOptions {
  readonly egress: Pick<Egress, 'allowsAddress' | 'lookup'>
  /** From name resolution to the end of the answer. */
  readonly timeoutMs: number
  readonly maxConnections: number
  readonly userAgent: string
}

const maxAnswerBytes = 64 * 1024

/** Connections to one receiver. Redirects are not followed: an answer of that kind is a refusal like another. */
export class Sender {
  readonly #options: SenderOptions
  readonly #agents

  constructor(options: SenderOptions) {
    this.#options = options
    const pooled = { keepAlive: true, maxSockets: options.maxConnections, lookup: options.egress.lookup }
    this.#agents = { http: new HttpAgent(pooled), https: new HttpsAgent(pooled) }
  }

  /** Never rejects. After `signal` the answer is `stopped`, and whether it arrived is not known. */
  async send(request: WebhookRequest, signal: AbortSignal): Promise<WebhookAnswer> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs)
    try {
      return await this.#exchange(request, AbortSignal.any([signal, timeout]))
    } catch (error) {
      if (signal.aborted) return { error: 'stopped' }
      if (timeout.aborted) return { error: `no answer in ${this.#options.timeoutMs} ms` }
      return { error: causeOf(error) }
    }
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  #exchange({ url, headers, body }: WebhookRequest, signal: AbortSignal): Promise<WebhookAnswer> {
    const target = new URL(url)
    const host = target.hostname.replace(/^\[|\]$/g, '')
    // A literal address is not looked up, so it is checked here.
    if (isIP(host) !== 0 && !this.#options.egress.allowsAddress(host)) throw new GatewayError('egress_denied')
    const secure = target.protocol === 'https:'
    const options = {
      method: 'POST',
      signal,
      agent: secure ? this.#agents.https : this.#agents.http,
      headers: {
        'user-agent': this.#options.userAgent,
        'content-length': String(Buffer.byteLength(body)),
        ...headers,
      },
    }
    return new Promise((resolve, reject) => {
      const sent = (secure ? httpsRequest : httpRequest)(target, options, (response) => {
        readBody(response).then((text) => resolve({ ...headOf(response), body: text }), reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

function headOf({ statusCode = 0, headers }: IncomingMessage): { status: number; retryAfterS?: number } {
  const retryAfter = headers['retry-after'] ?? ''
  return { status: statusCode, ...(/^\d{1,9}$/.test(retryAfter) && { retryAfterS: Number(retryAfter) }) }
}

/** The answer's body, or the first part of it where it is larger; the rest is not waited for. */
function readBody(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = () => resolve(Buffer.concat(chunks).subarray(0, maxAnswerBytes).toString('utf8'))
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes <= maxAnswerBytes) return
      finish()
      response.destroy()
    })
    response.on('end', finish)
    response.on('error', reject)
    response.on('aborted', () => reject(new Error('the answer was cut off')))
  })
}

function causeOf(error: unknown): string {
  if (error instanceof GatewayError) return error.code
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
