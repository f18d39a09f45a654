// Everybody who listens on one conversation, and what each of them hears of the server's changes.
import type { ListenFilter } from '../../eras/change-filter.ts'
import {
  acknowledged,
  changeKey,
  forListener,
  honoured,
  isHeard,
  listenClosed,
  missedChanges,
} from '../../eras/modern-client-legacy-server/listening.ts'
import type { Json } from '../../eras/json-object.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import type { Round, RoundOwner } from './round.ts'
import { openingFailure, type LegacySession } from './session.ts'
import { Subscriptions } from './subscriptions.ts'

export interface ListenersOptions {
  readonly session: () => Promise<LegacySession>
  /** The session as it stands. */
  readonly current: () => LegacySession | undefined
  /** Opens the stream of the server's own messages; false where the server has none. */
  readonly openStream: (session: LegacySession) => Promise<boolean>
  /** Attempts in a row to get back to a server that was lost; then the listeners' streams end. */
  readonly maxAttempts: number
  /** Nobody listens any more. */
  readonly onNobody: () => void
}

const firstPauseMs = 250
const maxPauseMs = 5000

/** One listener. Changes that come before its acknowledgement, or while it does not read, wait once each. */
class Listener implements RoundOwner {
  readonly round: Round<JsonRpcRequest>
  readonly #gone: (listener: Listener) => void
  readonly #waiting = new Map<string, JsonRpcMessage>()
  /** URIs that were counted for it. */
  uris: readonly string[] = []
  filter: ListenFilter = {}
  #ready = false

  constructor(round: Round<JsonRpcRequest>, gone: (listener: Listener) => void) {
    this.round = round
    this.#gone = gone
    round.owner = this
  }

  acknowledge(filter: ListenFilter): void {
    this.filter = filter
    this.round.deliver(acknowledged(this.round.request.id, filter))
    this.#ready = true
    this.#flush()
  }

  hear(change: JsonRpcMessage): void {
    if (!isHeard(change, this.filter)) return
    this.#waiting.set(changeKey(change), change)
    this.#flush()
  }

  onAbort(): void {
    this.#gone(this)
  }

  setPaused(): void {
    this.#flush()
  }

  #flush(): void {
    if (!this.#ready) return
    for (const [key, change] of this.#waiting) {
      if (this.round.paused) return
      this.#waiting.delete(key)
      if (isHeard(change, this.filter)) this.round.deliver(forListener(change, this.round.request.id))
    }
  }
}

export class Listeners {
  readonly #options: ListenersOptions
  readonly #listeners = new Set<Listener>()
  readonly #subscriptions = new Subscriptions()
  #timer: NodeJS.Timeout | undefined
  #attempts = 0

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#listeners.size
  }

  /** Resources that are subscribed to at the server. */
  get subscribed(): number {
    return this.#subscriptions.size
  }

  /** Begins a subscription; its round is acknowledged once the server's part is arranged. */
  async add(round: Round<JsonRpcRequest>, wanted: ListenFilter): Promise<void> {
    const listener = new Listener(round, (gone) => this.#remove(gone))
    this.#listeners.add(listener)
    try {
      const session = await this.#options.session()
      if (round.silent) return
      listener.acknowledge(await this.#arrange(listener, session, wanted))
    } catch (error) {
      this.#remove(listener)
      round.fail(openingFailure(error))
    }
  }

  hear(change: JsonRpcMessage): void {
    for (const listener of this.#listeners) listener.hear(change)
  }

  /** Something may have been missed: being told of a change that was none harms nobody. */
  announceAll(): void {
    for (const listener of this.#listeners)
      for (const change of missedChanges(listener.filter)) listener.hear(change)
  }

  /** The session was lost; whoever listens goes on in a new one. */
  onLost(): void {
    if (this.#listeners.size === 0 || this.#timer) return
    const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** this.#attempts)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#renew()
    }, pauseMs).unref()
  }

  /** Ends every subscription as a server does that closes ("Graceful Closure"). */
  closeAll(serverInfo: Json | undefined): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    this.#subscriptions.clear()
    for (const { round } of listeners)
      round.finish({ status: 200, message: listenClosed(round.request.id, serverInfo) })
  }

  /** Subscribes and opens the stream; answers what the listener will hear. */
  async #arrange(listener: Listener, session: LegacySession, wanted: ListenFilter): Promise<ListenFilter> {
    const { resourceSubscriptions = [], ...lists } = honoured(wanted, session.server.capabilities)
    if (resourceSubscriptions.length === 0 && Object.keys(lists).length === 0) return {}
    if (!(await this.#options.openStream(session)) || listener.round.silent) return {}
    listener.uris = resourceSubscriptions
    // What changes from here on is already theirs to hear.
    listener.filter = { ...lists, resourceSubscriptions }
    const subscribed = await Promise.all(
      resourceSubscriptions.map((uri) => this.#subscriptions.add(session, uri)),
    )
    const own = resourceSubscriptions.filter((_, i) => subscribed[i])
    return { ...lists, ...(own.length > 0 && { resourceSubscriptions: own }) }
  }

  #remove(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return
    const session = this.#options.current()
    for (const uri of listener.uris) this.#subscriptions.remove(session, uri)
    if (this.#listeners.size === 0) this.#options.onNobody()
  }

  async #renew(): Promise<void> {
    try {
      const session = await this.#options.session()
      await Promise.all([this.#subscriptions.renew(session), this.#options.openStream(session)])
      this.#attempts = 0
      this.announceAll()
    } catch {
      this.#attempts++
      if (this.#attempts < this.#options.maxAttempts) return this.onLost()
      this.#attempts = 0
      this.closeAll(undefined)
    }
  }
}
