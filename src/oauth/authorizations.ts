// The way of a user through login and consent: from a client's authorization request to the redirect that answers it.
import { hash } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Logins } from '../identity/logins.ts'
import { isScope, scopeNames, type Scope } from '../identity/scopes.ts'
import { isLoopbackUri, mayRedirectTo, type Client } from './client.ts'
import type { Clients } from './clients.ts'
import type { Grants } from './grants.ts'
import { OauthError } from './oauth-error.ts'
import { readResource } from './resource.ts'

export interface AuthorizationsOptions {
  readonly clients: Clients
  readonly grants: Grants
  readonly logins: Pick<Logins, 'verifyPassword'>
  readonly keyring: Keyring
  readonly clock: Clock
  /** Our issuer identifier, and the base of the endpoints. */
  readonly publicUrl: () => string
}

/** Who asks, from which address and with which browser: a secret of its own that only its cookie holds. */
export interface Visitor {
  readonly ip: string
  readonly browser: string
  /** Hears who it is, as soon as that is known. */
  readonly onUser?: (user: { readonly id: string; readonly username: string }) => void
}

/** What a page tells its reader. */
export interface Asked {
  readonly clientName: string
  /** Who vouches for the client: the host of its metadata; absent where nobody does. */
  readonly clientHost?: string
  readonly redirectUri: string
  readonly redirectHost: string
  /** The answer goes to whatever program listens on the user's machine. */
  readonly isLoopback: boolean
  readonly resource: string
  readonly scopes: readonly Scope[]
}

export type Step =
  | { readonly kind: 'login'; readonly asked: Asked; readonly interaction: string; readonly failed: boolean }
  | {
      readonly kind: 'consent'
      readonly asked: Asked
      readonly interaction: string
      readonly username: string
    }
  | { readonly kind: 'redirect'; readonly url: string }

const interactionMs = 10 * 60_000
const sealContext = 'oauth-interaction'

const interactionShape = z.strictObject({
  id: z.string(),
  endsAtMs: z.number(),
  /** SHA-256 of the browser's secret: the pages of one browser are of no use in another. */
  browser: z.string(),
  clientId: z.string(),
  clientName: z.string(),
  clientHost: z.string().optional(),
  redirectUri: z.string(),
  state: z.string().optional(),
  resource: z.string(),
  scopes: z.array(z.enum(scopeNames)),
  challenge: z.string(),
  user: z.strictObject({ id: z.string(), username: z.string() }).optional(),
})
type Interaction = z.output<typeof interactionShape>

type Params = Readonly<Record<string, string | undefined>>

export class Authorizations {
  readonly #options: AuthorizationsOptions

  constructor(options: AuthorizationsOptions) {
    this.#options = options
  }

  /**
   * Takes an authorization request (RFC 6749, section 4.1.1). Where the client or its redirect URI is not known, rejects
   * with OauthError, to be shown to the user and never to be redirected; other faults go back to the client.
   */
  async begin(params: Params, visitor: Visitor): Promise<Step> {
    const { client_id: clientId, redirect_uri: redirectUri } = params
    if (clientId === undefined) throw new OauthError('invalid_request', 'The link lacks client_id.')
    const client = await this.#options.clients.get(clientId, visitor)
    if (redirectUri === undefined || !mayRedirectTo(client, redirectUri))
      throw new OauthError('invalid_request', 'The redirect_uri is not one that this client registered.')
    try {
      const read = readRequest(params, this.#options.publicUrl())
      return this.#show(this.#newInteraction(read, { client, redirectUri, visitor }))
    } catch (error) {
      if (!(error instanceof OauthError)) throw error
      const answer = { error: error.code, error_description: error.message }
      return this.#redirect({ redirectUri, state: stateOf(params) }, answer)
    }
  }

  /** Logs the user in; a wrong name or password asks again. `locked_out` after too many tries. */
  async login(
    text: string | undefined,
    given: { username: string; password: string },
    visitor: Visitor,
  ): Promise<Step> {
    const interaction = this.#open(text, visitor)
    const user = await this.#options.logins.verifyPassword(given, visitor)
    if (!user) return this.#show(interaction, true)
    return this.#show({ ...interaction, user: { id: user.id, username: user.username } })
  }

  /** Goes on with a user who has logged in elsewhere. */
  loginAs(text: string, user: { readonly id: string; readonly username: string }, visitor: Visitor): Step {
    const { id, username } = user
    return this.#show({ ...this.#open(text, visitor), user: { id, username } })
  }

  /** Ends with a redirect to the client: with a code, or with the news that the user does not want it. */
  async decide(text: string | undefined, allowed: boolean, visitor: Visitor): Promise<Step> {
    const interaction = this.#open(text, visitor)
    const { user, id, clientId, clientName, redirectUri, resource, scopes, challenge } = interaction
    if (!user) throw staleBrowser()
    visitor.onUser?.(user)
    if (!allowed)
      return this.#redirect(interaction, { error: 'access_denied', error_description: 'The user refused.' })
    const code = await this.#options.grants.begin({
      userId: user.id,
      interaction: id,
      clientId,
      clientName,
      redirectUri,
      resource,
      scopes,
      challenge,
    })
    return this.#redirect(interaction, { code })
  }

  #newInteraction(
    read: ReturnType<typeof readRequest>,
    of: { client: Client; redirectUri: string; visitor: Visitor },
  ): Interaction {
    const { client, redirectUri, visitor } = of
    return {
      ...read,
      id: randomToken(16),
      endsAtMs: this.#options.clock.now() + interactionMs,
      browser: browserHash(visitor.browser),
      clientId: client.id,
      clientName: client.name,
      ...(client.host !== undefined && { clientHost: client.host }),
      redirectUri,
    }
  }

  #show(interaction: Interaction, failed = false): Step {
    const { clientName, clientHost, redirectUri, resource, scopes, user } = interaction
    const asked: Asked = {
      clientName,
      ...(clientHost !== undefined && { clientHost }),
      redirectUri,
      redirectHost: new URL(redirectUri).host,
      isLoopback: isLoopbackUri(redirectUri),
      resource,
      scopes,
    }
    const sealed = this.#options.keyring.seal(JSON.stringify(interaction), sealContext)
    if (!user) return { kind: 'login', asked, interaction: sealed, failed }
    return { kind: 'consent', asked, interaction: sealed, username: user.username }
  }

  /** What a page was made of. It counts for ten minutes, and in the browser that got it. */
  #open(text: string | undefined, visitor: Visitor): Interaction {
    let interaction: Interaction
    try {
      interaction = interactionShape.parse(JSON.parse(this.#options.keyring.open(text ?? '', sealContext)))
    } catch {
      throw staleBrowser()
    }
    const late = this.#options.clock.now() >= interaction.endsAtMs
    if (late || interaction.browser !== browserHash(visitor.browser)) throw staleBrowser()
    return interaction
  }

  /** Every answer names its issuer, so that the client notices where two servers are mixed up (RFC 9207). */
  #redirect(
    { redirectUri, state }: { redirectUri: string; state?: string | undefined },
    answer: Readonly<Record<string, string>>,
  ): Step {
    const url = new URL(redirectUri)
    for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value)
    if (state !== undefined) url.searchParams.set('state', state)
    url.searchParams.set('iss', this.#options.publicUrl())
    return { kind: 'redirect', url: url.href }
  }
}

function readRequest(params: Params, publicUrl: string) {
  const { response_type: type, code_challenge: challenge, code_challenge_method: method, scope } = params
  const state = stateOf(params)
  if (params['state'] !== undefined && state === undefined)
    throw new OauthError('invalid_request', 'The state is longer than 2000 characters.')
  if (type !== 'code') throw new OauthError('unsupported_response_type', 'The response_type must be code.')
  if (method !== 'S256' || challenge === undefined || !/^[A-Za-z0-9_-]{43}$/.test(challenge))
    throw new OauthError('invalid_request', 'Send a code_challenge with code_challenge_method S256.')
  const resource = readResource(params['resource'], publicUrl)
  const asked = scope === undefined ? scopeNames : scope.split(' ').filter(isScope)
  const scopes = scopeNames.filter((name) => asked.includes(name))
  if (scopes.length === 0) throw new OauthError('invalid_scope', 'None of these scopes is known here.')
  return { challenge, resource, scopes, ...(state !== undefined && { state }) }
}

const stateOf = ({ state }: Params): string | undefined =>
  state !== undefined && state.length <= 2000 ? state : undefined

const browserHash = (secret: string): string => hash('sha256', secret, 'base64url')

const staleBrowser = (): OauthError =>
  new OauthError(
    'invalid_request',
    'This page is too old, was used before, or was opened in another browser; start again from your client.',
  )
