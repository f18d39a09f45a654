// One limit at work: what has come and what is running, for each caller that it counts apart.
import { compileGlob, type Glob } from '../../base/glob.ts'
import { Gcra } from './gcra.ts'
import type { Limit, LimitDimension, LimitedCall } from './limit.ts'

/** What a limit knows of one caller. */
export interface Bucket {
  /** Theoretical arrival time of the next call, in microseconds. */
  arrivalUs: number
  running: number
}

/** Where a limit stands after a call, or at its refusal. */
export interface LimitState {
  /** Name, calls and seconds as the `RateLimit-Policy` header has them. */
  readonly policy: string
  readonly name: string
  /** Calls that may still come at once. */
  readonly remaining: number
  /** Until all of `burst` may come at once again, in seconds, rounded up. */
  readonly resetS: number
}

const maxBuckets = 100_000
const swept = 64
/** Beyond `maxBuckets` callers share one bucket, rather than go uncounted. */
const sharedKey = '\n'

export class LimitCounter {
  readonly limit: Limit
  readonly #globs: readonly (readonly ['server' | 'tool' | 'method', Glob])[]
  readonly #gcra: Gcra | undefined
  readonly #policy: string
  readonly #buckets = new Map<string, Bucket>()

  constructor(limit: Limit) {
    this.limit = limit
    const { match, rate } = limit
    this.#globs = (['server', 'tool', 'method'] as const).flatMap((name) => {
      const pattern = match[name]
      return pattern === undefined ? [] : [[name, compileGlob(pattern)] as const]
    })
    this.#gcra = rate && new Gcra(rate)
    this.#policy = `"${limit.name}";q=${rate?.calls};w=${rate?.seconds}`
  }

  isFor({ userId, keyId, accountId }: LimitedCall): boolean {
    const { user, key, account } = this.limit.match
    if (user !== undefined && user !== userId) return false
    if (key !== undefined && key !== keyId) return false
    return account === undefined || account === accountId
  }

  /** A member that is named asks for a value: `{"tool": "*"}` is for calls of tools, and not for `initialize`. */
  isOf(call: Pick<LimitedCall, 'server' | 'tool' | 'method'>): boolean {
    for (const [name, glob] of this.#globs) {
      const text = call[name]
      if (text === undefined || !glob.matches(text)) return false
    }
    return true
  }

  bucketOf(call: LimitedCall, nowUs: number): Bucket {
    const key = this.#keyOf(call)
    const known = this.#buckets.get(key)
    if (known) return known
    if (this.#buckets.size >= maxBuckets) this.#sweep(nowUs)
    const kept = this.#buckets.size >= maxBuckets ? sharedKey : key
    const bucket = this.#buckets.get(kept) ?? { arrivalUs: 0, running: 0 }
    this.#buckets.set(kept, bucket)
    return bucket
  }

  /** Microseconds until this caller may call again: 0 for now, undefined for when one of its calls has ended. */
  waitUs(bucket: Bucket, nowUs: number): number | undefined {
    const { concurrent } = this.limit
    if (concurrent !== undefined && bucket.running >= concurrent) return undefined
    return this.#gcra?.waitUs(bucket.arrivalUs, nowUs) ?? 0
  }

  take(bucket: Bucket, nowUs: number): void {
    bucket.running++
    if (this.#gcra) bucket.arrivalUs = this.#gcra.take(bucket.arrivalUs, nowUs)
  }

  /** Undefined where the limit has no rate. */
  stateOf(bucket: Bucket, nowUs: number): LimitState | undefined {
    if (!this.#gcra) return undefined
    const aheadUs = Math.max(0, bucket.arrivalUs - nowUs)
    return {
      policy: this.#policy,
      name: this.limit.name,
      remaining: this.#gcra.remaining(bucket.arrivalUs, nowUs),
      resetS: Math.ceil(aheadUs / 1_000_000),
    }
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#buckets.size
  }

  #keyOf(call: LimitedCall): string {
    let key = ''
    for (const dimension of this.limit.per) key += `${valueOf(call, dimension)}\n`
    return key
  }

  /** Forgets some of the oldest callers that are as if they had never called; the others move to the end. */
  #sweep(nowUs: number): void {
    let looked = 0
    for (const [key, bucket] of this.#buckets) {
      if (looked++ >= swept) return
      this.#buckets.delete(key)
      if (bucket.running > 0 || bucket.arrivalUs > nowUs) this.#buckets.set(key, bucket)
    }
  }
}

function valueOf(call: LimitedCall, dimension: LimitDimension): string {
  if (dimension === 'user') return call.userId
  if (dimension === 'key') return call.keyId ?? call.userId
  if (dimension === 'account') return call.accountId
  return (dimension === 'server' ? call.server : call.tool) ?? ''
}
