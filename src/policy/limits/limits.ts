// All limits of this node: kept in the store, counted in memory, asked before a call may run.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { newId } from '../../base/id.ts'
import { LimitCounter, type Bucket, type Hold, type LimitState } from './counter.ts'
import type { Limit, LimitedCall } from './limit.ts'
import type { LimitInput } from './limit-input.ts'
import type { NamedStore } from '../named-store.ts'

export interface LimitsOptions {
  readonly store: NamedStore<Limit>
  readonly clock: Clock
  /** Hears of each refusal. */
  readonly onRefused?: (limit: Limit) => void
  /** Default 1000. */
  readonly maxLimits?: number
}

/** A call that may run. `release` when it has ended, however it did. */
export interface Admission {
  /** Of the limit that has least left; absent where none has a rate. */
  readonly state: LimitState | undefined
  /** Counts bytes of what is answered; those of the request are counted. */
  spend(bytes: number): void
  release(): void
}

/** A call that may not run now. */
export interface Limited {
  readonly error: GatewayError
  readonly state: LimitState | undefined
}

interface Asked {
  readonly counter: LimitCounter
  readonly bucket: Bucket
}

class Admitted implements Admission {
  readonly state: LimitState | undefined
  readonly #asked: readonly Asked[]
  readonly #clock: Clock
  readonly #countsBytes: boolean
  #isOver = false

  constructor(asked: readonly Asked[], state: LimitState | undefined, clock: Clock) {
    this.#asked = asked
    this.state = state
    this.#clock = clock
    this.#countsBytes = asked.some(({ counter }) => counter.countsBytes)
  }

  spend(bytes: number): void {
    if (!this.#countsBytes) return
    const nowUs = Math.floor(this.#clock.monotonicMs() * 1000)
    for (const { counter, bucket } of this.#asked) counter.spend(bucket, nowUs, bytes)
  }

  release(): void {
    if (!this.#isOver) for (const { bucket } of this.#asked) bucket.running--
    this.#isOver = true
  }
}

/** Different calls whose limits are remembered. */
const maxRemembered = 10_000

export class Limits {
  readonly #options: LimitsOptions
  readonly #counters = new Map<string, LimitCounter>()
  /** Those that are active. */
  #active: readonly LimitCounter[] = []
  /** Active ones by server, method and tool. */
  readonly #matching = new Map<string, Map<string, Map<string, readonly LimitCounter[]>>>()
  #remembered = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: LimitsOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    for (const limit of await this.#options.store.list())
      this.#counters.set(limit.id, new LimitCounter(limit))
    this.#refresh()
  }

  /** Oldest first. */
  list(): Limit[] {
    return Array.from(this.#counters.values(), ({ limit }) => limit).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** By id or name; throws `not_found`. */
  get(idOrName: string): Limit {
    const known = this.#counters.get(idOrName)?.limit
    const limit = known ?? this.list().find(({ name }) => name === idOrName)
    if (!limit) throw new GatewayError('not_found', { detail: 'There is no such limit.' })
    return limit
  }

  /** How many callers a limit remembers. */
  countCallers(id: string): number {
    return this.#counters.get(id)?.size ?? 0
  }

  /** Rejects with `conflict` where the name is taken. */
  create(input: LimitInput): Promise<Limit> {
    return this.#inTurn(async () => {
      const { store, clock, maxLimits = 1000 } = this.#options
      if (this.#counters.size >= maxLimits)
        throw new GatewayError('unprocessable', { detail: `There may be ${maxLimits} limits; remove some.` })
      const now = clock.now()
      const limit = { ...input, id: newId('lim', now), createdAtMs: now, updatedAtMs: now }
      await store.insert(limit)
      this.#keep(limit)
      return limit
    })
  }

  /** Counting begins anew. Rejects as `create`. */
  replace(id: string, input: LimitInput): Promise<Limit> {
    return this.#inTurn(async () => {
      const { createdAtMs } = this.get(id)
      const limit = { ...input, id, createdAtMs, updatedAtMs: this.#options.clock.now() }
      await this.#options.store.update(limit)
      this.#keep(limit)
      return limit
    })
  }

  remove(id: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.store.remove(this.get(id).id)
      this.#counters.delete(id)
      this.#refresh()
    })
  }

  /**
   * Asks every limit that is for this call; where one refuses, none counts it. Undefined where there is no limit.
   * Nothing may be recorded or held for a call that is refused.
   */
  admit(call: LimitedCall): Admission | Limited | undefined {
    if (this.#active.length === 0) return undefined
    const nowUs = Math.floor(this.#options.clock.monotonicMs() * 1000)
    const asked: Asked[] = []
    let held: { readonly limit: Limit; readonly hold: Hold } | undefined
    for (const counter of this.#of(call)) {
      if (!counter.isFor(call)) continue
      const bucket = counter.bucketOf(call, nowUs)
      asked.push({ counter, bucket })
      const hold = counter.hold(bucket, nowUs)
      if (hold && (held?.hold.waitUs ?? 0) <= hold.waitUs) held = { limit: counter.limit, hold }
    }
    if (asked.length === 0) return undefined
    if (!held) for (const { counter, bucket } of asked) counter.take(bucket, nowUs, call.requestBytes)
    const state = tightest(asked, nowUs)
    if (held) {
      this.#options.onRefused?.(held.limit)
      return { error: refusalOf(held.limit, held.hold), state }
    }
    return new Admitted(asked, state, this.#options.clock)
  }

  /** Those whose globs match; the same few questions come again and again. */
  #of(call: LimitedCall): readonly LimitCounter[] {
    const { server, method, tool = '' } = call
    const known = this.#matching.get(server)?.get(method)?.get(tool)
    if (known) return known
    const own = this.#active.filter((counter) => counter.isOf(call))
    if (this.#remembered++ >= maxRemembered) this.#forgetMatching()
    const ofServer = this.#matching.get(server) ?? new Map<string, Map<string, readonly LimitCounter[]>>()
    const ofMethod = ofServer.get(method) ?? new Map<string, readonly LimitCounter[]>()
    this.#matching.set(server, ofServer.set(method, ofMethod.set(tool, own)))
    return own
  }

  #keep(limit: Limit): void {
    this.#counters.set(limit.id, new LimitCounter(limit))
    this.#refresh()
  }

  #refresh(): void {
    this.#active = [...this.#counters.values()].filter(({ limit }) => limit.active)
    this.#forgetMatching()
  }

  #forgetMatching(): void {
    this.#matching.clear()
    this.#remembered = 0
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

/** What is used up comes first, then calls, then bytes: of those nobody knows how many the next call takes. */
function tightest(asked: readonly Asked[], nowUs: number): LimitState | undefined {
  let found: Asked | undefined
  let unit: LimitState['unit'] = 'calls'
  let least = Infinity
  for (const one of asked) {
    const left = one.counter.callsLeft(one.bucket, nowUs)
    if (left !== undefined && left < least) [found, least] = [one, left]
  }
  for (const one of least > 0 ? asked : []) {
    const left = one.counter.bytesLeft(one.bucket, nowUs)
    if (left === undefined || (found && unit === 'calls' && left > 0)) continue
    if (!found || left === 0 || left < least) [found, least, unit] = [one, left, 'bytes']
  }
  return found?.counter.stateOf(unit, found.bucket, nowUs, least)
}

/** One sentence that a model can act on. */
function refusalOf({ name, per, ...limit }: Limit, { over, waitUs }: Hold): GatewayError {
  const whom = per.length === 0 ? 'for all calls together' : `for each ${per.join(' and ')}`
  const retryAfterS = over === 'concurrent' ? 1 : Math.max(1, Math.ceil(waitUs / 1_000_000))
  const again = `Try again in ${retryAfterS} s.`
  const detail = {
    rate: `The limit ${name} is ${limit.rate?.calls} calls in ${limit.rate?.seconds} s ${whom}. ${again}`,
    bandwidth: `The limit ${name} is ${limit.bandwidth?.bytes} bytes in ${limit.bandwidth?.seconds} s ${whom}. ${again}`,
    concurrent: `The limit ${name} lets ${limit.concurrent} calls run at once ${whom}. Wait until one has ended, then try again.`,
  }[over]
  return new GatewayError('rate_limited', { detail, retryAfterS, data: { limit: name } })
}
