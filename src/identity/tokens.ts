// Access tokens: short-lived JWTs that we sign and verify with one key and one algorithm.
import { decodeProtectedHeader, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import type { Clock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import type { Keyring, SigningJwk } from '../base/keyring.ts'
import type { LoginStore } from './login-store.ts'
import type { Grant, GrantReader } from './grant.ts'
import type { Principal } from './principal.ts'
import { isScope, type Scope } from './scopes.ts'
import { callerOf, type User } from './user-store.ts'

/** Clocks of two nodes may differ by this much. */
const leewayS = 60
const headerNames = new Set(['alg', 'typ', 'kid'])

export interface TokensOptions {
  readonly store: Pick<LoginStore, 'find'>
  /** Consents to OAuth clients; absent where there are none. */
  readonly grants?: Pick<GrantReader, 'find'>
  readonly keyring: Keyring
  readonly clock: Clock
  /** Issuer and audience of our tokens: this gateway's public URL, once it is known. */
  readonly publicUrl: () => string
  /** Default 900. */
  readonly lifetimeS?: number
  /** Longest token that is looked at; default 4096. */
  readonly maxBytes?: number
}

export class Tokens {
  readonly #options: TokensOptions
  readonly lifetimeS: number

  constructor(options: TokensOptions) {
    this.#options = options
    this.lifetimeS = options.lifetimeS ?? 900
  }

  /** The document of `/.well-known/jwks.json` (RFC 7517): the key that signs, and those whose tokens are still taken. */
  get jwks(): { readonly keys: readonly SigningJwk[] } {
    return { keys: this.#options.keyring.publicJwks }
  }

  /** Signs a token for a user's login (RFC 9068's `at+jwt`, EdDSA of RFC 8037). */
  sign(user: Pick<User, 'id'>, loginId: string): Promise<string> {
    return this.#sign({ sid: loginId }, { subject: user.id, audience: this.#options.publicUrl() })
  }

  /** Signs a token for a client that a user consented to, for the grant's endpoint alone. */
  signForGrant(grant: Grant, granted: { scopes: readonly Scope[]; lifetimeS: number }): Promise<string> {
    const claims = { gid: grant.id, client_id: grant.clientId, scope: granted.scopes.join(' ') }
    const { user, resource: audience } = grant
    return this.#sign(claims, { subject: user.id, audience, lifetimeS: granted.lifetimeS })
  }

  #sign(
    claims: JWTPayload,
    {
      subject,
      audience,
      lifetimeS = this.lifetimeS,
    }: { subject: string; audience: string; lifetimeS?: number },
  ): Promise<string> {
    const { keyring, clock, publicUrl } = this.#options
    const nowS = Math.floor(clock.now() / 1000)
    return new SignJWT({ ...claims, jti: newId('req', clock.now()).slice(4) })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: keyring.publicJwk.kid })
      .setIssuer(publicUrl())
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + lifetimeS)
      .sign(keyring.signingKey)
  }

  /**
   * Who a token belongs to; undefined where it is not ours, has expired, or its login or user has ended.
   * Only a token with a valid signature costs a query. Of an OAuth token the caller checks `resource` against the endpoint.
   */
  async verify(token: string): Promise<Principal | undefined> {
    const claims = await this.#claimsOf(token)
    if (!claims) return undefined
    return 'gid' in claims ? this.#ofGrant(claims) : this.#ofLogin(claims)
  }

  async #ofLogin({ sid, sub, aud, exp = 0 }: JWTPayload): Promise<Principal | undefined> {
    if (typeof sid !== 'string' || ![aud].flat().includes(this.#options.publicUrl())) return undefined
    const login = await this.#options.store.find(sid)
    if (!login || login.user.id !== sub || login.revoked || login.user.disabled) return undefined
    const expiresAtMs = Math.min((exp + leewayS) * 1000, login.expiresAtMs)
    if (this.#options.clock.now() >= expiresAtMs) return undefined
    return {
      ...callerOf(login.user),
      via: 'token',
      loginId: login.id,
      expiresAtMs,
    }
  }

  async #ofGrant({ gid, sub, aud, scope, exp = 0 }: JWTPayload): Promise<Principal | undefined> {
    const { grants, clock } = this.#options
    if (typeof gid !== 'string' || typeof scope !== 'string') return undefined
    const grant = await grants?.find(gid)
    if (!grant || grant.user.id !== sub || grant.revoked || grant.user.disabled) return undefined
    if (aud !== grant.resource) return undefined
    const expiresAtMs = Math.min((exp + leewayS) * 1000, grant.expiresAtMs)
    if (clock.now() >= expiresAtMs) return undefined
    const allowed = scope.split(' ').filter((name) => isScope(name) && grant.scopes.includes(name))
    return { ...principalOf(grant), scopes: allowed as Scope[], expiresAtMs }
  }

  async #claimsOf(token: string): Promise<JWTPayload | undefined> {
    const { keyring, clock, publicUrl, maxBytes = 4096 } = this.#options
    if (token.length > maxBytes || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined
    try {
      // Our own headers hold three names. `crit`, `jku`, `x5u`, `jwk` and whatever else may steer a verifier: refused.
      const header = decodeProtectedHeader(token)
      const key = keyring.findVerifyingKey(header.kid)
      if (!key || Object.keys(header).some((name) => !headerNames.has(name))) return undefined
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['EdDSA'],
        typ: 'at+jwt',
        issuer: publicUrl(),
        requiredClaims: ['sub', 'aud', 'jti', 'iat', 'exp'],
        clockTolerance: leewayS,
        currentDate: new Date(clock.now()),
      })
      return payload
    } catch {
      return undefined
    }
  }
}

/** Whom a grant makes of a client that holds a token of it. */
export const principalOf = ({ id, user, resource, scopes, expiresAtMs }: Grant): Principal => ({
  ...callerOf(user),
  via: 'oauth',
  grantId: id,
  resource,
  scopes,
  expiresAtMs,
})
