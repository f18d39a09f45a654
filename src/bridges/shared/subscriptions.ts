// Which tenants of a shared session follow which resource: the server is asked by the first and told by the last.
import type { Json } from '../../eras/json-object.ts'
import type { Caller } from './exchange.ts'
import { done, isDone, refusal, type OwnAnswer } from './answer.ts'

export interface SubscriptionsOptions {
  /** Asks the server as the gateway itself. */
  readonly ask: (method: string, params: Json) => Promise<OwnAnswer>
  readonly max: number
  readonly maxPerCaller: number
}

interface Entry {
  readonly uri: string
  readonly callers: Set<Caller>
  /** The server has agreed, in the session that is open now. */
  held: boolean
  /** What is done for one resource is done in turn. */
  tail: Promise<unknown>
  turns: number
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #entries = new Map<string, Entry>()
  readonly #byCaller = new Map<Caller, Set<Entry>>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  async subscribe(caller: Caller, params: Json): Promise<OwnAnswer> {
    const { uri } = params
    if (typeof uri !== 'string') return noUri
    const own = this.#byCaller.get(caller) ?? new Set<Entry>()
    const known = this.#entries.get(uri)
    if (own.size >= this.#options.maxPerCaller || (!known && this.#entries.size >= this.#options.max))
      return refusal(-32603, 'There are too many subscriptions; end some and subscribe again.')
    const entry = known ?? { uri, callers: new Set(), held: false, tail: Promise.resolve(), turns: 0 }
    this.#entries.set(uri, entry)
    this.#byCaller.set(caller, own.add(entry))
    entry.callers.add(caller)
    return this.#inTurn(entry, async () => {
      if (!entry.callers.has(caller) || entry.held) return done
      const answer = await this.#options.ask('resources/subscribe', params)
      entry.held = isDone(answer)
      if (!entry.held) this.#remove(caller, entry)
      return answer
    })
  }

  /** What nobody here has subscribed to is as good as unsubscribed. */
  async unsubscribe(caller: Caller, params: Json): Promise<OwnAnswer> {
    const { uri } = params
    if (typeof uri !== 'string') return noUri
    const entry = this.#entries.get(uri)
    if (!entry?.callers.has(caller)) return done
    this.#remove(caller, entry)
    return this.#release(entry, params)
  }

  /** Who hears that this resource has changed. It may be a part of what was subscribed to (MCP, "Subscriptions"). */
  *callersOf(uri: string): Iterable<Caller> {
    const told = new Set<Caller>()
    const shortest = uri.length > maxUriLength ? uri.length - 1 : 0
    for (let end = uri.length; end > shortest; end = uri.lastIndexOf('/', end - 1))
      for (const key of [uri.slice(0, end), uri.slice(0, end + 1)])
        for (const caller of this.#entries.get(key)?.callers ?? [])
          if (!told.has(caller)) {
            told.add(caller)
            yield caller
          }
  }

  drop(caller: Caller): void {
    for (const entry of this.#byCaller.get(caller) ?? []) {
      this.#remove(caller, entry)
      void this.#release(entry, { uri: entry.uri })
    }
  }

  /** The server knows of nothing any more. */
  lost(): void {
    for (const entry of this.#entries.values()) entry.held = false
  }

  /** The session has ended for good. */
  clear(): void {
    this.#entries.clear()
    this.#byCaller.clear()
  }

  /** Subscribes to everything again, in a session that has just been opened. */
  renew(): void {
    for (const entry of this.#entries.values())
      void this.#inTurn(entry, async () => {
        if (entry.held || entry.callers.size === 0) return done
        const answer = await this.#options.ask('resources/subscribe', { uri: entry.uri })
        entry.held = isDone(answer)
        return answer
      })
  }

  #release(entry: Entry, params: Json): Promise<OwnAnswer> {
    return this.#inTurn(entry, async () => {
      if (entry.callers.size > 0 || !entry.held) return done
      entry.held = false
      return this.#options.ask('resources/unsubscribe', params)
    })
  }

  #remove(caller: Caller, entry: Entry): void {
    entry.callers.delete(caller)
    const own = this.#byCaller.get(caller)
    own?.delete(entry)
    if (own?.size === 0) this.#byCaller.delete(caller)
  }

  async #inTurn(entry: Entry, act: () => Promise<OwnAnswer>): Promise<OwnAnswer> {
    entry.turns++
    const turn = entry.tail.then(act)
    entry.tail = turn
    const answer = await turn
    entry.turns--
    if (entry.turns === 0 && entry.callers.size === 0) this.#entries.delete(entry.uri)
    return answer
  }
}

/** The parts of a longer one are not looked at. */
const maxUriLength = 4096

const noUri = refusal(-32602, 'params.uri must be the URI of a resource.')
