// Asks addresses that others named: vetted, bounded in time and size, and without redirects.
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Egress } from './egress.ts'

export interface VettedFetchOptions {
  readonly egress: Pick<Egress, 'checkUrl' | 'lookup'>
  /** From name resolution to the end of the answer. */
  readonly timeoutMs: number
  readonly maxBytes: number
}

interface VettedRequest {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

/**
 * The answer, whole. Rejects with `egress_denied` or `unprocessable` where the address is not one that we may ask, and
 * with a plain Error where nothing usable comes. A redirect is an answer like another: it is not followed.
 */
export function vettedFetch(
  text: string,
  { method = 'GET', headers = {}, body }: VettedRequest,
  { egress, timeoutMs, maxBytes }: VettedFetchOptions,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const url = egress.checkUrl(text)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const sent = send(url, {
      method,
      agent: false,
      lookup: egress.lookup,
      signal: AbortSignal.timeout(timeoutMs),
      headers: { 'user-agent': 'tollbridge', connection: 'close', ...headers, ...length },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      read(response, maxBytes).then(resolve, (error: unknown) => {
        sent.destroy()
        reject(error instanceof Error ? error : new Error('the answer could not be read'))
      })
    })
    sent.end(body)
  })
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Response> {
  const { statusCode = 0, headers } = response
  if (headers['content-encoding'] !== undefined) throw new Error('the answer is compressed')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  const kept = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  )
  const isEmpty = statusCode < 200 || statusCode === 204 || statusCode === 205 || statusCode === 304
  return new Response(isEmpty ? null : Buffer.concat(chunks), {
    status: statusCode,
    headers: [...kept] as [string, string][],
  })
}
