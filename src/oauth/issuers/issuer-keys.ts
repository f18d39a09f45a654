// The keys of another issuer: found by its metadata, remembered, and asked for again when a token names a new one.
import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { isObject } from '../../base/is-object.ts'
import type { Log } from '../../base/log.ts'
import type { FetchedJson } from '../client-documents.ts'

export interface IssuerKeysOptions {
  /** As its tokens name it; nothing is added or taken away when it is compared. */
  readonly issuer: string
  /** Where its keys are; absent means that its metadata say so. */
  readonly jwksUri?: string | undefined
  /** Fetches JSON through the filter for outgoing connections. */
  readonly fetchJson: (url: string) => Promise<FetchedJson>
  readonly clock: Clock
  readonly log: Log
}

interface Keys {
  readonly ids: ReadonlySet<string>
  readonly getKey: JWTVerifyGetKey
  readonly fetchedAtMs: number
}

const minuteMs = 60_000
/** Keys are asked for again when they are older than this, … */
const freshMs = 10 * minuteMs
/** … and used while they are no older than this, where the issuer cannot be reached. */
const usableMs = 24 * 60 * minuteMs
/** Between two fetches, whatever tokens name: whoever sends nonsense must not make us ask. */
const pauseMs = 30_000
const maxKeys = 100

export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  #keys: Keys | undefined
  #fetching: Promise<void> | undefined
  #triedAtMs = -Infinity

  constructor(options: IssuerKeysOptions) {
    this.#options = options
  }

  /**
   * What `jwtVerify` asks for a token's key. `issuer_unavailable` where there are no keys and none can be had; a token
   * whose key there is not is refused by the verification.
   */
  async find(kid: string | undefined): Promise<JWTVerifyGetKey> {
    const ageMs = this.#ageMs()
    const isNew = kid !== undefined && this.#keys !== undefined && !this.#keys.ids.has(kid)
    if (ageMs > usableMs || isNew) await this.#fetch()
    // What is stale is renewed behind the caller's back.
    else if (ageMs > freshMs) void this.#fetch()
    if (!this.#keys || this.#ageMs() > usableMs)
      throw new GatewayError('issuer_unavailable', { retryAfterS: 30 })
    return this.#keys.getKey
  }

  #ageMs(): number {
    return this.#keys ? this.#options.clock.monotonicMs() - this.#keys.fetchedAtMs : Infinity
  }

  /** One at a time, and not again at once; never rejects. */
  #fetch(): Promise<void> {
    if (this.#fetching) return this.#fetching
    const { clock, issuer, log } = this.#options
    if (clock.monotonicMs() - this.#triedAtMs < pauseMs) return Promise.resolve()
    this.#triedAtMs = clock.monotonicMs()
    this.#fetching = this.#load()
      .then((keys) => void (this.#keys = keys))
      .catch((error: unknown) =>
        log.warn({ err: error, issuer }, 'the keys of an issuer could not be fetched'),
      )
      .finally(() => (this.#fetching = undefined))
    return this.#fetching
  }

  async #load(): Promise<Keys> {
    const { fetchJson, clock, jwksUri } = this.#options
    const { value } = await fetchJson(jwksUri ?? (await this.#discover()))
    if (!isObject(value) || !Array.isArray(value['keys'])) throw new Error('there is no set of keys')
    const keys = value['keys'].filter(isPublicKey).slice(0, maxKeys)
    const ids = keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid]))
    return {
      ids: new Set(ids),
      getKey: createLocalJWKSet({ keys }),
      fetchedAtMs: clock.monotonicMs(),
    }
  }

  /** `jwks_uri` of OpenID Connect Discovery 1.0, else of RFC 8414; either has to name this very issuer. */
  async #discover(): Promise<string> {
    const { issuer, fetchJson } = this.#options
    const { origin, pathname } = new URL(issuer)
    const path = pathname.replace(/\/$/, '')
    const places = [
      `${origin}${path}/.well-known/openid-configuration`,
      `${origin}/.well-known/oauth-authorization-server${path}`,
    ]
    let cause: unknown
    for (const place of places) {
      try {
        const { value } = await fetchJson(place)
        if (!isObject(value) || value['issuer'] !== issuer) throw new Error(`${place} names another issuer`)
        if (typeof value['jwks_uri'] !== 'string') throw new Error(`${place} names no keys`)
        return value['jwks_uri']
      } catch (error) {
        cause ??= error
      }
    }
    throw new Error('the issuer has no usable metadata', { cause })
  }
}

/** Shared secrets have no place among published keys: a token signed with one could be made by anybody. */
const isPublicKey = (key: unknown): key is JWK =>
  isObject(key) && typeof key['kty'] === 'string' && key['kty'] !== 'oct' && isName(key['kid'])

const isName = (kid: unknown): boolean => kid === undefined || typeof kid === 'string'
