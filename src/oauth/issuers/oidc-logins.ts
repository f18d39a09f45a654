// Logins at another issuer: the way of a browser there and back, by OpenID Connect's authorization code flow.
import { hash } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import type { User } from '../../identity/user-store.ts'
import type { Issuers } from './issuers.ts'

/** An issuer at which people log in. */
export interface LoginProvider {
  readonly issuer: string
  /** In our paths. */
  readonly name: string
  /** For people. */
  readonly title: string
  readonly clientId: string
  readonly clientSecret?: string | undefined
  readonly scopes: readonly string[]
}

export interface OidcLoginsOptions {
  readonly providers: readonly LoginProvider[]
  readonly issuers: Pick<Issuers, 'readIdToken'>
  /** How addresses are asked: vetted, bounded. */
  readonly http: object
  readonly sealer: {
    seal(plaintext: string, context: string): string
    open(sealed: string, context: string): string
  }
  readonly clock: Clock
  /** Where a way back leads to. */
  readonly urls: { readonly session: () => string; readonly page: () => string }
}

/** Where browsers come back to that log in for a cookie, and for a page of the authorization server. */
export const oidcCallbackPath = '/api/v1/auth/oidc/callback'
export const oidcPageCallbackPath = '/oauth/login-callback'

/** What a login is for: a cookie, and then a path of ours; or the page that somebody was on. */
export type LoginGoal = { readonly returnTo: string } | { readonly page: string }

const context = 'oidc-login'
const departureMs = 10 * 60_000
const maxUsed = 10_000

const departureShape = z.strictObject({
  name: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  returnTo: z.string().optional(),
  page: z.string().optional(),
  /** SHA-256 of the browser's secret. */
  browser: z.string(),
  endsAtMs: z.number(),
})

type Departure = z.output<typeof departureShape>

/** Code with PKCE, `state` bound to the browser, `nonce`, and RFC 9207: each answer counts once, in the browser that asked. */
export class OidcLogins {
  readonly #options: OidcLoginsOptions
  readonly #used = new Map<string, number>()

  constructor(options: OidcLoginsOptions) {
    this.#options = options
  }

  list(): { readonly name: string; readonly title: string }[] {
    return this.#options.providers.map(({ name, title }) => ({ name, title }))
  }

  /** Where the browser goes. Rejects with `not_found`, or `issuer_unavailable`. */
  async depart(name: string, goal: LoginGoal, browser: string): Promise<string> {
    const provider = this.#provider(name)
    const server = await this.#discover(provider)
    const endpoint = server.authorization_endpoint
    if (endpoint === undefined || !isWebAddress(endpoint)) throw new GatewayError('issuer_unavailable')
    const nonce = oauth.generateRandomNonce()
    const verifier = oauth.generateRandomCodeVerifier()
    const departure: Departure = {
      name,
      nonce,
      verifier,
      ...('page' in goal ? goal : { returnTo: ownPath(goal.returnTo) }),
      browser: browserHash(browser),
      endsAtMs: this.#options.clock.now() + departureMs,
    }
    const url = new URL(endpoint)
    const parameters = {
      response_type: 'code',
      client_id: provider.clientId,
      redirect_uri: this.#redirectUri(departure),
      scope: [...new Set(['openid', ...provider.scopes])].join(' '),
      state: this.#options.sealer.seal(JSON.stringify(departure), context),
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }
    for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value)
    return url.href
  }

  /**
   * The browser that left for a cookie is back. Resolves with who it is, and where it wanted to go. Rejects with
   * `unauthorized` where the answer is no login, `issuer_unavailable` where the issuer cannot be asked.
   */
  async arrive(answer: URLSearchParams, browser: string): Promise<{ user: User; returnTo: string }> {
    const { user, departure } = await this.#arrive(answer, browser, ({ returnTo }) => returnTo !== undefined)
    return { user, returnTo: departure.returnTo ?? '/' }
  }

  /** As `arrive`, for the browser that left from a page; resolves with that page. */
  async arriveAtPage(answer: URLSearchParams, browser: string): Promise<{ user: User; page: string }> {
    const { user, departure } = await this.#arrive(answer, browser, ({ page }) => page !== undefined)
    return { user, page: departure.page ?? '' }
  }

  async #arrive(
    answer: URLSearchParams,
    browser: string,
    fits: (departure: Departure) => boolean,
  ): Promise<{ user: User; departure: Departure }> {
    const state = answer.get('state') ?? ''
    const departure = this.#open(state, browser)
    if (!fits(departure)) throw notLoggedIn()
    const provider = this.#provider(departure.name)
    const server = await this.#discover(provider)
    this.#use(departure.nonce)
    const idToken = await this.#exchange(server, provider, {
      answer,
      state,
      departure,
    })
    const { issuer, clientId } = provider
    const user = await this.#options.issuers.readIdToken(idToken, {
      issuer,
      clientId,
      nonce: departure.nonce,
    })
    if (!user) throw notLoggedIn()
    return { user, departure }
  }

  async #exchange(
    server: oauth.AuthorizationServer,
    provider: LoginProvider,
    given: { answer: URLSearchParams; state: string; departure: Departure },
  ): Promise<string> {
    const client: oauth.Client = { client_id: provider.clientId }
    const { clientSecret } = provider
    const proof = clientSecret === undefined ? oauth.None() : oauth.ClientSecretBasic(clientSecret)
    try {
      const parameters = oauth.validateAuthResponse(server, client, given.answer, given.state)
      const { verifier, nonce } = given.departure
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        proof,
        parameters,
        this.#redirectUri(given.departure),
        verifier,
        this.#options.http,
      )
      const told = await oauth.processAuthorizationCodeResponse(server, client, response, {
        expectedNonce: nonce,
        requireIdToken: true,
      })
      return told.id_token ?? ''
    } catch (cause) {
      throw notLoggedIn(cause)
    }
  }

  async #discover({ issuer }: LoginProvider): Promise<oauth.AuthorizationServer> {
    const url = new URL(issuer)
    try {
      const response = await oauth.discoveryRequest(url, { ...this.#options.http, algorithm: 'oidc' })
      return await oauth.processDiscoveryResponse(url, response)
    } catch (cause) {
      throw new GatewayError('issuer_unavailable', { cause })
    }
  }

  #provider(name: string): LoginProvider {
    const provider = this.#options.providers.find((each) => each.name === name)
    if (!provider) throw new GatewayError('not_found')
    return provider
  }

  #redirectUri({ page }: Departure): string {
    const { urls } = this.#options
    return page === undefined
      ? `${urls.session()}${oidcCallbackPath}`
      : `${urls.page()}${oidcPageCallbackPath}`
  }

  #open(text: string, browser: string): Departure {
    let departure: Departure
    try {
      departure = departureShape.parse(JSON.parse(this.#options.sealer.open(text, context)))
    } catch {
      throw notLoggedIn()
    }
    const isLate = this.#options.clock.now() >= departure.endsAtMs
    const isOther = departure.browser !== browserHash(browser)
    if (isLate || isOther || this.#used.has(departure.nonce)) throw notLoggedIn()
    return departure
  }

  #use(nonce: string): void {
    const nowMs = this.#options.clock.now()
    for (const [old, untilMs] of this.#used)
      if (untilMs <= nowMs || this.#used.size > maxUsed) this.#used.delete(old)
    this.#used.set(nonce, nowMs + departureMs)
  }
}

const browserHash = (secret: string): string => hash('sha256', secret, 'base64url')

const notLoggedIn = (cause?: unknown): GatewayError =>
  new GatewayError('unauthorized', {
    detail: 'This login did not work, is too old, or was begun in another browser; start again.',
    cause,
  })

/** Anything else than a path of ours leads to the front page: nobody is sent elsewhere by a link to us. */
const ownPath = (text: string): string =>
  /^\/(?![/\\])[\x21-\x7e]*$/.test(text) && !text.includes('\\') ? text : '/'

function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && local))
}
