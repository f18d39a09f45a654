// Tokens of other issuers: whose they are, for which endpoint, and which of our users that makes their bearer.
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { randomToken } from '../../base/id.ts'
import type { Log } from '../../base/log.ts'
import type { Principal, Role } from '../../identity/principal.ts'
import { isScope, type Scope } from '../../identity/scopes.ts'
import { callerOf, formatRoles, type User } from '../../identity/user-store.ts'
import { usernameText, type UserPatch, type Users } from '../../identity/users.ts'
import { OauthError } from '../oauth-error.ts'
import { isEndpoint } from '../resource.ts'
import type { ExternalUserStore, Subject } from './external-user-store.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import type { IssuerTerms } from './issuer-terms.ts'

export interface IssuersOptions {
  readonly issuers: readonly (IssuerTerms & { readonly keys: IssuerKeys })[]
  readonly store: ExternalUserStore
  readonly users: Pick<Users, 'create' | 'patch' | 'get'>
  readonly clock: Clock
  readonly log: Log
  readonly publicUrl: () => string
}

const leewayS = 60
/** Access tokens (RFC 9068), or tokens that do not say what they are; never those that say they are something else. */
const tokenTypes = new Set(['at+jwt', 'application/at+jwt', 'jwt', undefined])
const idTokenTypes: typeof tokenTypes = new Set(['jwt', undefined])
const assertionTypes: typeof tokenTypes = new Set(['oauth-id-jag+jwt'])
const maxAssertionS = 3600

/** What an issuer asserts of a user to one of our clients. */
export interface Assertion {
  readonly userId: string
  /** Names it among all assertions: it counts once. */
  readonly once: string
  /** Where it says so: the endpoint that it is for, … */
  readonly resource?: string
  /** … and the scopes that it allows. */
  readonly scopes?: readonly Scope[]
}

export class Issuers {
  readonly #options: IssuersOptions

  constructor(options: IssuersOptions) {
    this.#options = options
  }

  /** As clients read it in the metadata of an endpoint. */
  get names(): readonly string[] {
    return this.#options.issuers.map(({ issuer }) => issuer)
  }

  /**
   * Who a token belongs to; undefined where it is of no issuer that we know, not for us, or its user may not log in. A
   * user that nobody saw before is made. Rejects with `issuer_unavailable` where its keys cannot be had.
   */
  async verify(token: string): Promise<Principal | undefined> {
    const terms = this.#termsOf(token)
    const claims = terms && (await this.#claimsOf(token, terms))
    if (!claims) return undefined
    const place = this.#placeOf(claims, terms)
    if (!place) return undefined
    const user = await this.#userOf(claims, terms)
    if (!user || user.disabled) return undefined
    const named = textOf(claims['scope']) ?? textOf(claims['scp']) ?? ''
    const scopes = named.split(' ').filter(isScope)
    return {
      ...callerOf(user),
      via: 'oauth',
      ...place,
      ...(scopes.length > 0 && { scopes }),
      expiresAtMs: (claims.exp + leewayS) * 1000,
    }
  }

  /**
   * What an identity assertion grants (ID-JAG; MCP, "Enterprise-Managed Authorization"). Throws OauthError
   * `invalid_grant` where it is not one that this client may use here and now.
   */
  async readAssertion(assertion: string, client: { id: string }): Promise<Assertion> {
    const terms = this.#termsOf(assertion)
    if (!terms?.identityAssertions) throw badAssertion('its issuer is not trusted here')
    const publicUrl = this.#options.publicUrl()
    const claims = await this.#claimsOf(assertion, terms, assertionTypes)
    if (!claims) throw badAssertion('it is not valid, or no longer')
    const [aud, ...more] = [claims.aud].flat()
    if (aud?.replace(/\/$/, '') !== publicUrl || more.length > 0)
      throw badAssertion('it is for another audience')
    if (claims['client_id'] !== client.id) throw badAssertion('it is for another client')
    if (claims.jti === undefined || claims.exp - claims.iat > maxAssertionS)
      throw badAssertion('it lives too long')
    const user = await this.#userOf(claims, terms)
    if (!user || user.disabled) throw badAssertion('its user may not log in')
    const { resource, scope } = claims
    return {
      userId: user.id,
      once: `${terms.issuer}\n${claims.jti}`,
      ...(typeof resource === 'string' && { resource: resource.replace(/\/$/, '') }),
      ...(typeof scope === 'string' && { scopes: scope.split(' ').filter(isScope) }),
    }
  }

  /**
   * Who an ID token says has logged in (OpenID Connect Core, 3.1.3.7); undefined where it is not one for this client and
   * this login, or its user may not log in. Rejects as `verify`.
   */
  async readIdToken(
    token: string,
    of: { readonly issuer: string; readonly clientId: string; readonly nonce: string },
  ): Promise<User | undefined> {
    const terms = this.#termsOf(token)
    if (terms?.issuer !== of.issuer) return undefined
    const claims = await this.#claimsOf(token, terms, idTokenTypes)
    if (!claims || claims['nonce'] !== of.nonce) return undefined
    const audience = [claims.aud].flat()
    const isOurs = audience.includes(of.clientId) && (claims['azp'] ?? of.clientId) === of.clientId
    if (!isOurs || (audience.length > 1 && claims['azp'] === undefined)) return undefined
    const user = await this.#userOf(claims, terms)
    return user?.disabled ? undefined : user
  }

  #termsOf(token: string): IssuersOptions['issuers'][number] | undefined {
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined
    try {
      const { iss } = decodeJwt(token)
      return this.#options.issuers.find(({ issuer }) => issuer === iss)
    } catch {
      return undefined
    }
  }

  async #claimsOf(
    token: string,
    { issuer, algorithms, keys }: IssuersOptions['issuers'][number],
    types = tokenTypes,
  ): Promise<Verified | undefined> {
    try {
      const { kid, typ } = decodeProtectedHeader(token)
      if (!types.has(typ?.toLowerCase())) return undefined
      const { payload } = await jwtVerify(token, await keys.find(kid), {
        issuer,
        algorithms: [...algorithms],
        requiredClaims: ['sub', 'aud', 'iat', 'exp'],
        clockTolerance: leewayS,
        currentDate: new Date(this.#options.clock.now()),
      })
      const { sub, exp, iat } = payload
      // A token that is bound to a key is worth nothing to a bearer who need not show it (RFC 7800).
      if (sub === undefined || exp === undefined || iat === undefined || 'cnf' in payload) return undefined
      return { ...payload, sub, exp, iat }
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined
      throw error
    }
  }

  /** Where a token counts: at the one endpoint that its audience names, or everywhere where it names all of us. */
  #placeOf({ aud }: Verified, { audience }: IssuerTerms): { resource?: string } | undefined {
    const named = [aud].flat()
    if (audience !== undefined && named.includes(audience)) return {}
    const own = named.filter((each) => each !== undefined && isEndpoint(each, this.#options.publicUrl()))
    const [resource] = own
    return own.length === 1 && resource !== undefined ? { resource } : undefined
  }

  async #userOf(claims: Verified, terms: IssuerTerms): Promise<User | undefined> {
    const { store } = this.#options
    const subject = { issuer: terms.issuer, subject: claims.sub }
    const found = (await store.find(subject)) ?? (await this.#make(subject, claims, terms))
    if (!found?.user) return undefined
    const told = toldBy(claims, terms)
    const isNewer = claims.iat > found.rolesAtS
    if (Object.keys(told).length === 0 || !isNewer) return found.user
    const { roles = found.user.roles, groups = found.user.groups } = told
    if (formatRoles(roles) !== formatRoles(found.user.roles))
      await this.#change(found.user, { roles: [...roles] })
    if (!isDeepStrictEqual(groups, found.user.groups)) await this.#change(found.user, { groups: [...groups] })
    await store.noteRoles(subject, claims.iat)
    return this.#options.users.get(found.user.id)
  }

  /** The last administrator stays one, whatever a group says. */
  async #change(user: User, change: UserPatch): Promise<void> {
    try {
      await this.#options.users.patch(user.id, change)
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'unprocessable') throw error
      this.#options.log.warn({ userId: user.id }, 'a user of an issuer stays the last administrator')
    }
  }

  /** Makes a user at first sight. One that is here already, under the same name, is somebody else. */
  async #make(subject: Subject, claims: Verified, terms: IssuerTerms) {
    const { store, users, clock } = this.#options
    const { roles = ['member'], groups = [] } = toldBy(claims, terms)
    for (const username of usernamesOf(claims, terms)) {
      // Nobody knows it: whoever comes from an issuer logs in there.
      const input = { username, password: randomToken(32), roles, groups }
      const tie = { rolesAtS: claims.iat, nowMs: clock.now() }
      try {
        await users.create(input, ({ id }) => [store.insert(subject, { ...tie, userId: id })])
        break
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
        // The name is taken, or another request of the same subject was faster.
        const made = await store.find(subject)
        if (made) return made
      }
    }
    return store.find(subject)
  }
}

const badAssertion = (why: string): OauthError =>
  new OauthError('invalid_grant', `The assertion cannot be used: ${why}.`)

type Verified = JWTPayload & { readonly sub: string; readonly exp: number; readonly iat: number }

const textOf = (value: unknown): string | undefined => {
  if (Array.isArray(value)) return value.filter((each) => typeof each === 'string').join(' ')
  return typeof value === 'string' ? value : undefined
}

/** What a token's groups say of its user: roles and groups, as far as they are not managed here. */
function toldBy(
  claims: JWTPayload,
  { groupsClaim, roles, keepsGroups }: IssuerTerms,
): { roles?: Role[]; groups?: string[] } {
  const claim = claims[groupsClaim]
  const named = (Array.isArray(claim) ? (claim as unknown[]) : [claim]).filter(
    (group) => typeof group === 'string',
  )
  const given = named.flatMap((group) => (Object.hasOwn(roles, group) ? roles[group] : undefined) ?? [])
  const groups = [...new Set(named)].filter((group) => group.length <= 200).slice(0, 200)
  return {
    ...(Object.keys(roles).length > 0 && { roles: [...new Set(['member' as const, ...given])] }),
    ...(keepsGroups && { groups: groups.toSorted() }),
  }
}

/** The name that a token gives, then one that nobody else has. */
function usernamesOf(claims: Verified, { issuer, usernameClaim }: IssuerTerms): string[] {
  const mark = createHash('sha256').update(`${issuer}\n${claims.sub}`).digest('hex').slice(0, 16)
  const name = usernameText.safeParse(claims[usernameClaim])
  return name.success ? [name.data, `${name.data.slice(0, 47)}-${mark}`] : [`user-${mark}`]
}
