// A legacy session's way to a server whose era is not known yet: its initialize finds out.
import { isResponse, type JsonRpcMessage } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { Upstream, UpstreamExchange, UpstreamHead, UpstreamMessage } from '../upstreams/upstream.ts'
import type { UpstreamFailure, UpstreamRequest, UpstreamSink } from '../upstreams/upstream.ts'
import { Detour } from './detour.ts'
import type { DiscoverResult } from '../upstreams/discover.ts'

export interface LegacyWayOptions {
  /** The way to the server as it stands now. */
  readonly way: () => Upstream
  /** Asks the server for its modern era; rejects where it says nothing about it. */
  readonly discover: () => Promise<DiscoverResult | false>
  /** The same server for a legacy client. */
  readonly bridge: (discovered: DiscoverResult) => Upstream
  /** The server has answered initialize. */
  readonly onLegacy: () => void
}

/**
 * Sends initialize as it came, which a legacy server answers and which harms nobody: no server is asked anything before
 * its client asks. Where it is refused, and `server/discover` is answered, the session goes over the bridge from then on.
 */
export class LegacyWay implements Upstream {
  readonly #options: LegacyWayOptions
  #bridge: Upstream | undefined

  constructor(options: LegacyWayOptions) {
    this.#options = options
  }

  get transport(): Upstream['transport'] {
    return this.#way.transport
  }

  get multiplexed(): boolean {
    return this.#way.multiplexed
  }

  get era(): Era | undefined {
    return this.#bridge?.era
  }

  get #way(): Upstream {
    return this.#bridge ?? this.#options.way()
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    if (this.#bridge || request.message.method !== 'initialize') return this.#way.send(request, sink)
    const detour = new Detour()
    const held = new HeldAnswer(sink, (verdict) => {
      if (verdict === 'legacy') this.#options.onLegacy()
      if (verdict === 'refused') void this.#tryBridge(request, held, detour)
      else held.release()
    })
    return detour.follow(this.#way.send(request, held))
  }

  listen(headers: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    return this.#way.listen(headers, sink)
  }

  endSession(headers: UpstreamRequest['headers']): Promise<number> {
    return this.#way.endSession(headers)
  }

  close(): Promise<void> {
    return this.#way.close()
  }

  async #tryBridge(request: UpstreamRequest, held: HeldAnswer, detour: Detour): Promise<void> {
    const discovered = await this.#options.discover().catch(() => false as const)
    if (detour.aborted) return
    if (discovered === false) return held.release()
    this.#bridge = this.#options.bridge(discovered)
    detour.follow(this.#bridge.send(request, held.sink))
  }
}

/** What an answer of initialize says of a server's era. A server in trouble says nothing. */
type Verdict = 'legacy' | 'refused' | 'unclear'

/** Holds the answer of an initialize back until it is clear whether it is one that a legacy server gives. */
class HeldAnswer implements UpstreamSink {
  readonly sink: UpstreamSink
  readonly #decide: (verdict: Verdict) => void
  #held: ((sink: UpstreamSink) => void)[] | undefined = []
  #decided = false
  #status = 0

  constructor(sink: UpstreamSink, decide: (verdict: Verdict) => void) {
    this.sink = sink
    this.#decide = decide
  }

  head(head: UpstreamHead): void {
    this.#status = head.status
    this.#pass((sink) => sink.head(head))
  }

  message(message: UpstreamMessage): void {
    this.#pass((sink) => sink.message(message))
    const answer = message.message
    if (answer && isResponse(answer)) this.#settle(hasInitialized(answer) ? 'legacy' : 'refused')
  }

  end(): void {
    this.#pass((sink) => sink.end())
    // A 401 is about the gateway's credential, a 5xx about the server's health.
    const refused = this.#status >= 400 && this.#status < 500 && this.#status !== 401 && this.#status !== 403
    this.#settle(refused ? 'refused' : 'unclear')
  }

  fail(failure: UpstreamFailure): void {
    this.#pass((sink) => sink.fail(failure))
    this.#settle('unclear')
  }

  /** Lets the server's own answer through, and what follows it. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const tell of held) tell(this.sink)
  }

  #pass(tell: (sink: UpstreamSink) => void): void {
    if (this.#held) this.#held.push(tell)
    else tell(this.sink)
  }

  #settle(verdict: Verdict): void {
    if (this.#decided) return
    this.#decided = true
    this.#decide(verdict)
  }
}

const hasInitialized = (answer: JsonRpcMessage): boolean =>
  typeof answer.result?.['protocolVersion'] === 'string'
