// Failed logins: counted in a sliding window by user and address, and refused for a growing time beyond a limit.
import ipaddr from 'ipaddr.js'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'

export interface LockoutLimits {
  readonly windowMs: number
  /** Failures in the window for one user name from one address. */
  readonly maxPerUserAndAddress: number
  /** Failures in the window for one user name from anywhere. */
  readonly maxPerUser: number
  /** Failures in the window from one address, for any names. */
  readonly maxPerAddress: number
  /** The first lock's length; each further one doubles it, up to `maxLockMs`. */
  readonly lockMs: number
  readonly maxLockMs: number
  /** Counters kept; beyond this the one that has been still for the longest goes. */
  readonly maxCounters: number
}

export const defaultLockoutLimits: LockoutLimits = {
  windowMs: 60_000,
  maxPerUserAndAddress: 10,
  maxPerUser: 50,
  maxPerAddress: 100,
  lockMs: 30_000,
  maxLockMs: 900_000,
  maxCounters: 30_000,
}

interface Counter {
  failuresAtMs: number[]
  locks: number
  lockedUntilMs: number
}

/** Where a login comes from: the socket's address (or the one a trusted proxy names), and the name it tries. */
export interface Attempt {
  readonly username: string
  readonly ip: string
}

/** Works the same for names that exist and names that do not. Uses monotonic time, so a clock that is set ends no lock. */
export class Lockout {
  readonly #clock: Clock
  readonly #limits: LockoutLimits
  readonly #counters = new Map<string, Counter>()

  constructor(clock: Clock, limits: LockoutLimits = defaultLockoutLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Throws `locked_out` with `retryAfterS` while any of the attempt's counters is locked. */
  check(attempt: Attempt): void {
    const now = this.#clock.monotonicMs()
    const ends = this.#keysOf(attempt).map(([key]) => this.#counters.get(key)?.lockedUntilMs ?? 0)
    const remainingMs = Math.max(...ends) - now
    if (remainingMs > 0) throw new GatewayError('locked_out', { retryAfterS: Math.ceil(remainingMs / 1000) })
  }

  failed(attempt: Attempt): void {
    for (const [key, max] of this.#keysOf(attempt)) this.#count(key, max)
    for (const key of this.#counters.keys()) {
      if (this.#counters.size <= this.#limits.maxCounters) break
      this.#counters.delete(key)
    }
  }

  /** Forgets the failures of this name from this address; those that others made count on. */
  succeeded(attempt: Attempt): void {
    const [own] = this.#keysOf(attempt)
    if (own) this.#counters.delete(own[0])
  }

  #count(key: string, max: number): void {
    const now = this.#clock.monotonicMs()
    const { windowMs, lockMs, maxLockMs } = this.#limits
    const old = this.#counters.get(key)
    const recent = (old?.failuresAtMs ?? []).filter((atMs) => atMs > now - windowMs)
    // A name that has been quiet for four of the longest locks starts again with a short one.
    const quiet = old === undefined || now > old.lockedUntilMs + 4 * maxLockMs
    const counter: Counter = {
      failuresAtMs: [...recent, now],
      locks: quiet ? 0 : old.locks,
      lockedUntilMs: old?.lockedUntilMs ?? 0,
    }
    if (counter.failuresAtMs.length >= max) {
      counter.lockedUntilMs = now + Math.min(lockMs * 2 ** counter.locks, maxLockMs)
      counter.locks++
      counter.failuresAtMs = []
    }
    this.#counters.delete(key)
    this.#counters.set(key, counter)
  }

  #keysOf({ username, ip }: Attempt): [key: string, max: number][] {
    const name = username.toLowerCase().slice(0, 64)
    const network = networkOf(ip)
    return [
      [`both ${network} ${name}`, this.#limits.maxPerUserAndAddress],
      [`user ${name}`, this.#limits.maxPerUser],
      [`from ${network}`, this.#limits.maxPerAddress],
    ]
  }
}

/** One subscriber's addresses count as one: IPv6 by its /64. */
function networkOf(ip: string): string {
  if (!ipaddr.isValid(ip)) return 'unknown'
  const address = ipaddr.process(ip)
  return address.kind() === 'ipv6' ? address.toByteArray().slice(0, 8).join('.') : address.toString()
}
