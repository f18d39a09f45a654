// A user's way to let the gateway use a server as them: a link, a login here, the authorization server, and back.
import { hash } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { randomToken } from '../../base/id.ts'

import type { ConsentServer, UserTokens } from './user-tokens.ts'

export interface ConsentsOptions {
  readonly tokens: Pick<UserTokens, 'depart' | 'arrive' | 'find'>
  readonly sealer: {
    seal(plaintext: string, context: string): string
    open(sealed: string, context: string): string
  }
  readonly clock: Clock
  readonly publicUrl: () => string
  /** A server that wants tokens of each user, as it is registered now. */
  readonly findServer: (id: string) => ConsentServer | undefined
}

/** The link is old, was used, is another user's, or was opened in another browser. */
export class StaleConsent extends Error {
  constructor(
    why = 'This page is too old, was used before, or was opened in another browser; ask for a new link.',
  ) {
    super(why)
  }
}

/** What the page asks. */
export interface ConsentQuestion {
  readonly link: string
  readonly server: ConsentServer
}

const linkMs = 30 * 60_000
const departureMs = 10 * 60_000
const linkContext = 'upstream-consent-link'
const departureContext = 'upstream-consent-departure'
/** Answers of authorization servers that are remembered, so that none counts twice. */
const maxUsed = 10_000

const linkShape = z.strictObject({
  serverId: z.string(),
  userId: z.string(),
  nonce: z.string(),
  endsAtMs: z.number(),
})
const departureShape = z.strictObject({
  serverId: z.string(),
  userId: z.string(),
  endsAtMs: z.number(),
  /** SHA-256 of the browser's secret. */
  browser: z.string(),
  verifier: z.string(),
  issuer: z.string(),
  nonce: z.string(),
})

const consentPath = '/oauth/upstream/start'

/**
 * A link names a server and a user and is no right by itself: whoever opens it has to log in as that user, so that nobody
 * can have somebody else's account at a server tied to their own user here (MCP, URL mode elicitation, "Phishing").
 */
export class Consents {
  readonly #options: ConsentsOptions
  readonly #used = new Map<string, number>()

  constructor(options: ConsentsOptions) {
    this.#options = options
  }

  /** Where the user says yes. */
  linkFor(serverId: string, userId: string): string {
    const { sealer, clock, publicUrl } = this.#options
    const link = { serverId, userId, nonce: randomToken(8), endsAtMs: clock.now() + linkMs }
    const text = sealer.seal(JSON.stringify(link), linkContext)
    return `${publicUrl()}${consentPath}?link=${encodeURIComponent(text)}`
  }

  /** The link to a server that this caller has not let us use; undefined where nothing is missing. */
  findMissing(serverId: string, userId: string): { url: string; server: string } | undefined {
    const server = this.#options.findServer(serverId)
    if (!server || this.#options.tokens.find(server, userId)) return undefined
    return { url: this.linkFor(serverId, userId), server: server.name }
  }

  /** What the page of a link asks. Throws StaleConsent. */
  read(link: string | undefined): ConsentQuestion {
    const { serverId } = this.#openLink(link)
    const server = this.#options.findServer(serverId)
    if (!server) throw new StaleConsent('This server is not there any more, or needs no consent.')
    return { link: link ?? '', server }
  }

  /** Where the browser of the user, who has logged in, goes next. Throws StaleConsent; rejects with TokenError. */
  async depart(link: string | undefined, by: { userId: string; browser: string }): Promise<string> {
    const { sealer, clock, tokens } = this.#options
    const { server } = this.read(link)
    const { userId } = this.#openLink(link)
    if (userId !== by.userId) throw new StaleConsent('This link is for another user; log in as that one.')
    const { url, verifier, state: nonce, issuer } = await tokens.depart(server, userId)
    const endsAtMs = clock.now() + departureMs
    const browser = browserHash(by.browser)
    const departure = { serverId: server.id, userId, endsAtMs, browser, verifier, issuer, nonce }
    const target = new URL(url)
    target.searchParams.set('state', sealer.seal(JSON.stringify(departure), departureContext))
    return target.href
  }

  /** The browser is back. Resolves with whose consent it was, and to what. Throws StaleConsent; rejects with TokenError. */
  async arrive(
    answer: URLSearchParams,
    browser: string,
  ): Promise<{ readonly server: ConsentServer; readonly userId: string }> {
    const { tokens } = this.#options
    const sealed = answer.get('state') ?? ''
    const { serverId, userId, verifier, issuer, nonce } = this.#openDeparture(sealed, browser)
    const server = this.#options.findServer(serverId)
    if (!server) throw new StaleConsent('This server is not there any more, or needs no consent.')
    this.#use(nonce)
    const departure = { url: '', verifier, issuer, state: sealed }
    await tokens.arrive(server, userId, { answer, departure })
    return { server, userId }
  }

  #openLink(text: string | undefined): z.output<typeof linkShape> {
    const link = this.#open(text ?? '', linkContext, linkShape)
    if (this.#options.clock.now() >= link.endsAtMs) throw new StaleConsent()
    return link
  }

  #openDeparture(text: string, browser: string): z.output<typeof departureShape> {
    const departure = this.#open(text, departureContext, departureShape)
    const isLate = this.#options.clock.now() >= departure.endsAtMs
    if (isLate || departure.browser !== browserHash(browser) || this.#used.has(departure.nonce))
      throw new StaleConsent()
    return departure
  }

  #open<Shape>(text: string, context: string, shape: z.ZodType<Shape>): Shape {
    try {
      return shape.parse(JSON.parse(this.#options.sealer.open(text, context)))
    } catch {
      throw new StaleConsent()
    }
  }

  /** A code is good for one exchange at its server, too; this keeps a second one from being sent at all. */
  #use(nonce: string): void {
    const nowMs = this.#options.clock.now()
    for (const [old, untilMs] of this.#used)
      if (untilMs <= nowMs || this.#used.size > maxUsed) this.#used.delete(old)
    this.#used.set(nonce, nowMs + departureMs)
  }
}

const browserHash = (secret: string): string => hash('sha256', secret, 'base64url')
