// All limits of this node: kept in the store, counted in memory, asked before a call may run.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { newId } from '../../base/id.ts'
import { LimitCounter, type Bucket, type LimitState } from './counter.ts'
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

/** Different calls whose limits are remembered. */
const maxRemembered = 10_000

export class Limits {
  readonly #options: LimitsOptions
  readonly #counters = new Map<string, LimitCounter>()
  /** Those that are active. */
  #active: readonly LimitCounter[] = []
  /** Active ones by server, method and tool. */
  readonly #matching = new Map<string, readonly LimitCounter[]>()
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
    let refusal: { counter: LimitCounter; waitUs: number | undefined } | undefined
    for (const counter of this.#of(call)) {
      if (!counter.isFor(call)) continue
      const bucket = counter.bucketOf(call, nowUs)
      asked.push({ counter, bucket })
      const waitUs = counter.waitUs(bucket, nowUs)
      if (waitUs !== 0 && (refusal?.waitUs ?? 0) <= (waitUs ?? 0)) refusal = { counter, waitUs }
    }
    if (asked.length === 0) return undefined
    if (!refusal) for (const { counter, bucket } of asked) counter.take(bucket, nowUs)
    const state = tightest(asked, nowUs)
    if (refusal) {
      const { limit } = refusal.counter
      this.#options.onRefused?.(limit)
      return { error: refusalOf(limit, refusal.waitUs), state }
    }
    let released = false
    const release = (): void => {
      if (!released) for (const { bucket } of asked) bucket.running--
      released = true
    }
    return { state, release }
  }

  /** Those whose globs match; the same few questions come again and again. */
  #of(call: LimitedCall): readonly LimitCounter[] {
    const key = `${call.server} ${call.method} ${call.tool ?? ''}`
    const known = this.#matching.get(key)
    if (known) return known
    const own = this.#active.filter((counter) => counter.isOf(call))
    if (this.#matching.size >= maxRemembered) this.#matching.clear()
    this.#matching.set(key, own)
    return own
  }

  #keep(limit: Limit): void {
    this.#counters.set(limit.id, new LimitCounter(limit))
    this.#refresh()
  }

  #refresh(): void {
    this.#active = [...this.#counters.values()].filter(({ limit }) => limit.active)
    this.#matching.clear()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

function tightest(asked: readonly Asked[], nowUs: number): LimitState | undefined {
  let least: LimitState | undefined
  for (const { counter, bucket } of asked) {
    const state = counter.stateOf(bucket, nowUs)
    if (state && (!least || state.remaining < least.remaining)) least = state
  }
  return least
}

/** One sentence that a model can act on. */
function refusalOf({ name, per, rate, concurrent }: Limit, waitUs: number | undefined): GatewayError {
  const whom = per.length === 0 ? 'for all calls together' : `for each ${per.join(' and ')}`
  if (waitUs === undefined)
    return new GatewayError('rate_limited', {
      detail: `The limit ${name} lets ${concurrent} calls run at once ${whom}. Wait until one has ended, then try again.`,
      retryAfterS: 1,
      data: { limit: name },
    })
  const retryAfterS = Math.max(1, Math.ceil(waitUs / 1_000_000))
  return new GatewayError('rate_limited', {
    detail: `The limit ${name} is ${rate?.calls} calls in ${rate?.seconds} s ${whom}. Try again in ${retryAfterS} s.`,
    retryAfterS,
    data: { limit: name },
  })
}
