// Cross-origin headers for the origins that the configuration names; none for anybody else.
import type { IncomingHttpHeaders } from 'node:http'

const exposed = 'X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Location, WWW-Authenticate'
const accepted = 'Authorization, Content-Type, Idempotency-Key, X-API-Key'

/** Headers that let a page of an allowed origin read the answer; credentials are headers, so cookies stay out of it. */
export function corsHeaders(
  headers: IncomingHttpHeaders,
  allowedOrigins: readonly string[] = [],
): Record<string, string> {
  const { origin } = headers
  if (allowedOrigins.length === 0) return {}
  if (origin === undefined || !allowedOrigins.includes(origin)) return { vary: 'Origin' }
  return { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed }
}

/** The answer's further headers where the request is a preflight from an allowed origin. */
export function preflightHeaders(
  headers: IncomingHttpHeaders,
  allow: string,
  allowedOrigins: readonly string[] = [],
): Record<string, string> {
  const { origin } = headers
  const asked = headers['access-control-request-method']
  if (origin === undefined || asked === undefined || !allowedOrigins.includes(origin)) return {}
  return {
    'access-control-allow-methods': allow,
    'access-control-allow-headers': accepted,
    'access-control-max-age': '600',
  }
}
