// Grants: from a user's consent to a code, from that to tokens, on with refresh tokens, and to their end.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import type { Revocations } from '../identity/revocations.ts'
import { scopeNames, type Scope } from '../identity/scopes.ts'
import type { Tokens } from '../identity/tokens.ts'
import type { GrantStore, StoredGrant } from './grant-store.ts'
import { OauthError } from './oauth-error.ts'

export interface GrantsOptions {
  readonly store: GrantStore
  readonly tokens: Tokens
  readonly keyring: Keyring
  readonly revocations: Revocations
  readonly clock: Clock
  readonly log: Log
  /** Of access tokens. */
  readonly lifetimeS: number
  /** From the consent to the last refresh. */
  readonly grantMs: number
  /** Grants in use that one user may have; beyond them the one that was unused for the longest ends. Default 100. */
  readonly maxPerUser?: number
}

/** What a user consented to. */
export interface Consent {
  readonly userId: string
  readonly clientId: string
  readonly clientName: string
  readonly redirectUri: string
  readonly resource: string
  readonly scopes: readonly Scope[]
  readonly challenge: string
  /** Of the interaction in which it was given; counts once. */
  readonly interaction: string
}

/** A successful answer of the token endpoint (RFC 6749, section 5.1). */
export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  /** Seconds. */
  readonly expires_in: number
  readonly refresh_token?: string
  readonly scope: string
}

/** What a client must show besides a code or a refresh token. */
interface Shown {
  readonly clientId: string
  /** Where the client names one: the endpoint, as in the authorization request. */
  readonly resource: string | undefined
}

/** RFC 6749 recommends ten minutes at most; clients exchange theirs at once. */
const codeMs = 60_000
const codeText = /^oac_[A-Za-z0-9_-]{43}$/
const refreshText = /^ort_[A-Za-z0-9_-]{43}$/
const verifierText = /^[A-Za-z0-9._~-]{43,128}$/

export class Grants {
  readonly #options: GrantsOptions

  constructor(options: GrantsOptions) {
    this.#options = options
  }

  /** Makes a grant of a consent and returns its code; `invalid_request` where this consent was given before. */
  async begin(consent: Consent): Promise<string> {
    const { store, keyring, clock, grantMs } = this.#options
    const nowMs = clock.now()
    const code = `oac_${randomToken(32)}`
    await this.#makeRoom(consent.userId, nowMs)
    try {
      await store.insert({
        ...consent,
        id: newId('ogr', nowMs),
        codeMac: keyring.refreshTokenMac(code),
        codeExpiresAtMs: nowMs + codeMs,
        nowMs,
        expiresAtMs: nowMs + grantMs,
      })
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'conflict')
        throw new OauthError('invalid_request', 'This page was used before; start again from your client.')
      throw error
    }
    return code
  }

  /**
   * Exchanges a code (RFC 6749, section 4.1.3; RFC 7636). `invalid_grant` where it is unknown, too old, of another
   * client, or the proof is wrong. A code that comes a second time ends what the first one brought.
   */
  async exchange(
    code: string,
    shown: Shown & { redirectUri: string | undefined; verifier: string | undefined; refreshable: boolean },
  ): Promise<TokenAnswer> {
    const { store, keyring, clock } = this.#options
    const mac = codeText.test(code) ? keyring.refreshTokenMac(code) : undefined
    const grant = mac && (await store.findByCode(mac))
    if (!mac || !isGood(grant, clock.now()) || grant.clientId !== shown.clientId) throw badGrant('code')
    // One that was exchanged has tokens out there, whoever has them: it is not old, it is stolen.
    if (grant.lastUsedAtMs !== undefined) return this.#endStolen(grant)
    if (clock.now() >= grant.codeExpiresAtMs) throw badGrant('code')
    // OAuth 2.1 leaves it out, since the proof does more; who names it must name the right one.
    if (shown.redirectUri !== undefined && shown.redirectUri !== grant.redirectUri)
      throw badGrant('redirect_uri')
    if (!provesChallenge(shown.verifier, grant.challenge)) throw badGrant('code_verifier')
    checkTarget(shown.resource, grant)
    return this.#carryOn(grant, { parentMac: mac, scopes: grant.scopes, refreshable: shown.refreshable })
  }

  /**
   * Exchanges a refresh token for its successor and a new access token (RFC 6749, section 6). One that was exchanged
   * before is taken for stolen: its whole grant ends (RFC 9700, section 4.14.2). `scopes` may be fewer than granted.
   */
  async refresh(
    token: string,
    shown: Shown & { scopes: readonly Scope[] | undefined },
  ): Promise<TokenAnswer> {
    const { store, keyring, clock } = this.#options
    const mac = refreshText.test(token) ? keyring.refreshTokenMac(token) : undefined
    const grant = mac && (await store.findByToken(mac))
    if (!mac || !isGood(grant, clock.now()) || grant.clientId !== shown.clientId)
      throw badGrant('refresh_token')
    checkTarget(shown.resource, grant)
    const { scopes = grant.scopes } = shown
    if (scopes.some((scope) => !grant.scopes.includes(scope)))
      throw new OauthError('invalid_scope', 'The user did not grant these scopes; ask for them anew.')
    return this.#carryOn(grant, { parentMac: mac, scopes, refreshable: true })
  }

  /**
   * A token without anybody's consent: for a client of the user's own, or because an issuer that we trust says so. There
   * is one grant for each user, client and endpoint; no refresh token. `once` names what may be used once only.
   */
  async issueDirectly(of: {
    userId: string
    client: { id: string; name: string }
    resource: string
    scopes: readonly Scope[]
    once?: string
  }): Promise<TokenAnswer> {
    const { store, clock, keyring } = this.#options
    const { userId, client, resource } = of
    const nowMs = clock.now()
    const wanted = { userId, clientId: client.id, resource, nowMs }
    const grant = (await store.findDirect(wanted)) ?? (await this.#grantDirectly(of, nowMs))
    if (!isGood(grant, nowMs)) throw badGrant('user')
    if (of.once === undefined) {
      await store.noteUse(grant.id, nowMs)
      return this.#answer(grant, of.scopes)
    }
    const parentMac = keyring.refreshTokenMac(of.once)
    // A repetition is refused, but ends nothing: whoever repeats it need not be who used it first.
    return this.#carryOn(grant, {
      parentMac,
      scopes: of.scopes,
      refreshable: false,
      onRepeat: () => badGrant('assertion'),
    })
  }

  async #grantDirectly(
    of: { userId: string; client: { id: string; name: string }; resource: string },
    nowMs: number,
  ): Promise<StoredGrant | undefined> {
    const { store, keyring, grantMs } = this.#options
    await this.#makeRoom(of.userId, nowMs)
    const id = newId('ogr', nowMs)
    await store.insert({
      id,
      userId: of.userId,
      clientId: of.client.id,
      clientName: of.client.name,
      redirectUri: '',
      resource: of.resource,
      scopes: scopeNames,
      interaction: id,
      // Of a code that nobody has, and without a challenge nobody could prove.
      codeMac: keyring.refreshTokenMac(randomToken(32)),
      codeExpiresAtMs: nowMs,
      challenge: '',
      nowMs,
      expiresAtMs: nowMs + grantMs,
    })
    return store.find(id)
  }

  /** Ends every grant to a client. */
  async revokeOfClient(clientId: string): Promise<void> {
    for (const id of await this.#options.store.listIdsOfClient(clientId)) await this.revoke(id)
  }

  /** The grant of a refresh token, whether it is still good or not. */
  findByRefreshToken(token: string): Promise<StoredGrant | undefined> {
    const { store, keyring } = this.#options
    return refreshText.test(token)
      ? store.findByToken(keyring.refreshTokenMac(token))
      : Promise.resolve(undefined)
  }

  /** A grant, whether it is still good or not; undefined where there is none. */
  find(id: string): Promise<StoredGrant | undefined> {
    return this.#options.store.find(id)
  }

  /** Grants in use, by id: at most `limit` of those after `afterId`, of one user or of all. */
  list(page: { limit: number; afterId?: string | undefined; userId?: string }): Promise<StoredGrant[]> {
    return this.#options.store.listLive({ ...page, nowMs: this.#options.clock.now() })
  }

  /** Ends a grant, its tokens and what they have open, at once; false where there is none, or it is not this user's. */
  async revoke(id: string, scope: { userId?: string | undefined } = {}): Promise<boolean> {
    const { store, clock, revocations } = this.#options
    const revoked = await store.revoke(id, { nowMs: clock.now(), userId: scope.userId })
    if (revoked) revocations.publish({ grantId: id })
    return revoked
  }

  /** Deletes what ended long ago; to be called now and then. */
  purge(): Promise<void> {
    return this.#options.store.purge(this.#options.clock.now() - 24 * 60 * 60 * 1000)
  }

  async #carryOn(
    grant: StoredGrant,
    next: {
      parentMac: Uint8Array
      scopes: readonly Scope[]
      refreshable: boolean
      /** What a repetition is told where it ends nothing. */
      onRepeat?: () => OauthError
    },
  ): Promise<TokenAnswer> {
    const { store, keyring, clock } = this.#options
    const { parentMac, scopes, refreshable } = next
    const refreshToken = `ort_${randomToken(32)}`
    const mac = keyring.refreshTokenMac(refreshToken)
    try {
      await store.insertSuccessor({ mac, parentMac, grantId: grant.id, nowMs: clock.now() })
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
      if (next.onRepeat) throw next.onRepeat()
      return this.#endStolen(grant)
    }
    const answer = await this.#answer(grant, scopes)
    return refreshable ? { ...answer, refresh_token: refreshToken } : answer
  }

  async #answer(grant: StoredGrant, scopes: readonly Scope[]): Promise<TokenAnswer> {
    const { tokens, lifetimeS } = this.#options
    const token = await tokens.signForGrant(grant, { scopes, lifetimeS })
    return { access_token: token, token_type: 'Bearer', expires_in: lifetimeS, scope: scopes.join(' ') }
  }

  async #makeRoom(userId: string, nowMs: number): Promise<void> {
    const { store, maxPerUser = 100 } = this.#options
    const live = await store.listLive({ nowMs, userId, limit: maxPerUser + 1 })
    if (live.length < maxPerUser) return
    const [oldest] = live.toSorted((a, b) => (a.lastUsedAtMs ?? 0) - (b.lastUsedAtMs ?? 0))
    if (oldest) await this.revoke(oldest.id)
  }

  async #endStolen(grant: StoredGrant): Promise<never> {
    this.#options.log.warn(
      { grantId: grant.id },
      'a code or refresh token was used twice; its grant has been ended',
    )
    await this.revoke(grant.id)
    throw badGrant('grant')
  }
}

const isGood = (grant: StoredGrant | undefined, nowMs: number): grant is StoredGrant =>
  grant !== undefined && !grant.revoked && !grant.user.disabled && nowMs < grant.expiresAtMs

const badGrant = (what: string): OauthError =>
  new OauthError('invalid_grant', `The ${what} is not valid, or no longer; send the user to authorize again.`)

function checkTarget(resource: string | undefined, grant: StoredGrant): void {
  if (resource !== undefined && resource !== grant.resource)
    throw new OauthError('invalid_target', 'The grant is for another resource; authorize for this one.')
}

/** RFC 7636, section 4.6, with S256. */
function provesChallenge(verifier: string | undefined, challenge: string): boolean {
  if (verifier === undefined || !verifierText.test(verifier)) return false
  const made = createHash('sha256').update(verifier).digest('base64url')
  return made.length === challenge.length && timingSafeEqual(Buffer.from(made), Buffer.from(challenge))
}
