// Access tokens: short-lived JWTs that we sign and verify with one key and one algorithm.
import { decodeProtectedHeader, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import type { Clock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import type { Keyring, SigningJwk } from '../base/keyring.ts'
import type { LoginStore } from './login-store.ts'
import type { Principal } from './principal.ts'
import type { User } from './user-store.ts'

/** Clocks of two nodes may differ by this much. */
const leewayS = 60
const headerNames = new Set(['alg', 'typ', 'kid'])

export interface TokensOptions {
  readonly store: LoginStore
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
    const { keyring, clock, publicUrl } = this.#options
    const nowS = Math.floor(clock.now() / 1000)
    return new SignJWT({ sid: loginId, jti: newId('req', clock.now()).slice(4) })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: keyring.publicJwk.kid })
      .setIssuer(publicUrl())
      .setAudience(publicUrl())
      .setSubject(user.id)
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + this.lifetimeS)
      .sign(keyring.signingKey)
  }

  /**
   * Who a token belongs to; undefined where it is not ours, has expired, or its login or user has ended.
   * Only a token with a valid signature costs a query.
   */
  async verify(token: string): Promise<Principal | undefined> {
    const claims = await this.#claimsOf(token)
    if (!claims) return undefined
    const { sid, sub, exp = 0 } = claims
    if (typeof sid !== 'string') return undefined
    const login = await this.#options.store.find(sid)
    if (!login || login.user.id !== sub || login.revoked || login.user.disabled) return undefined
    const expiresAtMs = Math.min((exp + leewayS) * 1000, login.expiresAtMs)
    if (this.#options.clock.now() >= expiresAtMs) return undefined
    return {
      userId: login.user.id,
      username: login.user.username,
      roles: login.user.roles,
      accountId: login.user.accountId,
      via: 'token',
      loginId: login.id,
      expiresAtMs,
    }
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
        audience: publicUrl(),
        requiredClaims: ['sub', 'sid', 'jti', 'iat', 'exp'],
        clockTolerance: leewayS,
        currentDate: new Date(clock.now()),
      })
      return payload
    } catch {
      return undefined
    }
  }
}
