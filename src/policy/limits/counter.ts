// One limit at work: what has come and what is running, for each caller that it counts apart.
import { compileGlob, type Glob } from '../../base/glob.ts'
import { BandwidthMeter } from './bandwidth.ts'
import { Gcra } from './gcra.ts'
import type { Limit, LimitDimension, LimitedCall } from './limit.ts'

/** What a limit knows of one caller. */
export interface Bucket {
  /** Theoretical arrival time of the next call, in microseconds. */
  arrivalUs: number
  /** When all bytes that have come will have leaked, in microseconds. */
  emptyUs: number
  running: number
}

/** What of a limit is used up, and microseconds until there is some again; Infinity: until a call has ended. */
export interface Hold {
  readonly over: 'rate' | 'bandwidth' | 'concurrent'
  readonly waitUs: number
}

/** Where a limit stands after a call, or at its refusal. */
export interface LimitState {
  /** Name, quota and seconds as the `RateLimit-Policy` header has them. */
  readonly policy: string
  readonly name: string
  /** Calls, or bytes, that may still come at once. */
  readonly remaining: number
  readonly unit: 'calls' | 'bytes'
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
  readonly #meter: BandwidthMeter | undefined
  readonly #policies: Readonly<Record<LimitState['unit'], string>>
  readonly #buckets = new Map<string, Bucket>()

  constructor(limit: Limit) {
    this.limit = limit
    const { match, rate, bandwidth } = limit
    this.#globs = (['server', 'tool', 'method'] as const).flatMap((name) => {
      const pattern = match[name]
      return pattern === undefined ? [] : [[name, compileGlob(pattern)] as const]
    })
    this.#gcra = rate && new Gcra(rate)
    this.#meter = bandwidth && new BandwidthMeter(bandwidth)
    this.#policies = {
      calls: `"${limit.name}";q=${rate?.calls};w=${rate?.seconds}`,
      bytes: `"${limit.name}";q=${bandwidth?.bytes};w=${bandwidth?.seconds};qu="content-bytes"`,
    }
  }

  isFor({ userId, keyId, accountId }: LimitedCall): boolean {
    const { user, key, account } = this.limit.match
    if (user !== undefined && user !== userId) return false
    if (key !== undefined && key !== keyId) return false
    return account === undefined || account === accountId
  }

  /**
   * A member that is named asks for a value: `{"tool": "*"}` is for calls of tools, and not for `initialize`. The legacy
   * stream, which clients open on their own, counts only where its method is named: it would take a place of the calls.
   */
  isOf(call: Pick<LimitedCall, 'server' | 'tool' | 'method'>): boolean {
    if (call.method === 'stream' && this.limit.match.method === undefined) return false
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
    const bucket = this.#buckets.get(kept) ?? { arrivalUs: 0, emptyUs: 0, running: 0 }
    this.#buckets.set(kept, bucket)
    return bucket
  }

  /** Why this caller may not call now; undefined where it may. */
  hold(bucket: Bucket, nowUs: number): Hold | undefined {
    const { concurrent } = this.limit
    if (concurrent !== undefined && bucket.running >= concurrent)
      return { over: 'concurrent', waitUs: Infinity }
    const callUs = this.#gcra?.waitUs(bucket.arrivalUs, nowUs) ?? 0
    const byteUs = this.#meter?.waitUs(bucket.emptyUs, nowUs) ?? 0
    if (callUs === 0 && byteUs === 0) return undefined
    return callUs >= byteUs ? { over: 'rate', waitUs: callUs } : { over: 'bandwidth', waitUs: byteUs }
  }

  /** Counts a call that begins now, with the bytes of its request. */
  take(bucket: Bucket, nowUs: number, bytes: number): void {
    bucket.running++
    this.spend(bucket, nowUs, bytes)
    if (this.#gcra) bucket.arrivalUs = this.#gcra.take(bucket.arrivalUs, nowUs)
  }

  get countsBytes(): boolean {
    return this.#meter !== undefined
  }

  spend(bucket: Bucket, nowUs: number, bytes: number): void {
    if (this.#meter) bucket.emptyUs = this.#meter.spend(bucket.emptyUs, nowUs, bytes)
  }

  /** Calls that may still come at once; undefined where the limit has no rate of them. */
  callsLeft(bucket: Bucket, nowUs: number): number | undefined {
    return this.#gcra?.remaining(bucket.arrivalUs, nowUs)
  }

  /** As `callsLeft`, in bytes. */
  bytesLeft(bucket: Bucket, nowUs: number): number | undefined {
    return this.#meter?.remaining(bucket.emptyUs, nowUs)
  }

  /** Where the limit's rate of calls or of bytes stands, with what is left of it. */
  stateOf(unit: LimitState['unit'], bucket: Bucket, nowUs: number, remaining: number): LimitState {
    const untilUs = unit === 'calls' ? bucket.arrivalUs : bucket.emptyUs
    const resetS = Math.ceil(Math.max(0, untilUs - nowUs) / 1_000_000)
    return { policy: this.#policies[unit], name: this.limit.name, unit, remaining, resetS }
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#buckets.size
  }

  #keyOf(call: LimitedCall): string {
    const { per } = this.limit
    const [only] = per
    if (only !== undefined && per.length === 1) return valueOf(call, only)
    let key = ''
    for (const dimension of per) key += `${valueOf(call, dimension)}\n`
    return key
  }

  /** Forgets some of the oldest callers that are as if they had never called; the others move to the end. */
  #sweep(nowUs: number): void {
    let looked = 0
    for (const [key, bucket] of this.#buckets) {
      if (looked++ >= swept) return
      this.#buckets.delete(key)
      if (bucket.running > 0 || Math.max(bucket.arrivalUs, bucket.emptyUs) > nowUs)
        this.#buckets.set(key, bucket)
    }
  }
}

function valueOf(call: LimitedCall, dimension: LimitDimension): string {
  if (dimension === 'user') return call.userId
  if (dimension === 'key') return call.keyId ?? call.userId
  if (dimension === 'account') return call.accountId
  return (dimension === 'server' ? call.server : call.tool) ?? ''
}
