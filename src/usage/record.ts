// The usage record: what one answered message was, who asked, how it ended and what it cost.
import type { Outcome } from '../pricing/price.ts'

export type Transport = 'streamable-http' | 'sse' | 'websocket' | 'stdio' | 'api'

/** What is known of the caller's side of the connection; the same for all calls of a session. */
export interface Client {
  readonly ip: string
  readonly userAgent: string
  /** `name/version` that the client says of itself; never used for security. */
  readonly info?: string
}

/** Written once, never changed. Costs in nano-units of `currency`. */
export interface UsageRecord {
  /** Arrival order and primary key; `formatCallId` makes the public id. The arrival time is inside. */
  readonly id: bigint
  readonly userId: string
  readonly accountId: string
  readonly keyId?: string
  readonly sessionId?: string
  readonly serverId: string
  readonly server: string
  readonly method: string
  readonly tool?: string
  readonly transport: Transport
  /** `aggregate` where the gateway itself asked several servers, `built-in` where it answered by itself, `none` where nothing was asked. */
  readonly upstreamTransport: Transport | 'aggregate' | 'built-in' | 'none'
  readonly era: 'legacy' | 'modern'
  readonly upstreamEra: 'legacy' | 'modern' | 'none'
  readonly outcome: Outcome
  readonly statusCode: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly durationUs: number
  readonly cost: bigint
  readonly currency: string
  readonly ruleId?: string
  readonly ruleVersion?: number
  /** Whether a rule matched; an unpriced call is visible as such and costs nothing. */
  readonly priced: boolean
  readonly error?: string
  readonly client: Client
  readonly idempotencyKey?: string
  /** As the server reported them. */
  readonly tokens?: number
  /** What the call cost the server, as it reported, in nano-units of `currency`. */
  readonly upstreamCost?: bigint
  /** There where the price counts over a period: what it had counted before this call, in base units; absent at the first one. */
  readonly counted?: { readonly before?: bigint }
}

/** Upper bounds in microseconds of the rollups' latency buckets; the last bucket is open. */
export const latencyBoundsUs: readonly number[] = [
  1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000,
  30_000, 60_000,
].map((ms) => ms * 1000)

/** Index of the latency bucket that a duration falls in. */
export function latencyBucket(durationUs: number): number {
  let low = 0
  let high = latencyBoundsUs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (durationUs <= (latencyBoundsUs[middle] ?? Infinity)) high = middle
    else low = middle + 1
  }
  return low
}

/** Rollups count in quarters of an hour, since every zone's offset today is a multiple of 15 minutes. */
export const rollupMs = 15 * 60_000
