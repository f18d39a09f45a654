// PostgreSQL's SQLSTATEs and broken connections as the gateway's codes, with every secret taken out.
import { GatewayError } from '../base/errors.ts'

/** Transactions that the server gave up so that another could go on; running them again is safe. */
const retryable = new Set(['40001', '40P01'])

/** Classes (Appendix A of the manual) and codes that are the store's state, not a mistake in a query. */
const unavailable = [
  '08', // connection exceptions
  '25006', // read-only: the server is a standby
  '28', // authorization
  '3D000', // no such database
  '40', // gave up, again and again
  '53', // disk full, too many connections
  '55P03', // lock not available in time
  '57', // shutting down, cancelled by a timeout
  '58', // system and I/O errors
  'XX001', // data corrupted
  'XX002', // index corrupted
]

/** The five characters of a server's error; undefined where the fault is not the server's answer. */
function sqlStateOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'severity' in thrown && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : undefined
}

export function isRetryable(thrown: unknown): boolean {
  return retryable.has(sqlStateOf(thrown) ?? '')
}

/** True where the connection itself is lost or in doubt. */
export function isConnectionFault(thrown: unknown): boolean {
  const state = sqlStateOf(thrown)
  return state === undefined || /^(?:08|57P|58|XX)/.test(state)
}

/**
 * Violated constraints and sums beyond 64 bits → `conflict`; lost connections, full disks, timeouts →
 * `store_unavailable`; the rest is a mistake → `internal`. The cause keeps the text without `secrets`.
 */
export function postgresError(thrown: unknown, secrets: readonly string[]): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const state = sqlStateOf(thrown)
  const cause = new Error(`PostgreSQL ${state ?? 'connection'}: ${withoutSecrets(textOf(thrown), secrets)}`)
  if (state === undefined) {
    const mistake = thrown instanceof TypeError || thrown instanceof RangeError
    return new GatewayError(mistake ? 'internal' : 'store_unavailable', { cause })
  }
  if (state.startsWith('23') || state === '22003') return new GatewayError('conflict', { cause })
  const down = unavailable.some((prefix) => state.startsWith(prefix))
  return new GatewayError(down ? 'store_unavailable' : 'internal', { cause })
}

/** A refused connection to several addresses has an empty message and a code. */
function textOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'a value that is no error was thrown'
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
  return thrown.message || code || thrown.name
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '[redacted]'), text)
}
