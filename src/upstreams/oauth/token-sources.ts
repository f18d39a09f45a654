// Which access token a request to a server carries: one for all callers, or one of its own for each.
import type { Clock } from '../../base/clock.ts'
import type { Server, TokenExchangeAuth } from '../../registry/server.ts'
import type { UpstreamCaller } from '../caller.ts'
import type { Egress } from '../egress.ts'
import { signIdentity, type IdentitySignerOptions } from '../identity-header.ts'
import { exchangeToken, requestToken } from './token-request.ts'
import { TokenError } from './authorization-server.ts'
import { TokenSource } from './token-source.ts'
import { authWithSecrets } from './client-secrets.ts'
import type { SecretReader } from '../secrets/server-secrets.ts'
import { findConsentServer, type UserTokens } from './user-tokens.ts'

export interface TokenSourcesOptions {
  readonly egress: Egress
  readonly clock: Clock
  readonly identity?: IdentitySignerOptions
  readonly userTokens?: Pick<UserTokens, 'sourceOf'>
  /** What registrations refer to; absent: nothing can be referred to. */
  readonly secrets?: SecretReader
}

type SourceOf = (caller: UpstreamCaller | undefined) => TokenSource | undefined

/** Callers of one server with tokens of their own in memory; the one that was used longest ago goes first. */
const maxCallers = 10_000

export class TokenSources {
  readonly #options: TokenSourcesOptions

  constructor(options: TokenSourcesOptions) {
    this.#options = options
  }

  /** Made anew with each revision of a server: another client, or another authorization server, has other tokens. */
  of(server: Server): SourceOf {
    const { name, auth, transport, timeouts } = server
    if (auth.type !== 'oauth2' || transport.type !== 'streamable-http') return () => undefined
    if (auth.grant === 'client-credentials') {
      const { egress, secrets } = this.#options
      const options = { egress, timeoutMs: timeouts.connectMs }
      const shared = this.#source(async () =>
        requestToken(transport.url, await authWithSecrets({ name, auth }, secrets), options),
      )
      return () => shared
    }
    if (auth.grant === 'token-exchange') return this.#exchanged(server, { url: transport.url, auth })
    const consent = findConsentServer(server)
    const { userTokens } = this.#options
    return (caller) =>
      consent && userTokens && caller ? userTokens.sourceOf(consent, caller.userId) : this.#needsUser()
  }

  #exchanged(server: Server, { url, auth }: { url: string; auth: TokenExchangeAuth }): SourceOf {
    const { egress, identity, secrets } = this.#options
    const { name } = server
    const sources = new Map<string, TokenSource>()
    return (caller) => {
      if (!caller || !identity) return this.#needsUser()
      const known = sources.get(caller.userId)
      sources.delete(caller.userId)
      const assertionFor = (audience: string): string =>
        signIdentity(identity, { caller, audience, claims: ['username', 'groups'] })
      const options = { egress, timeoutMs: server.timeouts.connectMs, assertionFor }
      const request = async () => exchangeToken(url, await authWithSecrets({ name, auth }, secrets), options)
      const source = known ?? this.#source(request)
      sources.set(caller.userId, source)
      const [oldest] = sources.keys()
      if (sources.size > maxCallers && oldest !== undefined) sources.delete(oldest)
      return source
    }
  }

  #source(request: () => Promise<{ token: string; expiresInS?: number }>): TokenSource {
    return new TokenSource({ clock: this.#options.clock, request })
  }

  #needsUser(): TokenSource {
    return this.#source(() =>
      Promise.reject(
        new TokenError('Each user has tokens of their own for this server; the gateway has none.'),
      ),
    )
  }
}
