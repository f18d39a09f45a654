// Which resources a conversation has subscribed to at its legacy server, and for how many listeners.
import type { LegacySession } from './session.ts'

interface Subscription {
  count: number
  /** What is being done about it; the next step waits for the last. Resolves with whether the server has subscribed. */
  state: Promise<boolean>
}

/** One `resources/subscribe` for all listeners of a resource, one `resources/unsubscribe` after the last of them. */
export class Subscriptions {
  readonly #byUri = new Map<string, Subscription>()

  get size(): number {
    return this.#byUri.size
  }

  /** Resolves with false where the server does not want to. */
  add(session: LegacySession, uri: string): Promise<boolean> {
    let own = this.#byUri.get(uri)
    if (!own) this.#byUri.set(uri, (own = { count: 0, state: Promise.resolve(false) }))
    own.count++
    own.state = own.state.then((done) => done || subscribe(session, uri))
    return own.state
  }

  /** `session` is undefined where there is none any more. */
  remove(session: LegacySession | undefined, uri: string): void {
    const own = this.#byUri.get(uri)
    if (!own || --own.count > 0) return
    own.state = own.state.then(async (done) => {
      if (own.count > 0) return done
      if (done) await session?.ask('resources/unsubscribe', { uri })
      if (own.count === 0 && this.#byUri.get(uri) === own) this.#byUri.delete(uri)
      return false
    })
  }

  /** Subscribes to everything again, in a new session. */
  async renew(session: LegacySession): Promise<void> {
    const renewed = [...this.#byUri].map(([uri, own]) => {
      own.state = own.state.then(() => (own.count > 0 ? subscribe(session, uri) : false))
      return own.state
    })
    await Promise.all(renewed)
  }

  clear(): void {
    this.#byUri.clear()
  }
}

async function subscribe(session: LegacySession, uri: string): Promise<boolean> {
  const answer = await session.ask('resources/subscribe', { uri })
  return answer?.result !== undefined
}
