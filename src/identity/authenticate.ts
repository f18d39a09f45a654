// From a credential to the caller behind it: verified once, remembered until it ends or is revoked.
import { hash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Keys } from './keys.ts'
import type { Principal } from './principal.ts'
import { isRevokedBy, type Revocation, type Revocations } from './revocations.ts'
import type { Tokens } from './tokens.ts'

export interface AuthenticatorLimits {
  /** Credentials remembered at once. */
  readonly maxCached: number
  /** Different credentials being verified at once; more are refused with `overloaded`. */
  readonly maxVerifying: number
  /** Longest credential that is looked at. */
  readonly maxBytes: number
  /** How often the last use of a key is written at most. */
  readonly noteUseEveryMs: number
}

const defaultLimits: AuthenticatorLimits = {
  maxCached: 10_000,
  maxVerifying: 256,
  maxBytes: 4096,
  noteUseEveryMs: 60_000,
}

export interface AuthenticatorOptions {
  readonly tokens: Tokens
  readonly keys: Keys
  /** Takes tokens of other issuers; absent where there are none. */
  readonly issuers?: { verify(token: string): Promise<Principal | undefined> } | undefined
  readonly browserSessions?: { verify(secret: string): Promise<Principal | undefined> } | undefined
  readonly revocations: Revocations
  readonly clock: Clock
  readonly limits?: Partial<AuthenticatorLimits>
}

type Verify = () => Promise<Principal | undefined>

interface Entry {
  readonly principal: Principal
  useNotedAtMs: number
}

/**
 * The cache's key is the SHA-256 of the whole credential, so that no part of one can stand for another (CVE-2026-35030).
 * Refusals are never remembered. Bounded by two generations: when the young one is full it becomes the old one, and
 * what is used again moves back; so the entries that are dropped are those unused for the longest, without a
 * reordering at every hit.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions
  readonly #limits: AuthenticatorLimits
  readonly #clock: Clock
  readonly #verifying = new Map<string, Promise<Principal | undefined>>()
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  /** Grows with each revocation: a verification that began before one must not be remembered after it. */
  #revocations = 0

  constructor(options: AuthenticatorOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#clock = options.clock
    options.revocations.onRevoked((revocation) => this.#forget(revocation))
  }

  /**
   * The caller behind an access token or API key: at once where it is remembered, else after a verification that
   * concurrent calls share. Undefined where the credential is not valid. Rejects with `store_unavailable` where the
   * store cannot say, `issuer_unavailable` where another issuer's keys cannot be had, and `overloaded` beyond `maxVerifying`.
   */
  authenticate(credential: string): Principal | Promise<Principal | undefined> {
    if (credential.length > this.#limits.maxBytes) return Promise.resolve(undefined)
    const digest = hash('sha256', credential, 'base64')
    return this.#recall(digest) ?? this.#share(digest, () => this.#verify(credential))
  }

  /** The caller behind the cookie of a browser. It is no credential anywhere else. */
  authenticateBrowser(secret: string): Principal | Promise<Principal | undefined> {
    const { browserSessions } = this.#options
    if (!browserSessions) return Promise.resolve(undefined)
    const digest = `browser ${hash('sha256', secret, 'base64')}`
    return this.#recall(digest) ?? this.#share(digest, () => browserSessions.verify(secret))
  }

  #recall(digest: string): Principal | undefined {
    let entry = this.#young.get(digest)
    if (!entry) {
      entry = this.#old.get(digest)
      if (!entry) return undefined
      this.#old.delete(digest)
      this.#remember(digest, entry)
    }
    const now = this.#clock.now()
    const { principal } = entry
    if (principal.expiresAtMs !== undefined && now >= principal.expiresAtMs) {
      this.#young.delete(digest)
      return undefined
    }
    if (principal.keyId !== undefined && now - entry.useNotedAtMs >= this.#limits.noteUseEveryMs) {
      entry.useNotedAtMs = now
      this.#options.keys.noteUse(principal.keyId)
    }
    return principal
  }

  #remember(digest: string, entry: Entry): void {
    if (this.#young.size >= this.#limits.maxCached / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(digest, entry)
  }

  #share(digest: string, verify: Verify): Promise<Principal | undefined> {
    const shared = this.#verifying.get(digest)
    if (shared) return shared
    if (this.#verifying.size >= this.#limits.maxVerifying)
      return Promise.reject(new GatewayError('overloaded', { retryAfterS: 1 }))
    const verification = this.#verifyAndRemember(digest, verify).finally(() => {
      if (this.#verifying.get(digest) === verification) this.#verifying.delete(digest)
    })
    this.#verifying.set(digest, verification)
    return verification
  }

  async #verifyAndRemember(digest: string, verify: Verify): Promise<Principal | undefined> {
    const began = this.#revocations
    const principal = await verify()
    if (!principal) return undefined
    // Somebody was revoked meanwhile, perhaps this caller: what was read may be out of date, so it is read again.
    if (began !== this.#revocations) return verify()
    if (principal.keyId !== undefined) this.#options.keys.noteUse(principal.keyId)
    this.#remember(digest, { principal, useNotedAtMs: this.#clock.now() })
    return principal
  }

  async #verify(credential: string): Promise<Principal | undefined> {
    const { keys, tokens, issuers } = this.#options
    if (credential.startsWith('tb_')) return keys.verify(credential)
    return (await tokens.verify(credential)) ?? issuers?.verify(credential)
  }

  #forget(revocation: Revocation): void {
    this.#revocations++
    this.#verifying.clear()
    for (const generation of [this.#young, this.#old])
      for (const [digest, entry] of generation)
        if (isRevokedBy(revocation, entry.principal)) generation.delete(digest)
  }
}
