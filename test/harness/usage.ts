// Random usage for tests: records that look like real ones, from a seed, and how to commit them as the writer does.
import { CallIds } from '../../src/base/id.ts'
import { outcomes } from '../../src/pricing/price.ts'
import { usageRows } from '../../src/usage/batch.ts'
import type { Dimensions } from '../../src/usage/dimensions.ts'
import type { UsageRecord } from '../../src/usage/record.ts'
import type { UsageStore } from '../../src/usage/store.ts'

/** A small seeded generator (mulberry32): the same seed gives the same numbers. */
export class Random {
  readonly seed: number
  #state: number

  constructor(seed: number = Math.floor(Math.random() * 2 ** 31)) {
    this.seed = seed
    this.#state = seed
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}

/** Records with arrival times in the period, in no order. `currency` tells an account's. */
export function randomRecords(
  random: Random,
  options: { count: number; startMs: number; endMs: number; currencyOf: (accountId: string) => string },
): UsageRecord[] {
  const { count, startMs, endMs, currencyOf } = options
  const used = new Set<bigint>()
  const freshId = (): bigint => {
    for (;;) {
      const id = CallIds.firstAt(startMs + random.below(endMs - startMs)) + BigInt(random.below(3))
      if (used.has(id)) continue
      used.add(id)
      return id
    }
  }
  return Array.from({ length: count }, (): UsageRecord => {
    const user = random.below(4)
    const server = random.pick(['weather', 'weather-2', 'Weather', 'files'])
    const method = random.pick(['tools/call', 'tools/call', 'tools/list', 'initialize'])
    const priced = random.below(5) > 0
    const accountId = `acc_${user % 3}`
    return {
      id: freshId(),
      userId: `usr_${user}`,
      accountId,
      ...(random.below(2) === 0 && { keyId: `key_${user}` }),
      ...(random.below(3) > 0 && { sessionId: `ses_${random.below(20)}` }),
      serverId: `srv_${server}`,
      server,
      method,
      ...(method === 'tools/call' && { tool: random.pick(['get', 'put', '100%']) }),
      transport: 'streamable-http',
      upstreamTransport: random.pick(['streamable-http', 'stdio']),
      era: random.pick(['legacy', 'modern']),
      upstreamEra: 'legacy',
      outcome: random.pick(['success', 'success', 'success', ...outcomes]),
      statusCode: 200,
      requestBytes: random.below(5000),
      responseBytes: random.below(50_000),
      durationUs: Math.floor(10 ** (random.next() * 8)),
      cost: priced ? BigInt(random.below(10 ** 9)) : 0n,
      currency: currencyOf(accountId),
      ...(priced && { ruleId: `rul_${random.below(2)}`, ruleVersion: 1 + random.below(2) }),
      priced,
      ...(random.below(10) === 0 && { error: 'upstream_timeout' }),
      client: { ip: '127.0.0.1', userAgent: 'test/1', ...(random.below(2) === 0 && { info: 'probe/2' }) },
      ...(random.below(10) === 0 && { idempotencyKey: `k${random.below(1000)}` }),
    }
  })
}

/** Commits records in batches of random sizes. */
export async function commitRecords(
  store: UsageStore,
  records: readonly UsageRecord[],
  { dimensions, random }: { dimensions: Dimensions; random: Random },
): Promise<void> {
  for (let at = 0; at < records.length;) {
    const batch = records.slice(at, at + 1 + random.below(100)).map((record) => ({ record }))
    await store.commit(usageRows(batch, dimensions))
    at += batch.length
  }
}
