// One exchange with a server that wants an access token: it waits for the token, and is sent again once if that is refused.
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../upstream.ts'
import { ConsentNeeded, readChallenge } from './authorization-server.ts'
import type { TokenSource } from './token-source.ts'

/** Begins the exchange with this token. */
type Start = (token: string, sink: UpstreamSink) => UpstreamExchange

const unauthorized = 401
const forbidden = 403

/** The scopes of a challenge that says that they are missing (RFC 6750, 3.1). */
function wantedScope(challenge = ''): string | undefined {
  const parameters = readChallenge(challenge)
  return parameters.error === 'insufficient_scope' ? (parameters.scope ?? '') : undefined
}

/**
 * A request that the server answered with 401 was not carried out, so it may be sent again with a new token (RFC 6750,
 * 3.1; RFC 9110, 15.5.2): once, and only where the refused token was not made for it.
 */
export class AuthorizedExchange implements UpstreamExchange, UpstreamSink {
  readonly #tokens: TokenSource
  readonly #start: Start
  readonly #sink: UpstreamSink
  #inner: UpstreamExchange | undefined
  #token = ''
  #fresh = false
  #paused = false
  #over = false

  constructor(tokens: TokenSource, start: Start, sink: UpstreamSink) {
    this.#tokens = tokens
    this.#start = start
    this.#sink = sink
    const { current } = tokens
    if (current === undefined) this.#renew()
    else this.#begin(current)
  }

  abort(): void {
    this.#over = true
    this.#inner?.abort()
  }

  pause(): void {
    this.#paused = true
    this.#inner?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#inner?.resume()
  }

  head(head: UpstreamHead): void {
    if (head.status !== unauthorized) {
      this.#tokens.accept(this.#token)
      const scope = head.status === forbidden ? wantedScope(head.challenge) : undefined
      if (scope === undefined || !this.#tokens.wantMore(scope)) return this.#sink.head(head)
      this.abort()
      const cause = new ConsentNeeded()
      return this.#sink.fail({ stage: 'handshake', message: cause.message, sent: true, cause })
    }
    this.#tokens.refuse(this.#token)
    if (this.#fresh) return this.#sink.head(head)
    this.#inner?.abort()
    this.#inner = undefined
    this.#renew()
  }

  message(message: UpstreamMessage): void {
    this.#sink.message(message)
  }

  end(): void {
    this.#sink.end()
  }

  fail(failure: UpstreamFailure): void {
    this.#sink.fail(failure)
  }

  #renew(): void {
    this.#fresh = true
    this.#tokens.get().then(
      (token) => {
        if (!this.#over) this.#begin(token)
      },
      (error: Error) => {
        if (this.#over) return
        this.#over = true
        this.#sink.fail({ stage: 'connect', message: error.message, sent: false, cause: error })
      },
    )
  }

  #begin(token: string): void {
    this.#token = token
    this.#inner = this.#start(token, this)
    if (this.#paused) this.#inner.pause()
  }
}
