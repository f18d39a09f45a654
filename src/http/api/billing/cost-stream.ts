// Open streams of settled calls: one bounded queue for each client, so that a slow one costs no more than that.
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import { formatAmount } from '../../../base/money.ts'
import type { Principal } from '../../../identity/principal.ts'
import { isRevokedBy, type Revocations } from '../../../identity/revocations.ts'
import type { Settled } from '../../../sessions/settled.ts'
import { recordView } from './record.ts'

export interface CostStreamLimits {
  readonly maxStreams: number
  /** Calls that wait for one client; older ones are dropped and counted. */
  readonly maxQueued: number
  /** A comment is sent when nothing else was for so long. */
  readonly keepAliveMs: number
}

const defaultCostStreamLimits: CostStreamLimits = {
  maxStreams: 256,
  maxQueued: 1000,
  keepAliveMs: 15_000,
}

export interface CostStreamDeps {
  /** Hears of each call once its record is durable; returns how to stop listening. */
  onSettled(listener: (settled: Settled) => void): () => void
  readonly revocations: Pick<Revocations, 'onRevoked'>
  readonly clock: Clock
  readonly costStreams?: Partial<CostStreamLimits>
}

interface Scope {
  /** Calls that this account paid; of every account, where it is absent. */
  readonly accountId?: string
  readonly signal: AbortSignal
}

interface Stream {
  readonly principal: Principal
  readonly end: () => void
}

export class CostStreams {
  readonly #deps: CostStreamDeps
  readonly #limits: CostStreamLimits
  readonly #open = new Set<Stream>()
  #watching = false

  constructor(deps: CostStreamDeps) {
    this.#deps = deps
    this.#limits = { ...defaultCostStreamLimits, ...deps.costStreams }
  }

  /**
   * Server-sent events until the signal is aborted or the caller's credential ends. Throws GatewayError `overloaded`
   * where too many streams are open.
   */
  open(principal: Principal, scope: Scope): AsyncIterable<string> {
    if (this.#open.size >= this.#limits.maxStreams) throw new GatewayError('overloaded', { retryAfterS: 5 })
    this.#watchRevocations()
    return this.#events(principal, scope)
  }

  async *#events(principal: Principal, { accountId, signal }: Scope): AsyncGenerator<string> {
    const { maxQueued, keepAliveMs } = this.#limits
    const queue: Settled[] = []
    const state = { lost: 0, ended: signal.aborted, wake: () => {} }
    const end = () => {
      state.ended = true
      state.wake()
    }
    const stream = { principal, end }
    this.#open.add(stream)
    signal.addEventListener('abort', end, { once: true })
    const stop = this.#deps.onSettled((settled) => {
      if (accountId !== undefined && settled.record.accountId !== accountId) return
      if (queue.length >= maxQueued) {
        queue.shift()
        state.lost++
      }
      // Read now: by the time this is sent, other calls may have settled.
      queue.push({ record: settled.record, balance: settled.balance })
      state.wake()
    })
    try {
      yield ': connected\n\n'
      while (!state.ended) {
        if (queue.length === 0) await waitUntil(Math.min(keepAliveMs, this.#leftMs(principal)), state)
        if (this.#leftMs(principal) <= 0) return
        if (state.ended) return
        const lost = state.lost > 0 ? `event: lost\ndata: {"calls":${state.lost}}\n\n` : ''
        state.lost = 0
        yield lost + (queue.splice(0).map(eventOf).join('') || ': keep-alive\n\n')
      }
    } finally {
      stop()
      signal.removeEventListener('abort', end)
      this.#open.delete(stream)
    }
  }

  /** Once, with the first stream: routes are also made where nothing is behind them. */
  #watchRevocations(): void {
    if (this.#watching) return
    this.#watching = true
    this.#deps.revocations.onRevoked((revocation) => {
      for (const stream of this.#open) if (isRevokedBy(revocation, stream.principal)) stream.end()
    })
  }

  #leftMs({ expiresAtMs }: Principal): number {
    return expiresAtMs === undefined ? Infinity : expiresAtMs - this.#deps.clock.now()
  }
}

/** Resolves when `state.wake` is called or the time is over. */
function waitUntil(ms: number, state: { wake: () => void }): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, ms))
    state.wake = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}

function eventOf({ record, balance }: Settled): string {
  const view = recordView(record)
  const data = JSON.stringify({ ...view, balance: formatAmount(balance) })
  return `event: call\nid: ${view.id}\ndata: ${data}\n\n`
}
