// What servers are and offer: fresh handshakes on demand, and a short-lived memory of them.
import { GatewayError } from '../base/errors.ts'
import type { Server } from '../registry/server.ts'
import { shakeHands, type Handshake, type HandshakeOptions } from './handshake.ts'
import type { Upstreams } from './pool.ts'

export interface CataloguesOptions extends HandshakeOptions {
  readonly upstreams: Upstreams
  /** How long a catalogue is remembered; a failure for 2 s at most. */
  readonly ttlMs?: number
  /** Hears of each handshake, for the registry's status. */
  readonly onHandshake?: (server: Server, handshake: Handshake) => void
}

interface Entry {
  readonly revision: number
  readonly handshake: Promise<Handshake>
  /** Infinite while the handshake runs. */
  expiresAtMs: number
}

const failureTtlMs = 2000

/**
 * Catalogues by server and revision. They are made with the server's own credential, the same for every caller, so
 * one may be shown to all who may see the server.
 */
export class Catalogues {
  readonly #options: CataloguesOptions
  readonly #entries = new Map<string, Entry>()

  constructor(options: CataloguesOptions) {
    this.#options = options
  }

  /** A handshake now (`test-connection`), which also becomes the remembered one. Never rejects for the server's faults. */
  test(server: Server): Promise<Handshake> {
    const { clock, ttlMs = 60_000 } = this.#options
    const handshake = this.#visit(server)
    const entry: Entry = { revision: server.revision, handshake, expiresAtMs: Infinity }
    this.#entries.set(server.id, entry)
    handshake.then(
      ({ ok }) => {
        entry.expiresAtMs = clock.monotonicMs() + (ok ? ttlMs : Math.min(ttlMs, failureTtlMs))
      },
      () => {
        if (this.#entries.get(server.id) === entry) this.#entries.delete(server.id)
      },
    )
    return handshake
  }

  /** The remembered handshake, or a new one; whoever asks meanwhile waits for the same. */
  get(server: Server): Promise<Handshake> {
    const entry = this.#entries.get(server.id)
    const usable =
      entry && entry.revision === server.revision && entry.expiresAtMs > this.#options.clock.monotonicMs()
    return usable ? entry.handshake : this.test(server)
  }

  /** Forgets a server: it was removed, or said that its tools changed. */
  invalidate(serverId: string): void {
    this.#entries.delete(serverId)
  }

  async #visit(server: Server): Promise<Handshake> {
    const handshake = await this.#attempt(server)
    this.#options.onHandshake?.(server, handshake)
    return handshake
  }

  async #attempt(server: Server): Promise<Handshake> {
    let upstream
    try {
      upstream = this.#options.upstreams.open(server)
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
