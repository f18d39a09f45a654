// The sessions with servers that tenants share, by whom they are shared between.
import { GatewayError } from '../../base/errors.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import { SharedSession, type SharedSessionOptions } from './session.ts'

export interface SharedSessionsOptions {
  readonly maxSessions: number
}

export class SharedSessions {
  readonly #options: SharedSessionsOptions
  readonly #sessions = new Map<string, SharedSession>()
  #closed = false

  constructor(options: SharedSessionsOptions) {
    this.#options = options
  }

  /**
   * A way for one tenant over the session of this key, which is made where there is none. Throws `too_many_sessions`,
   * and `shutting_down` after `closeAll`.
   */
  join(
    key: string,
    tenant: { readonly id: string },
    make: () => Omit<SharedSessionOptions, 'onClosed'>,
  ): Upstream {
    if (this.#closed) throw new GatewayError('shutting_down')
    const known = this.#sessions.get(key)
    if (known) return known.join(tenant)
    if (this.#sessions.size >= this.#options.maxSessions) throw new GatewayError('too_many_sessions')
    const session: SharedSession = new SharedSession({
      ...make(),
      onClosed: () => {
        if (this.#sessions.get(key) === session) this.#sessions.delete(key)
      },
    })
    this.#sessions.set(key, session)
    return session.join(tenant)
  }

  counts(): { sessions: number; tenants: number; inFlight: number } {
    const counts = { sessions: this.#sessions.size, tenants: 0, inFlight: 0 }
    for (const session of this.#sessions.values()) {
      const { tenants, inFlight } = session.counts()
      counts.tenants += tenants
      counts.inFlight += inFlight
    }
    return counts
  }

  /** Ends the sessions whose key matches; their tenants may join again. Resolves when the servers' sides have ended. */
  async closeWhere(matches: (key: string) => boolean): Promise<void> {
    const ending = [...this.#sessions].filter(([key]) => matches(key))
    await Promise.all(ending.map(([, session]) => session.close()))
  }

  /** Ends all, and takes no more tenants. */
  closeAll(): Promise<void> {
    this.#closed = true
    return this.closeWhere(() => true)
  }
}
