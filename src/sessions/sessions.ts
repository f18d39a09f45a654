// All open sessions of this node: opening, finding, expiring and closing them.
import { GatewayError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type { OpenStream } from './open-streams.ts'
import type { Restored } from './restoring.ts'
import { hashToken } from './session-token.ts'
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
  /** Hears of each session that has ended. */
  readonly onEnded?: (session: Session) => void
}

export type SessionStart = Pick<SessionOrigin, 'server' | 'transport' | 'client' | 'ephemeral'>

/** How often sessions are looked at for their limits, and written down when they were used. */
const sweepMs = 1000
const flushMs = 15_000
/** How long what a session needs to go on may wait for that of others. */
const saveMs = 20
/** Sessions of a former process whose servers are told of their end at once. */
const endedAtOnce = 8

export class Sessions {
  readonly #options: SessionsOptions
  readonly #byId = new Map<string, Session>()
  readonly #byToken = new Map<string, Session>()
  readonly #perUser = new Map<string, number>()
  /** Sessions of a former process whose clients have not come back yet, by the hash of their tokens. */
  readonly #byHash = new Map<string, Session>()
  readonly #unsaved = new Set<Session>()
  #sweep: NodeJS.Timeout | undefined
  #save: NodeJS.Timeout | undefined
  #stopped = false
  #lastFlushMs: number

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#lastFlushMs = options.clock.now()
  }

  /** Goes on with the sessions of a former process, and starts the reaper. */
  start({ open, ended }: Restored = { open: [], ended: [] }): void {
    for (const session of open) {
      this.#add(session)
      if (session.token === '' && session.tokenHash !== undefined)
        this.#byHash.set(session.tokenHash, session)
    }
    if (open.length + ended.length > 0)
      this.#options.log.info(
        { goOn: open.length, ended: ended.length },
        'sessions of the former process were read',
      )
    void this.#endFormer([...ended])
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
    const session = this.#byToken.get(token) ?? this.#recognise(token)
    return session?.open && session.userId === owner.userId && session.serverId === owner.serverId
      ? session
      : undefined
  }

  /** Whether a client that uses this session may call it by this token. */
  isTokenOf(session: Session, token: string): boolean {
    return (this.#byToken.get(token) ?? this.#recognise(token)) === session
  }

  findById(id: string): Session | undefined {
    return this.#byId.get(id)
  }

  /** Those of all sessions. */
  *openStreams(): Generator<OpenStream> {
    for (const session of this.#byId.values()) yield* session.streams
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
    for (const stream of session.streams) stream.stop()
    session.left?.stop()
    this.#options.onEnded?.(session)
    await this.#options.endUpstream(session)
    await this.#options.store.update([session]).catch((error: unknown) => {
      this.#options.log.warn({ err: error, session: session.id }, 'the end of a session could not be written')
    })
  }

  /** Closes the sessions of whoever lost their credential. */
  async closeWhere(which: (session: Session) => boolean): Promise<void> {
    await Promise.all([...this.#byId.values()].filter(which).map((session) => this.close(session)))
  }

  /** Closes what ends with the process; what outlives it is let go of, and goes on in the next. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#sweep)
    clearTimeout(this.#save)
    const lasting = [...this.#byId.values()].filter((session) => session.lasting)
    await this.closeWhere((session) => !session.lasting)
    await Promise.all(lasting.map((session) => this.#suspend(session)))
    await this.#options.store.save(lasting).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'sessions could not be written down')
    })
  }

  /** Of its server's side only what is the gateway's own ends: connections and children. */
  async #suspend(session: Session): Promise<void> {
    if (session.busy) this.touch(session)
    for (const call of session.calls) call.abandon(new GatewayError('shutting_down', { retryAfterS: 5 }))
    for (const stream of session.streams) stream.stop()
    session.left?.stop()
    this.#remove(session)
    await session.upstream?.close().catch(() => {})
  }

  async #endFormer(ended: Session[]): Promise<void> {
    const endNext = async (): Promise<void> => {
      for (let next = ended.pop(); next && !this.#stopped; next = ended.pop()) {
        next.advance('closed')
        await this.#options.endUpstream(next)
      }
    }
    await Promise.all(Array.from({ length: endedAtOnce }, endNext))
  }

  /** The token of a session of which only its hash is known. */
  #recognise(token: string): Session | undefined {
    if (this.#byHash.size === 0) return undefined
    const hash = hashToken(token)
    const session = this.#byHash.get(hash)
    if (!session) return undefined
    this.#byHash.delete(hash)
    if (!session.open) return undefined
    session.token = token
    this.#byToken.set(token, session)
    return session
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
    if (session.token !== '') this.#byToken.set(session.token, session)
    if (session.transport === 'streamable-http') session.onChange = () => this.#saveSoon(session)
    this.#perUser.set(session.userId, (this.#perUser.get(session.userId) ?? 0) + 1)
  }

  #remove(session: Session): void {
    if (!this.#byId.delete(session.id)) return
    this.#unsaved.delete(session)
    if (session.tokenHash !== undefined) this.#byHash.delete(session.tokenHash)
    this.#byToken.delete(session.token)
    const left = (this.#perUser.get(session.userId) ?? 1) - 1
    if (left > 0) this.#perUser.set(session.userId, left)
    else this.#perUser.delete(session.userId)
  }

  #saveSoon(session: Session): void {
    if (!this.#byId.has(session.id)) return
    this.#unsaved.add(session)
    this.#save ??= setTimeout(() => {
      this.#save = undefined
      const unsaved = [...this.#unsaved]
      this.#unsaved.clear()
      this.#options.store.save(unsaved).catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'what sessions need to go on could not be written')
      })
    }, saveMs)
    this.#save.unref()
  }

  #reap(): void {
    const nowMs = this.#options.clock.now()
    for (const session of this.#byId.values()) if (session.overdue(nowMs)) void this.close(session, 'expired')
    if (nowMs - this.#lastFlushMs < flushMs) return
    for (const session of this.#byId.values()) if (session.busy) session.lastActiveAtMs = nowMs
    const used = [...this.#byId.values()].filter((session) => session.lastActiveAtMs >= this.#lastFlushMs)
    this.#lastFlushMs = nowMs
    this.#options.store.update(used).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'the use of sessions could not be written')
    })
  }
}
