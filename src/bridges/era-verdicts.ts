// Which eras a server speaks, as far as we have seen lately: every verdict ends, and evidence against it ends it sooner.
import type { Clock } from '../base/clock.ts'
import type { Server } from '../registry/server.ts'
import type { DiscoverResult } from '../upstreams/discover.ts'

/** What is known; a member that is absent is not known. */
export interface EraVerdict {
  /** It has answered `initialize`. */
  readonly legacy?: boolean
  /** Its discovery, or false where it has none. */
  readonly modern?: DiscoverResult | false
}

interface Entry {
  readonly revision: number
  readonly verdict: EraVerdict
  readonly expiresAtMs: number
}

export interface EraVerdictsOptions {
  readonly clock: Clock
  /** How long an answer is believed; a server that is upgraded is found out after this at the latest. */
  readonly ttlMs: number
}

const unknown: EraVerdict = {}

/** By server and revision. Registered servers are few, so the map needs no bound of its own. */
export class EraVerdicts {
  readonly #options: EraVerdictsOptions
  readonly #entries = new Map<string, Entry>()

  constructor(options: EraVerdictsOptions) {
    this.#options = options
  }

  find({ id, revision }: Server): EraVerdict {
    const entry = this.#entries.get(id)
    if (!entry || entry.revision !== revision) return unknown
    return entry.expiresAtMs > this.#options.clock.monotonicMs() ? entry.verdict : unknown
  }

  /** Adds what was just seen. The whole verdict ends with its oldest part. */
  learn(server: Server, seen: EraVerdict): void {
    const { clock, ttlMs } = this.#options
    const known = this.#entries.get(server.id)
    const now = clock.monotonicMs()
    const current = known && known.revision === server.revision && known.expiresAtMs > now ? known : undefined
    this.#entries.set(server.id, {
      revision: server.revision,
      verdict: { ...current?.verdict, ...seen },
      expiresAtMs: current?.expiresAtMs ?? now + ttlMs,
    })
  }

  /** The server behaved otherwise, or is gone. */
  forget(serverId: string): void {
    this.#entries.delete(serverId)
  }
}
