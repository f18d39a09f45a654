// An event that others may want to hear of, as it is kept until it has become deliveries.
import type { EventKind } from './webhook.ts'

export interface OutboxEvent {
  readonly id: string
  readonly kind: EventKind
  /** Whose event it is; absent where it is nobody's but the administrators'. */
  readonly accountId?: string
  /** JSON: amounts are decimal strings, times ISO 8601. */
  readonly body: Readonly<Record<string, unknown>>
  readonly atMs: number
}
