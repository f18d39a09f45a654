// All open channels of this node: caps, limits of time, signs of life, and their ends.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Channel } from './channel.ts'
import type { Closing } from './line.ts'

export interface ChannelLimits {
  readonly maxPerPrincipal: number
  readonly maxTotal: number
  /** A connection without a session, a call or a message for so long is closed. */
  readonly idleMs: number
  readonly absoluteMs: number
}

export interface ChannelsOptions {
  readonly clock: Clock
  readonly limits: ChannelLimits
  /** How long a client may take to read what waits for it. */
  readonly stallMs?: number
}

interface Entry {
  readonly channel: Channel
  /** Of the transport: an SSE comment or a WebSocket ping. */
  readonly keepAliveMs: number
  readonly endsAtMs: number
  nextKeepAliveMs: number
}

/** How often every channel is looked at: whatever is over is closed within this time. */
const sweepMs = 1000
const usualStallMs = 120_000

export class Channels {
  readonly #options: ChannelsOptions
  readonly #entries = new Map<Channel, Entry>()
  readonly #perUser = new Map<string, number>()
  #sweep: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: ChannelsOptions) {
    this.#options = options
  }

  /** Starts looking after the channels. */
  start(): void {
    this.#sweep = setInterval(() => this.sweep(), sweepMs)
    this.#sweep.unref()
  }

  get count(): number {
    return this.#entries.size
  }

  /** Why this caller may not open another channel now. */
  fault(principal: Principal): GatewayError | undefined {
    const { limits } = this.#options
    if (this.#stopped) return new GatewayError('shutting_down', { retryAfterS: 5 })
    const own = this.#perUser.get(principal.userId) ?? 0
    if (own < limits.maxPerPrincipal && this.#entries.size < limits.maxTotal) return undefined
    return new GatewayError('too_many_sessions', { retryAfterS: 10 })
  }

  /** Takes a channel that has begun; it calls `remove` when its connection is over. */
  add(channel: Channel, keepAliveMs: number): void {
    const { clock, limits } = this.#options
    const now = clock.monotonicMs()
    this.#entries.set(channel, {
      channel,
      keepAliveMs,
      endsAtMs: now + limits.absoluteMs,
      nextKeepAliveMs: now + keepAliveMs,
    })
    const { userId } = channel.origin.target.principal
    this.#perUser.set(userId, (this.#perUser.get(userId) ?? 0) + 1)
  }

  remove(channel: Channel): void {
    if (!this.#entries.delete(channel)) return
    const { userId } = channel.origin.target.principal
    const left = (this.#perUser.get(userId) ?? 1) - 1
    if (left > 0) this.#perUser.set(userId, left)
    else this.#perUser.delete(userId)
  }

  /** Closes the channels of whoever lost their credential. */
  closeWhere(which: (principal: Principal) => boolean): void {
    for (const channel of this.#entries.keys())
      if (which(channel.origin.target.principal)) channel.close('credential')
  }

  /** Closes all, and takes no new ones. */
  stop(): void {
    this.#stopped = true
    clearInterval(this.#sweep)
    for (const channel of this.#entries.keys()) channel.close('shutdown')
  }

  /** Closes what is over, and gives the others a sign of life where it is time. */
  sweep(): void {
    const { clock } = this.#options
    const now = { wallMs: clock.now(), monotonicMs: clock.monotonicMs() }
    for (const entry of this.#entries.values()) this.#look(entry, now)
  }

  #look(entry: Entry, now: { wallMs: number; monotonicMs: number }): void {
    const { channel } = entry
    const why = this.#whyOver(entry, now)
    if (why) return channel.close(why)
    const { blockedSinceMs } = channel
    const { stallMs = usualStallMs } = this.#options
    if (blockedSinceMs !== undefined && now.monotonicMs - blockedSinceMs >= stallMs)
      return channel.terminate()
    if (now.monotonicMs < entry.nextKeepAliveMs) return
    entry.nextKeepAliveMs = now.monotonicMs + entry.keepAliveMs
    if (!channel.line.keepAlive()) channel.terminate()
  }

  #whyOver({ channel, endsAtMs }: Entry, now: { wallMs: number; monotonicMs: number }): Closing | undefined {
    const { expiresAtMs } = channel.origin.target.principal
    if (expiresAtMs !== undefined && now.wallMs >= expiresAtMs) return 'credential'
    if (channel.orphaned) return 'session'
    if (now.monotonicMs >= endsAtMs) return 'age'
    const idleMs = now.monotonicMs - channel.lastActiveMs
    return channel.idle && idleMs >= this.#options.limits.idleMs ? 'idle' : undefined
  }
}
