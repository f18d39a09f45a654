// All open sessions of this node: opening, finding, expiring and closing them.
import { GatewayError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import { Session, type SessionOrigin } from './session.ts'
import type { SessionStore } from './store.ts'

export interface SessionLimits {
  readonly idleMs: number
  readonly absoluteMs: number
  readonly maxPerPrincipal: number
  readonly maxTotal: number
}

export interface SessionsOptions {
  readonly store: SessionStore
  readonly clock: Clock
  readonly log: Log
  readonly limits: SessionLimits
  /** Ends the server's side of a session; never rejects. */
  readonly endUpstream: (session: Session) => Promise<void>
}

export type SessionStart = Pick<SessionOrigin, 'server' | 'transport' | 'client' | 'ephemeral'>

/** How often sessions are looked at for their limits, and written down when they were used. */
const sweepMs = 1000
const flushMs = 15_000

export class Sessions {
  readonly #options: SessionsOptions
  readonly #byId = new Map<string, Session>()
  readonly #byToken = new Map<string, Session>()
  readonly #perUser = new Map<string, number>()
  #sweep: NodeJS.Timeout | undefined
  #lastFlushMs: number

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#lastFlushMs = options.clock.now()
  }

  /** Closes what a former process left open in the store, and starts the reaper. */
  async start(): Promise<void> {
    const left = await this.#options.store.closeLeftovers()
    if (left > 0) this.#options.log.info({ sessions: left }, 'sessions of the former process were closed')
    this.#sweep = setInterval(() => this.#reap(), sweepMs)
    this.#sweep.unref()
  }

  get count(): number {
    return this.#byId.size
  }

  /** Opens a session in state `created`. Rejects with `too_many_sessions` at a cap, with `store_unavailable` when it cannot be written. */
  async open(principal: Principal, from: SessionStart): Promise<Session> {
    const { clock, limits, store } = this.#options
    this.#checkCaps(principal, from.server)
    const nowMs = clock.now()
    const session = new Session({
      ...from,
      id: newId('ses', nowMs),
      token: randomToken(),
      principal,
      nowMs,
      idleMs: Math.min(limits.idleMs, from.server.timeouts.idleMs),
      expiresAtMs: nowMs + limits.absoluteMs,
    })
    this.#add(session)
    try {
      await store.insert(session)
    } catch (error) {
      this.#remove(session)
      throw error
    }
    // The credential may have been revoked, or the gateway stopped, while the row was written.
    if (!session.open) throw new GatewayError('session_not_found', { detail: 'The session was closed.' })
    return session
  }

  /** The open session with this wire token, if it is this principal's and this server's: to others it does not exist. */
  findByToken(token: string, owner: { userId: string; serverId: string }): Session | undefined {
    const session = this.#byToken.get(token)
    return session?.open && session.userId === owner.userId && session.serverId === owner.serverId
      ? session
      : undefined
  }

  findById(id: string): Session | undefined {
    return this.#byId.get(id)
  }

  touch(session: Session): void {
    session.lastActiveAtMs = this.#options.clock.now()
  }

  /** Ends a session: its calls are answered, its stream ends, the server's side is closed, the row is written. */
  async close(session: Session, as: 'closed' | 'expired' = 'closed'): Promise<void> {
    if (!session.open) return
    session.advance(as)
    this.#remove(session)
    for (const call of session.calls)
      call.abandon(new GatewayError('session_not_found', { detail: 'The session was closed.' }))
    for (const endStream of session.streams) endStream()
    await this.#options.endUpstream(session)
    await this.#options.store.update([session]).catch((error: unknown) => {
      this.#options.log.warn({ err: error, session: session.id }, 'the end of a session could not be written')
    })
  }

  /** Closes the sessions of whoever lost their credential. */
  async closeWhere(which: (session: Session) => boolean): Promise<void> {
    await Promise.all([...this.#byId.values()].filter(which).map((session) => this.close(session)))
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep)
    await this.closeWhere(() => true)
  }

  #checkCaps(principal: Principal, server: Server): void {
    const { limits } = this.#options
    const own = this.#perUser.get(principal.userId) ?? 0
    const ofServer = server.transport.type !== 'streamable-http' ? this.#countOf(server.id) : 0
    if (
      own >= limits.maxPerPrincipal ||
      this.#byId.size >= limits.maxTotal ||
      ofServer >= server.limits.maxSessions
    )
      throw new GatewayError('too_many_sessions', { retryAfterS: 10 })
  }

  #countOf(serverId: string): number {
    let count = 0
    for (const session of this.#byId.values()) if (session.serverId === serverId) count++
    return count
  }

  #add(session: Session): void {
    this.#byId.set(session.id, session)
    this.#byToken.set(session.token, session)
    this.#perUser.set(session.userId, (this.#perUser.get(session.userId) ?? 0) + 1)
  }

  #remove(session: Session): void {
    if (!this.#byId.delete(session.id)) return
    this.#byToken.delete(session.token)
    const left = (this.#perUser.get(session.userId) ?? 1) - 1
    if (left > 0) this.#perUser.set(session.userId, left)
    else this.#perUser.delete(session.userId)
  }

  #reap(): void {
    const nowMs = this.#options.clock.now()
    for (const session of this.#byId.values()) if (session.overdue(nowMs)) void this.close(session, 'expired')
    if (nowMs - this.#lastFlushMs < flushMs) return
    const used = [...this.#byId.values()].filter((session) => session.lastActiveAtMs >= this.#lastFlushMs)
    this.#lastFlushMs = nowMs
    this.#options.store.update(used).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'the use of sessions could not be written')
    })
  }
}
