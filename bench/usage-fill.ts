// Usage as a busy gateway leaves it: records, rollups and cubes of many days, made from a seed without any call.
import { ManualClock } from '../src/base/clock.ts'
import { CallIds } from '../src/base/id.ts'
import type { Outcome } from '../src/pricing/price.ts'
import { usageRows } from '../src/usage/batch.ts'
import { CubeWriter } from '../src/usage/cube-writer.ts'
import { Dimensions } from '../src/usage/dimensions.ts'
import { usageStores } from '../src/usage/reading-store.ts'
import type { UsageRecord } from '../src/usage/record.ts'
import { UsageStore } from '../src/usage/store.ts'
import type { Database } from '../src/db/database.ts'
import { Random } from '../test/harness/usage.ts'

export interface FillOptions {
  readonly records: number
  readonly days: number
  /** First instant after the last record. */
  readonly endMs: number
}

const accounts = 200
const servers = 50
const toolsOfServer = 10
const batchRecords = 4000
const client = { ip: '10.0.0.1', userAgent: 'bench/1' }

/** Few accounts, servers and tools get most calls; daytime is busier than night. */
export class UsageSource {
  readonly #random = new Random(20261123)
  readonly #ids = new Set<bigint>()

  record(timeMs: number): UsageRecord {
    const account = this.#skewed(accounts)
    // An agent uses a handful of servers, and of them some tools more than others.
    const server = (account * 7 + this.#skewed(8)) % servers
    const [listing, failure] = [this.#random.below(20) === 0, this.#random.below(25)]
    return {
      id: this.#id(timeMs),
      userId: `usr_${account}`,
      accountId: `acc_${account}`,
      ...(this.#random.below(4) > 0 && { keyId: `key_${account}_${this.#random.below(2)}` }),
      sessionId: `ses_${account}`,
      serverId: `srv_${server}`,
      server: `server-${server}`,
      method: listing ? 'tools/list' : 'tools/call',
      ...(!listing && { tool: `tool-${server}-${this.#skewed(toolsOfServer)}` }),
      transport: 'streamable-http',
      upstreamTransport: 'streamable-http',
      era: 'modern',
      upstreamEra: 'modern',
      outcome: outcomeOf(failure),
      statusCode: 200,
      requestBytes: 200 + this.#random.below(800),
      responseBytes: 500 + this.#random.below(8000),
      durationUs: Math.floor(1000 * 10 ** (this.#random.next() * 3)),
      cost: BigInt(1_000_000 + this.#random.below(9_000_000)),
      currency: 'USD',
      ruleId: 'rul_1',
      ruleVersion: 1,
      priced: true,
      client,
    }
  }

  /** From 0 up to `end`; the first ones far more often. */
  #skewed(end: number): number {
    return Math.floor(end * this.#random.next() ** 2)
  }

  #id(timeMs: number): bigint {
    let id = CallIds.firstAt(timeMs)
    while (this.#ids.has(id)) id += 1n
    if (this.#ids.size > 10 * batchRecords) this.#ids.clear()
    this.#ids.add(id)
    return id
  }
}

function outcomeOf(failure: number): Outcome {
  if (failure === 0) return 'tool_error'
  return failure === 1 ? 'error' : 'success'
}

/** Fills an empty, migrated store; returns how many records a second it took, with one commit after another. */
export async function fillUsage(
  db: Database,
  options: FillOptions,
): Promise<{ recordsPerS: number; cubesMs: number }> {
  const { records, days, endMs } = options
  const store = new UsageStore(db)
  const dimensions = new Dimensions({ known: [], next: 1, capacity: 100_000 })
  const source = new UsageSource()
  const startMs = endMs - days * 86_400_000
  const stepMs = (endMs - startMs) / records
  const started = performance.now()
  let committing: Promise<void> = Promise.resolve()
  for (let at = 0; at < records; at += batchRecords) {
    const count = Math.min(batchRecords, records - at)
    const batch = Array.from({ length: count }, (_, n) => ({
      record: source.record(startMs + (at + n) * stepMs),
    }))
    const rows = usageRows(batch, dimensions)
    await committing
    committing = store.commit(rows)
  }
  await committing
  const recordsPerS = Math.round(records / ((performance.now() - started) / 1000))
  const folding = performance.now()
  await new CubeWriter(usageStores(db).cubes, new ManualClock(endMs)).run()
  return { recordsPerS, cubesMs: Math.round(performance.now() - folding) }
}
