// The access token of one server: asked for once however many calls want it, and renewed before it ends.
import type { Clock } from '../../base/clock.ts'
import { TokenError, type IssuedToken } from './authorization-server.ts'

export interface TokenSourceOptions {
  /** Rejects with TokenError. */
  readonly request: () => Promise<IssuedToken>
  readonly clock: Clock
  /** Hears of each token that the server refused, before another one is asked for. */
  readonly onRefused?: (token: string) => void
  /** Hears which scopes the server wants for a request; true where the user will be asked for them. */
  readonly onInsufficient?: (scope: string) => boolean
}

/** Where a token's end is not said, it is used until the server refuses it. */
const renewBeforeMs = 60_000
/** After a failure nobody asks again for this long, doubled up to `mostPauseMs`. */
const firstPauseMs = 1000
const mostPauseMs = 30_000

interface Held {
  readonly token: string
  /** The server has taken it. */
  worked: boolean
  /** It is renewed from then on, and used meanwhile. */
  readonly renewAtMs: number
  readonly endsAtMs: number
}

export class TokenSource {
  readonly #options: TokenSourceOptions
  #held: Held | undefined
  #asking: Promise<string> | undefined
  #failure: { readonly error: TokenError; readonly untilMs: number; readonly pauseMs: number } | undefined

  constructor(options: TokenSourceOptions) {
    this.#options = options
  }

  /** The token, where there is one that is good; one that ends soon is renewed in the background. */
  get current(): string | undefined {
    const nowMs = this.#options.clock.monotonicMs()
    if (!this.#held || nowMs >= this.#held.endsAtMs) return undefined
    if (nowMs >= this.#held.renewAtMs && !this.#isPausing(nowMs)) this.#ask().catch(() => {})
    return this.#held.token
  }

  /** The current token, or a new one. Rejects with TokenError; for a while after a failure, with the same at once. */
  async get(): Promise<string> {
    const { current } = this
    if (current !== undefined) return current
    if (this.#failure && this.#isPausing(this.#options.clock.monotonicMs())) throw this.#failure.error
    return this.#ask()
  }

  /** The server took this token. */
  accept(token: string): void {
    if (this.#held?.token !== token || this.#held.worked) return
    this.#held.worked = true
    this.#failure = undefined
  }

  /** The server refused this token: it is not used again. Where it never took it, the next one is waited for. */
  refuse(token: string): void {
    if (this.#held?.token !== token) return
    this.#options.onRefused?.(token)
    if (!this.#held.worked)
      this.#pause(new TokenError('The server refuses the access tokens of its authorization server.'))
    this.#held = undefined
  }

  /** The server wants more scopes than the token has. True where the user will be asked for them. */
  wantMore(scope: string): boolean {
    return this.#options.onInsufficient?.(scope) ?? false
  }

  #isPausing(nowMs: number): boolean {
    return this.#failure !== undefined && nowMs < this.#failure.untilMs
  }

  #ask(): Promise<string> {
    this.#asking ??= this.#request().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #request(): Promise<string> {
    const { request, clock } = this.#options
    const askedAtMs = clock.monotonicMs()
    try {
      const { token, expiresInS, proven = false } = await request()
      const lifeMs = expiresInS === undefined ? Infinity : Math.max(0, expiresInS) * 1000
      const endsAtMs = askedAtMs + lifeMs
      // A token that lives shorter than a minute is renewed in the last tenth of its life.
      const renewAtMs = endsAtMs - Math.min(renewBeforeMs, lifeMs / 10)
      this.#held = { token, worked: proven, endsAtMs, renewAtMs: lifeMs === Infinity ? Infinity : renewAtMs }
      return token
    } catch (thrown) {
      const error =
        thrown instanceof TokenError ? thrown : new TokenError('There is no access token.', { cause: thrown })
      this.#pause(error)
      throw error
    }
  }

  #pause(error: TokenError): void {
    const pauseMs = Math.min(mostPauseMs, (this.#failure?.pauseMs ?? firstPauseMs / 2) * 2)
    this.#failure = { error, pauseMs, untilMs: this.#options.clock.monotonicMs() + pauseMs }
  }
}
