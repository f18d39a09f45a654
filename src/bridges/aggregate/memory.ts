// What members have listed lately, bounded in bytes: shown while a member is down, and for the further pages of a list.
import type { Clock } from '../../base/clock.ts'
import type { Server } from '../../registry/server.ts'

/** What is remembered, and for whom. */
export interface MemoryKey {
  readonly server: Server
  readonly method: string
  /** Whose answer it is: another caller's is never shown, unless its server says that it is public. */
  readonly principalTag: string
}

interface Entry {
  readonly serverId: string
  readonly value: unknown
  readonly bytes: number
  readonly keptAtMs: number
  /** The member has said since that it changed. */
  outdated: boolean
}

export interface AggregateMemoryOptions {
  readonly clock: Clock
  readonly maxBytes: number
}

/** One for all aggregates. What was used longest ago goes first. */
export class AggregateMemory {
  readonly #options: AggregateMemoryOptions
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor(options: AggregateMemoryOptions) {
    this.#options = options
  }

  get sizes(): { entries: number; bytes: number } {
    return { entries: this.#entries.size, bytes: this.#bytes }
  }

  /** The last good answer, not older than `maxAgeMs`; with `current`, only while the member has not said that it changed. */
  find(key: MemoryKey, { maxAgeMs, current }: { maxAgeMs: number; current: boolean }): unknown {
    const oldestMs = this.#options.clock.monotonicMs() - maxAgeMs
    for (const name of [nameOf(key, key.principalTag), nameOf(key, undefined)]) {
      const entry = this.#entries.get(name)
      if (!entry || entry.keptAtMs < oldestMs || (current && entry.outdated)) continue
      this.#entries.delete(name)
      this.#entries.set(name, entry)
      return entry.value
    }
    return undefined
  }

  /** `bytes` is what the value costs; one that is larger than the whole memory is not kept. */
  keep(key: MemoryKey, value: unknown, { bytes, isPublic }: { bytes: number; isPublic: boolean }): void {
    const name = nameOf(key, isPublic ? undefined : key.principalTag)
    this.#remove(name)
    // A server that has stopped to be public is believed at once, and one that has begun to be keeps one copy.
    this.#remove(nameOf(key, isPublic ? key.principalTag : undefined))
    if (bytes > this.#options.maxBytes) return
    const keptAtMs = this.#options.clock.monotonicMs()
    this.#entries.set(name, { serverId: key.server.id, value, bytes, keptAtMs, outdated: false })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#options.maxBytes) return
      this.#remove(oldest)
    }
  }

  /** The server says that it changed: what is kept only stands in for it while it is down. */
  outdate(serverId: string): void {
    for (const entry of this.#entries.values()) if (entry.serverId === serverId) entry.outdated = true
  }

  /** The server is gone. */
  forget(serverId: string): void {
    for (const [name, entry] of this.#entries) if (entry.serverId === serverId) this.#remove(name)
  }

  #remove(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    this.#entries.delete(name)
    this.#bytes -= entry.bytes
  }
}

const nameOf = ({ server, method }: MemoryKey, principalTag: string | undefined): string =>
  JSON.stringify([server.id, server.revision, method, principalTag ?? null])
