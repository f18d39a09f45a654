// A link that is made when what it needs has come: a child or connection whose registration refers to secrets.
import { GatewayError } from '../../base/errors.ts'
import type { Link, LinkEnd, LinkEvents, LinkOpening, LinkRefusal } from '../link.ts'
import type { UpstreamRequest } from '../upstream.ts'

type Told = Parameters<Link['write']>[1]

const closed: LinkEnd = { stage: 'connect', message: 'The connection was closed.' }

export class LateLink<Needed> implements Link {
  readonly #events: LinkEvents
  readonly #ended = Promise.withResolvers<void>()
  #inner: Link | undefined
  #paused = false
  #over = false

  /** Makes the link out of what `ready` resolves to; a rejection's message is the reason of its end. */
  constructor(
    ready: Promise<Needed>,
    make: (needed: Needed, events: LinkEvents) => Link,
    events: LinkEvents,
  ) {
    this.#events = events
    ready.then(
      (needed) => this.#begin(needed, make),
      (error: Error) =>
        this.#finish({ stage: 'connect', message: error.message, cause: error, untried: true }),
    )
  }

  get opening(): LinkOpening | undefined {
    return this.#inner ? this.#inner.opening : { stage: 'connect', awaited: 'the secrets that it refers to' }
  }

  get alive(): boolean {
    return this.#inner ? this.#inner.alive : !this.#over
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  write(request: UpstreamRequest, told: Told): LinkRefusal | undefined {
    if (!this.#inner) return { ...closed, gone: true }
    return this.#inner.write(request, told)
  }

  pause(): void {
    this.#paused = true
    this.#inner?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#inner?.resume()
  }

  close(end: LinkEnd): void {
    if (this.#inner) this.#inner.close(end)
    else this.#finish(end)
  }

  killNow(): void {
    if (this.#inner) this.#inner.killNow()
    else this.#finish(closed)
  }

  #begin(needed: Needed, make: (needed: Needed, events: LinkEvents) => Link): void {
    if (this.#over) return
    try {
      this.#inner = make(needed, this.#events)
    } catch (error) {
      const denied = error instanceof GatewayError && error.code === 'egress_denied'
      const message = error instanceof GatewayError ? error.message : 'The connection cannot be opened.'
      return this.#finish({ stage: denied ? 'egress' : 'connect', message, cause: error })
    }
    this.#inner.ended.then(this.#ended.resolve, this.#ended.resolve)
    if (this.#paused) this.#inner.pause()
    // Some links take messages at once.
    if (!this.#inner.opening) this.#events.opened()
  }

  #finish(end: LinkEnd): void {
    if (this.#over) return
    this.#over = true
    this.#ended.resolve()
    this.#events.gone(end)
  }
}
