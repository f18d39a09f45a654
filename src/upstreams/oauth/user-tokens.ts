// The tokens that users let us have for servers: each used for that user alone, refreshed once, and asked for again when gone.
import * as oauth from 'oauth4webapi'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AuthorizationCodeAuth, Server } from '../../registry/server.ts'
import type { Egress } from '../egress.ts'
import {
  authorizationServer,
  canonical,
  ConsentNeeded,
  checkSecure,
  httpOptions,
  readToken,
  reasonOf,
  TokenError,
  type FoundServer,
  type IssuedToken,
} from './authorization-server.ts'
import { callbackPath, gatewayClient, type KnownClient } from './gateway-client.ts'
import { authWithSecrets } from './client-secrets.ts'
import type { SecretReader } from '../secrets/server-secrets.ts'
import { TokenSource } from './token-source.ts'
import type { UserGrant, UserTokenStore } from './user-token-store.ts'

export interface UserTokensOptions {
  readonly store: UserTokenStore
  readonly egress: Pick<Egress, 'checkUrl' | 'lookup'>
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  readonly publicUrl: () => string
  /** What registrations refer to; absent: nothing can be referred to. */
  readonly secrets?: SecretReader
}

/** A server with tokens of each user. */
export type ConsentServer = Pick<Server, 'id' | 'name' | 'revision' | 'timeouts'> & {
  readonly transport: { readonly url: string }
  readonly auth: AuthorizationCodeAuth
}

/** What a browser is sent out with, and what has to come back with it. */
export interface Departure {
  readonly url: string
  readonly verifier: string
  readonly state: string
  readonly issuer: string
}

interface Kept {
  readonly revision: number
  readonly source: TokenSource
}

/** A token is refreshed where less than this is left of it. */
const leastLeftMs = 30_000
const maxScopes = 100

/** The server as one that wants tokens of each user; undefined where it is none. */
export function findConsentServer(server: Server): ConsentServer | undefined {
  const { auth, transport } = server
  if (auth.type !== 'oauth2' || auth.grant !== 'authorization-code') return undefined
  return transport.type === 'streamable-http' ? { ...server, auth, transport } : undefined
}

export class UserTokens {
  readonly #options: UserTokensOptions
  readonly #grants = new Map<string, UserGrant>()
  readonly #sources = new Map<string, Kept>()
  /** Scopes that servers have asked for, beside those of the first time. */
  readonly #scopes = new Map<string, Set<string>>()
  /** Users who have to be asked for more. */
  readonly #insufficient = new Set<string>()

  constructor(options: UserTokensOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    for (const grant of await this.#options.store.list()) this.#grants.set(keyOf(grant), grant)
  }

  /** What a user let us have, as far as it is good for the server as it is registered now. */
  find({ id, auth }: Pick<ConsentServer, 'id' | 'auth'>, userId: string): UserGrant | undefined {
    const key = keyOf({ serverId: id, userId })
    if (this.#insufficient.has(key)) return undefined
    const grant = this.#grants.get(key)
    const isOther = auth.clientId !== undefined && grant?.clientId !== auth.clientId
    const isElsewhere = auth.issuer !== undefined && grant?.issuer !== auth.issuer
    return isOther || isElsewhere ? undefined : grant
  }

  /** The token of one user for one server; it rejects with ConsentNeeded where there is none that can be had. */
  sourceOf(server: ConsentServer, userId: string): TokenSource {
    const key = keyOf({ serverId: server.id, userId })
    const kept = this.#sources.get(key)
    if (kept && kept.revision >= server.revision) return kept.source
    const refused = { token: '' }
    const source = new TokenSource({
      clock: this.#options.clock,
      onRefused: (token) => (refused.token = token),
      onInsufficient: (scope) => this.#wantMore(key, scope),
      request: () => this.#current(server, userId, refused.token),
    })
    this.#sources.set(key, { revision: server.revision, source })
    return source
  }

  /** Where the user's browser is to go (RFC 6749, 4.1.1; RFC 7636; RFC 8707). Rejects with TokenError. */
  async depart(server: ConsentServer, userId: string): Promise<Departure> {
    return this.#asking(server, async (found, { client }) => {
      const { authorization_endpoint: endpoint, issuer, wantedScope } = found
      const more = this.#scopes.get(keyOf({ serverId: server.id, userId })) ?? []
      const first = (server.auth.scope ?? wantedScope)?.split(' ') ?? []
      const scope = [...new Set([...first, ...more])].join(' ')
      if (endpoint === undefined || !URL.canParse(endpoint))
        throw new TokenError('it names no authorization endpoint')
      const url = new URL(endpoint)
      checkSecure(url)
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const parameters: Record<string, string> = {
        response_type: 'code',
        client_id: client.client_id,
        redirect_uri: this.#redirectUri,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        ...resourceOf(server, found),
        ...(scope !== '' && { scope }),
      }
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return { url: url.href, verifier, state, issuer }
    })
  }

  /** Exchanges the code that the browser came back with. Rejects with TokenError; the authorization server may have said no. */
  async arrive(
    server: ConsentServer,
    userId: string,
    { answer, departure }: { answer: URLSearchParams; departure: Departure },
  ): Promise<void> {
    await this.#asking(server, async (found, { client, proof }, http) => {
      // Whoever changed the registration meanwhile would get the code of another server.
      if (found.issuer !== departure.issuer) throw new TokenError('it is another one by now; start again')
      const parameters = oauth.validateAuthResponse(found, client, answer, departure.state)
      const response = await oauth.authorizationCodeGrantRequest(
        found,
        client,
        proof,
        parameters,
        this.#redirectUri,
        departure.verifier,
        { ...http, additionalParameters: resourceOf(server, found) },
      )
      const told = await oauth.processAuthorizationCodeResponse(found, client, response)
      await this.#keep(server, userId, { told, issuer: found.issuer, clientId: client.client_id })
    })
  }

  /** Forgets what the user let us have, and tells the authorization server (RFC 7009), as far as it can be told. */
  async forget(server: ConsentServer, userId: string): Promise<boolean> {
    const grant = this.#grants.get(keyOf({ serverId: server.id, userId }))
    if (!grant) return false
    await this.#drop(grant)
    await this.#asking(server, async (found, { client, proof }, http) => {
      if (found.revocation_endpoint === undefined || found.issuer !== grant.issuer) return
      await oauth.revocationRequest(found, client, proof, grant.refreshToken ?? grant.accessToken, http)
    }).catch((err: unknown) =>
      this.#options.log.warn({ err, server: server.name }, 'a token could not be revoked where it came from'),
    )
    return true
  }

  /** The server is gone. */
  async forgetServer(serverId: string): Promise<void> {
    for (const map of [this.#grants, this.#sources, this.#scopes])
      for (const key of map.keys()) if (key.startsWith(`${serverId} `)) map.delete(key)
    await this.#options.store.removeServer(serverId)
  }

  /** With what was granted before, so that nothing is lost (MCP, "Step-Up Authorization Flow"). Not for what it has asked for before. */
  #wantMore(key: string, scope: string): boolean {
    const known = this.#scopes.get(key) ?? new Set<string>()
    const wanted = scope.split(' ').filter((name) => name !== '' && !known.has(name))
    if (wanted.length === 0 || known.size + wanted.length > maxScopes) return false
    for (const name of wanted) known.add(name)
    this.#scopes.set(key, known)
    this.#insufficient.add(key)
    return true
  }

  get #redirectUri(): string {
    return `${this.#options.publicUrl()}${callbackPath}`
  }

  /** The stored token while it is good, else a new one; `refused` is one that the server did not take. */
  async #current(server: ConsentServer, userId: string, refused: string): Promise<IssuedToken> {
    const grant = this.find(server, userId)
    if (!grant) throw new ConsentNeeded()
    const leftMs = (grant.expiresAtMs ?? Infinity) - this.#options.clock.now()
    if (grant.accessToken !== refused && leftMs > leastLeftMs)
      return {
        token: grant.accessToken,
        proven: true,
        ...(leftMs !== Infinity && { expiresInS: Math.floor(leftMs / 1000) }),
      }
    return this.#refresh(server, grant)
  }

  /**
   * One request for however many calls wait (see TokenSource). The new refresh token is on disk before the access token
   * is used: a crash between the answer and the disk loses it, and the user is asked again.
   */
  #refresh(server: ConsentServer, grant: UserGrant): Promise<IssuedToken> {
    const { refreshToken, userId } = grant
    if (refreshToken === undefined) return this.#gone(grant)
    return this.#asking(server, async (found, { client, proof }, http) => {
      if (found.issuer !== grant.issuer || client.client_id !== grant.clientId) return this.#gone(grant)
      const response = await oauth.refreshTokenGrantRequest(found, client, proof, refreshToken, {
        ...http,
        additionalParameters: resourceOf(server, found),
      })
      try {
        const told = await oauth.processRefreshTokenResponse(found, client, response)
        const { issuer, clientId } = grant
        return await this.#keep(server, userId, { told, issuer, clientId, refreshToken })
      } catch (error) {
        if (error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant')
          return this.#gone(grant)
        throw error
      }
    })
  }

  async #gone(grant: UserGrant): Promise<never> {
    await this.#drop(grant)
    throw new ConsentNeeded()
  }

  async #drop(grant: UserGrant): Promise<void> {
    const key = keyOf(grant)
    await this.#options.store.remove(grant.serverId, grant.userId)
    this.#grants.delete(key)
    this.#sources.delete(key)
  }

  async #keep(
    server: ConsentServer,
    userId: string,
    given: {
      readonly told: oauth.TokenEndpointResponse
      readonly issuer: string
      readonly clientId: string
      readonly refreshToken?: string
    },
  ): Promise<IssuedToken> {
    const { told, issuer, clientId } = given
    const issued = readToken(told)
    const nowMs = this.#options.clock.now()
    const before = this.#grants.get(keyOf({ serverId: server.id, userId }))
    const grant: UserGrant = {
      serverId: server.id,
      userId,
      issuer,
      clientId,
      accessToken: issued.token,
      // Where no new one comes, the old one stays good (RFC 6749, section 6).
      refreshToken: told.refresh_token ?? given.refreshToken,
      expiresAtMs: issued.expiresInS === undefined ? undefined : nowMs + issued.expiresInS * 1000,
      createdAtMs: before?.createdAtMs ?? nowMs,
      updatedAtMs: nowMs,
    }
    await this.#options.store.put(grant)
    this.#grants.set(keyOf(grant), grant)
    // After a consent there may be a source that rests after a failure.
    if (given.refreshToken === undefined) {
      this.#sources.delete(keyOf(grant))
      this.#insufficient.delete(keyOf(grant))
    }
    return issued
  }

  async #asking<T>(
    server: ConsentServer,
    work: (found: FoundServer, client: KnownClient, http: ReturnType<typeof httpOptions>) => Promise<T>,
  ): Promise<T> {
    const { store, egress, clock, publicUrl } = this.#options
    const auth = await authWithSecrets(server, this.#options.secrets)
    const asked = { host: '' }
    const http = httpOptions({ egress, timeoutMs: server.timeouts.connectMs }, asked)
    try {
      const found = await authorizationServer(server.transport.url, { issuer: server.auth.issuer }, http)
      const client = await gatewayClient({ server, auth }, found, {
        http,
        store,
        clock,
        publicUrl,
      })
      return await work(found, client, http)
    } catch (error) {
      if (error instanceof ConsentNeeded) throw error
      throw new TokenError(`The authorization server ${asked.host} gave no token: ${reasonOf(error)}.`, {
        cause: error,
      })
    }
  }
}

const keyOf = ({ serverId, userId }: Pick<UserGrant, 'serverId' | 'userId'>): string =>
  `${serverId} ${userId}`

/** As MCP asks; an empty one in the registration: none is sent. */
function resourceOf({ transport, auth }: ConsentServer, found: FoundServer): Record<string, string> {
  const resource = auth.resource ?? found.resource ?? canonical(transport.url)
  return resource === '' ? {} : { resource }
}
