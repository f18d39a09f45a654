// Sends what a handler returned, and the headers that every answer of the API carries.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyReply } from 'fastify'
import { assert } from '../../base/errors.ts'
import type { StoredAnswer } from '../../idempotency/reservation.ts'
import { Answer, usualStatus, type AnswerStream, type Route } from './route.ts'

/** Nothing of the API is to be cached, framed, sniffed or run; pages override the policy for themselves. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

const jsonType = 'application/json; charset=utf-8'

/** An answer whose body is still to be written. */
interface StreamedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly stream: AnswerStream
}

export type AnyAnswer = StoredAnswer | StreamedAnswer | BinaryAnswer

interface BinaryAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

/**
 * A handler's result as status, headers and body. `check` compares JSON with the route's response schema and fails
 * where the two differ, which keeps the reference true; it is for tests.
 */
export function toAnswer(route: Route, result: unknown, check: boolean): AnyAnswer {
  if (result instanceof Answer) {
    const { status, body } = result
    const headers = { 'content-type': result.contentType, ...result.headers }
    if (typeof body === 'string' || body instanceof Uint8Array) return { status, headers, body }
    return { status, headers, stream: body }
  }
  const status = usualStatus(route)
  if (result === undefined) return { status, headers: {}, body: '' }
  if (check) {
    const fits = route.response?.safeParse(result)
    assert(
      fits?.success,
      `${route.method} ${route.path} answers as documented: ${fits?.error?.message ?? 'no schema'}`,
    )
  }
  return { status, headers: { 'content-type': jsonType }, body: JSON.stringify(result) }
}

/** Sends an answer; resolves when a streamed one has ended or its client has gone. */
export async function sendAnswer(reply: FastifyReply, answer: AnyAnswer): Promise<void> {
  reply.code(answer.status).headers(answer.headers)
  if (!('stream' in answer)) {
    await reply.send(answer.body === '' ? undefined : answer.body)
    return
  }
  // Taken out of the framework's hands so that the head leaves before the first piece of the body exists.
  reply.hijack()
  reply.raw.writeHead(answer.status, reply.getHeaders() as Record<string, string>)
  reply.raw.flushHeaders()
  try {
    await pipeline(Readable.from(answer.stream, { objectMode: false }), reply.raw)
  } catch {
    // The client has gone or the source failed after the head was sent: all that is left is to cut the connection.
    reply.raw.destroy()
  }
}
