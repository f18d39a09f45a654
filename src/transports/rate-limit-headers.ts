// Where the tightest limit stands, as headers of an answer.
import type { LimitState } from '../sessions/reply.ts'

/** Names and values in turn: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10). */
export const rateLimitHeaders = ({ policy, name, remaining, resetS }: LimitState): string[] => [
  'ratelimit-policy',
  policy,
  'ratelimit',
  `"${name}";r=${remaining};t=${resetS}`,
]
