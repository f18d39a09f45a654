// The way of a session that a former process has opened, until its first message.
import { Detour } from '../bridges/detour.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamRequest,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { SessionWay } from './store.ts'

type Headers = UpstreamRequest['headers']

export interface RestoredWayOptions {
  readonly transport: Upstream['transport']
  readonly way: SessionWay
  /** The way that goes on with the server's own session; throws where there is none. */
  readonly wake: () => Upstream
  /** Opens the server's side again; undefined where that is not possible now. */
  readonly reopen: () => Promise<Upstream | undefined>
  /** The session's headers as they are once it is open again. */
  readonly refresh: (headers: Headers) => Headers
  /** How the server is spoken to, once that is known. */
  readonly era: () => Era | undefined
}

/** Nothing is opened before the client says something: of very many sessions, few come back at once. */
export class RestoredWay implements Upstream {
  readonly #options: RestoredWayOptions
  #reopening: Promise<Upstream | undefined> | undefined

  constructor(options: RestoredWayOptions) {
    this.#options = options
  }

  get transport(): Upstream['transport'] {
    return this.#options.transport
  }

  get era(): Era | undefined {
    return this.#options.era()
  }

  /** What has to be opened again may turn out to be one connection. */
  get multiplexed(): boolean {
    return this.#options.way === 'reopened'
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    if (this.#options.way === 'straight') return this.#options.wake().send(request, sink)
    return this.#later(sink, (upstream) =>
      upstream.send({ ...request, headers: this.#options.refresh(request.headers) }, sink),
    )
  }

  listen(headers: Headers, sink: UpstreamSink): UpstreamExchange {
    if (this.#options.way === 'straight') return this.#options.wake().listen(headers, sink)
    return this.#later(sink, (upstream) => upstream.listen(this.#options.refresh(headers), sink))
  }

  /** What was to be opened again went with the process that had opened it. */
  async endSession(headers: Headers): Promise<number> {
    return this.#options.way === 'straight' ? this.#options.wake().endSession(headers) : 200
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #later(sink: UpstreamSink, use: (upstream: Upstream) => UpstreamExchange): UpstreamExchange {
    const detour = new Detour()
    this.#reopening ??= this.#options.reopen().finally(() => (this.#reopening = undefined))
    void this.#reopening.then((upstream) => {
      if (detour.aborted) return
      if (upstream) detour.follow(use(upstream))
      else sink.fail(notOpened)
    })
    return detour
  }
}

const notOpened: UpstreamFailure = {
  stage: 'process',
  message: 'the server could not be opened again for a session of before the restart',
  sent: false,
}
