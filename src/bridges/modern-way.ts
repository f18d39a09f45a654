// One modern message's way to a server whose era is not known yet: the server is asked first.
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from '../upstreams/upstream.ts'
import type { Era } from '../wire/protocol-version.ts'
import { Detour } from './detour.ts'

/** Waits for the way, then takes it. Where the server cannot be asked, the message meets the same trouble and says so. */
export class ModernWay implements Upstream {
  readonly transport: Upstream['transport']
  readonly multiplexed = false
  readonly #found: Promise<Upstream>
  #way: Upstream | undefined

  constructor(transport: Upstream['transport'], found: Promise<Upstream>) {
    this.transport = transport
    this.#found = found
  }

  get era(): Era | undefined {
    return this.#way?.era
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    return this.#take(sink, (way) => way.send(request, sink))
  }

  listen(headers: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    return this.#take(sink, (way) => way.listen(headers, sink))
  }

  endSession(): Promise<number> {
    return Promise.resolve(405)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #take(sink: UpstreamSink, use: (way: Upstream) => UpstreamExchange): UpstreamExchange {
    const detour = new Detour()
    this.#found.then(
      (way) => {
        this.#way = way
        if (!detour.aborted) detour.follow(use(way))
      },
      (cause: unknown) => {
        const message = cause instanceof Error ? cause.message : 'there is no way to the server'
        if (!detour.aborted) sink.fail({ stage: 'connect', message, sent: false, cause })
      },
    )
    return detour
  }
}
