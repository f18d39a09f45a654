// What servers are and offer: fresh handshakes on demand, and a short-lived memory of them.
import { GatewayError } from '../base/errors.ts'
import type { Server } from '../registry/server.ts'
import { isPersonal, personOf, type UpstreamCaller } from './caller.ts'
import { shakeHands, type Handshake, type HandshakeOptions } from './handshake.ts'
import type { Upstreams } from './pool.ts'

export interface CataloguesOptions extends HandshakeOptions {
  readonly upstreams: Upstreams
  /** How long a catalogue is remembered; a failure for 2 s at most. */
  readonly ttlMs?: number
}

interface Entry {
  readonly revision: number
  readonly handshake: Promise<Handshake>
  /** Infinite while the handshake runs. */
  expiresAtMs: number
}

const failureTtlMs = 2000
/** More than there are servers; those of single callers are forgotten first come, first gone. */
const maxEntries = 20_000

/** A server that is told who calls may offer each something else. */
const keyOf = (server: Server, caller: UpstreamCaller | undefined): string =>
  caller && isPersonal(server) ? `${server.id} ${personOf(caller)}` : server.id

/**
 * Catalogues by server and revision. They are made with the server's own credential, the same for every caller, so
 * one may be shown to all who may see the server; but for servers that are told who calls, where each caller has its own.
 */
export class Catalogues {
  readonly #options: CataloguesOptions
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<(server: Server, handshake: Handshake) => void>()

  constructor(options: CataloguesOptions) {
    this.#options = options
  }

  /** A handshake now (`test-connection`), which also becomes the remembered one. Never rejects for the server's faults. */
  test(server: Server, caller?: UpstreamCaller): Promise<Handshake> {
    const { clock, ttlMs = 60_000 } = this.#options
    const handshake = this.#visit(server, caller)
    const key = keyOf(server, caller)
    const entry: Entry = { revision: server.revision, handshake, expiresAtMs: Infinity }
    this.#keep(key, entry)
    handshake.then(
      ({ ok }) => {
        entry.expiresAtMs = clock.monotonicMs() + (ok ? ttlMs : Math.min(ttlMs, failureTtlMs))
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key)
      },
    )
    return handshake
  }

  /** The remembered handshake, or a new one; whoever asks meanwhile waits for the same. */
  get(server: Server, caller?: UpstreamCaller): Promise<Handshake> {
    const entry = this.#entries.get(keyOf(server, caller))
    const usable =
      entry && entry.revision === server.revision && entry.expiresAtMs > this.#options.clock.monotonicMs()
    return usable ? entry.handshake : this.test(server, caller)
  }

  /** Hears of each handshake. */
  onHandshake(listener: (server: Server, handshake: Handshake) => void): void {
    this.#listeners.add(listener)
  }

  /** Forgets a server: it was removed, or said that its tools changed. */
  invalidate(serverId: string): void {
    for (const key of this.#entries.keys())
      if (key === serverId || key.startsWith(`${serverId} `)) this.#entries.delete(key)
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > maxEntries && oldest !== undefined) this.#entries.delete(oldest)
  }

  async #visit(server: Server, caller: UpstreamCaller | undefined): Promise<Handshake> {
    const handshake = await this.#attempt(server, caller)
    for (const listener of this.#listeners) listener(server, handshake)
    return handshake
  }

  async #attempt(server: Server, caller: UpstreamCaller | undefined): Promise<Handshake> {
    let upstream
    try {
      upstream = this.#options.upstreams.open(server, { caller })
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      const stage = error.code === 'egress_denied' ? 'egress' : 'connect'
      return { ok: false, tools: [], latencyMs: 0, error: { stage, message: error.message } }
    }
    try {
      return await shakeHands(upstream, server, this.#options)
    } finally {
      await upstream.close()
    }
  }
}
