// Where limits stand, as headers of an answer.
import type { LimitStates } from '../sessions/reply.ts'

const mostStates = 5

/**
 * Names and values in turn: `RateLimit-Policy` and `RateLimit` as lists of structured fields
 * (draft-ietf-httpapi-ratelimit-headers-10), the tightest limits first.
 */
export function rateLimitHeaders(states: LimitStates): string[] {
  if (states.length === 0) return []
  const shown = states.toSorted((a, b) => a.remaining - b.remaining).slice(0, mostStates)
  const policies = shown.map(({ limit: { name, rate } }) => `"${name}";q=${rate?.calls};w=${rate?.seconds}`)
  const now = shown.map(({ limit: { name }, remaining, resetS }) => `"${name}";r=${remaining};t=${resetS}`)
  return ['ratelimit-policy', policies.join(', '), 'ratelimit', now.join(', ')]
}
