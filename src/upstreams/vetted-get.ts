// Fetches one small JSON document from an address that others named: vetted, bounded, and without redirects.
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Egress } from './egress.ts'

export interface VettedGetOptions {
  readonly egress: Pick<Egress, 'checkUrl' | 'lookup'>
  /** From name resolution to the end of the answer. */
  readonly timeoutMs: number
  readonly maxBytes: number
}

export interface VettedJson {
  readonly value: unknown
  /** From `Cache-Control`; 0 where the answer must not be kept, absent where it does not say. */
  readonly maxAgeS?: number
}

/**
 * The JSON behind a URL. Rejects with `egress_denied` or `unprocessable` where the address is not one that we may ask,
 * and with a plain Error where what came is not a 200 with JSON of at most `maxBytes`.
 */
export function getVettedJson(text: string, options: VettedGetOptions): Promise<VettedJson> {
  const { egress, timeoutMs, maxBytes } = options
  return new Promise((resolve, reject) => {
    const url = egress.checkUrl(text)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const sent = send(url, {
      agent: false,
      lookup: egress.lookup,
      signal: AbortSignal.timeout(timeoutMs),
      headers: { accept: 'application/json', 'user-agent': 'tollbridge', connection: 'close' },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      readJson(response, maxBytes).then(resolve, (error: unknown) => {
        sent.destroy()
        reject(error instanceof Error ? error : new Error('the answer could not be read'))
      })
    })
    sent.end()
  })
}

async function readJson(response: IncomingMessage, maxBytes: number): Promise<VettedJson> {
  const { statusCode, headers } = response
  if (statusCode !== 200) throw new Error(`the answer has status ${statusCode}`)
  if (!/^application\/([\w.-]+\+)?json\b/i.test(headers['content-type'] ?? ''))
    throw new Error('it is not JSON')
  if (headers['content-encoding'] !== undefined) throw new Error('the answer is compressed')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  const maxAgeS = maxAgeOf(headers['cache-control'] ?? '')
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  return { value, ...(maxAgeS !== undefined && { maxAgeS }) }
}

function maxAgeOf(control: string): number | undefined {
  if (/\bno-(store|cache)\b/i.test(control)) return 0
  const seconds = /\bmax-age=(\d{1,9})\b/i.exec(control)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}
