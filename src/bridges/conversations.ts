// The conversations that are open with legacy servers on behalf of modern callers, each shared by its callers.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'

/** What the pool needs of a conversation. */
export interface Conversation {
  /** Whether somebody would miss it now. */
  readonly busy: boolean
  close(): Promise<void>
}

/** What a conversation is for; `closeWhere` and `retire` choose by it. */
export interface ConversationTag {
  readonly serverId: string
  /** Of the server's registration. */
  readonly revision: number
  /** Whose it is; undefined where the whole server shares it. */
  readonly userId?: string
}

export interface ConversationsOptions {
  readonly clock: Clock
  /** Open at a time, draining ones included. */
  readonly maxOpen: number
  /** Unused for so long, a conversation is closed. */
  readonly idleMs: number
}

interface Entry<C> {
  readonly key: string
  readonly tag: ConversationTag
  readonly conversation: C
  usedAtMs: number
}

/** By a key that the caller makes; the order of the entries is the order of their last use. */
export class Conversations<C extends Conversation> {
  readonly #options: ConversationsOptions
  readonly #open = new Map<string, Entry<C>>()
  /** No longer handed out; closed when the last of their callers is done. */
  readonly #draining = new Set<Entry<C>>()
  readonly #closing = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: ConversationsOptions) {
    this.#options = options
  }

  /**
   * The conversation of this key, made where there is none. Throws `overloaded` where as many are open as may be and
   * all of them are in use, `shutting_down` after `closeAll`.
   */
  get(key: string, tag: ConversationTag, make: () => C): C {
    if (this.#closed) throw new GatewayError('shutting_down')
    const known = this.#open.get(key)
    if (known) {
      this.#touch(known)
      return known.conversation
    }
    if (this.#open.size + this.#draining.size >= this.#options.maxOpen) this.#makeRoom()
    const entry = { key, tag, conversation: make(), usedAtMs: this.#options.clock.monotonicMs() }
    this.#open.set(key, entry)
    this.#watch()
    return entry.conversation
  }

  counts(): { open: number; busy: number; draining: number } {
    let busy = 0
    for (const { conversation } of this.#open.values()) if (conversation.busy) busy++
    return { open: this.#open.size, busy, draining: this.#draining.size }
  }

  /** The server has a newer revision, or is gone (`Infinity`): older conversations end with their last caller. */
  retire(serverId: string, revision: number): void {
    for (const entry of this.#open.values()) {
      if (entry.tag.serverId !== serverId || entry.tag.revision >= revision) continue
      this.#open.delete(entry.key)
      if (entry.conversation.busy) this.#draining.add(entry)
      else this.#close(entry)
    }
    this.#watch()
  }

  /** Closes at once what the tag is chosen of; callers' requests fail. Resolves when the servers have been told. */
  async closeWhere(isChosen: (tag: ConversationTag) => boolean): Promise<void> {
    for (const entry of [...this.#open.values(), ...this.#draining])
      if (isChosen(entry.tag)) this.#close(entry)
    await Promise.all(this.#closing)
  }

  /** Closes everything; nothing is opened any more. */
  async closeAll(): Promise<void> {
    this.#closed = true
    await this.closeWhere(() => true)
  }

  /** Closes what has been idle for too long, and what is drained; runs by itself. */
  sweep(): void {
    const { clock, idleMs } = this.#options
    const now = clock.monotonicMs()
    for (const entry of this.#draining) if (!entry.conversation.busy) this.#close(entry)
    // Touching an entry moves it to the end of the map.
    for (const entry of Array.from(this.#open.values())) {
      if (entry.conversation.busy) this.#touch(entry)
      else if (entry.usedAtMs + idleMs <= now) this.#close(entry)
    }
  }

  #touch(entry: Entry<C>): void {
    entry.usedAtMs = this.#options.clock.monotonicMs()
    this.#open.delete(entry.key)
    this.#open.set(entry.key, entry)
  }

  #makeRoom(): void {
    for (const entry of [...this.#draining, ...this.#open.values()])
      if (!entry.conversation.busy) return this.#close(entry)
    throw new GatewayError('overloaded', {
      detail: 'Too many conversations with MCP servers are in use; try again shortly.',
      retryAfterS: 1,
    })
  }

  #close(entry: Entry<C>): void {
    if (this.#open.get(entry.key) === entry) this.#open.delete(entry.key)
    this.#draining.delete(entry)
    const closing: Promise<void> = entry.conversation
      .close()
      .catch(() => {})
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
    this.#watch()
  }

  /** Sweeps from time to time while there is something to sweep. */
  #watch(): void {
    const needed = this.#open.size + this.#draining.size > 0
    if (needed && !this.#timer) {
      const everyMs = Math.max(10, Math.min(1000, this.#options.idleMs / 4))
      this.#timer = setInterval(() => this.sweep(), everyMs).unref()
    }
    if (needed || !this.#timer) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
