// Reading the body of a POST: bounded, complete, uncompressed.
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../base/errors.ts'

/**
 * Calls back once with the whole body, or with `payload_too_large` as soon as the cap is passed (the rest is not
 * read). Never calls back where the client goes away first.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  done: (error: GatewayError | undefined, body: Buffer) => void,
): void {
  const declared = Number(request.headers['content-length'] ?? 0)
  const nothing = Buffer.alloc(0)
  if (declared > maxBytes) return done(new GatewayError('payload_too_large'), nothing)
  const chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length
    if (bytes <= maxBytes) {
      chunks.push(chunk)
      return
    }
    request.off('data', onData)
    request.off('end', onEnd)
    // What has come already is let go; what has not come is left where it is.
    if (!request.complete) request.pause()
    done(new GatewayError('payload_too_large'), nothing)
  }
  const onEnd = (): void =>
    done(undefined, chunks.length === 1 ? (chunks[0] ?? nothing) : Buffer.concat(chunks, bytes))
  request.on('data', onData)
  request.on('end', onEnd)
}

/** Why the body of a POST cannot be read: wrong type, or a content coding. */
export function typeFault({ headers }: IncomingMessage): GatewayError | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') return new GatewayError('unsupported_media_type')
  const coding = headers['content-encoding']
  if (coding !== undefined && coding !== 'identity') return new GatewayError('unsupported_media_type')
  return undefined
}

/** Why the head of a POST cannot be served: that of its body, or an Accept that allows no answer. */
export function headFault(request: IncomingMessage): GatewayError | undefined {
  const fault = typeFault(request)
  if (fault) return fault
  const { accept } = request.headers
  if (accept !== undefined && !(accepts(accept, 'application/json') && accepts(accept, 'text/event-stream')))
    return new GatewayError('not_acceptable')
  return undefined
}

/** Whether an Accept header allows a media type; wildcards count. */
export function accepts(accept: string, type: string): boolean {
  const ranges = accept.toLowerCase()
  if (ranges.includes(type) || ranges.includes('*/*')) return true
  return ranges.includes(`${type.slice(0, type.indexOf('/'))}/*`)
}
