// Logins of browsers: a secret in a cookie that scripts cannot read, and a second one that other sites do not have.
import { hash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import type { LoginStore } from './login-store.ts'
import type { Principal } from './principal.ts'
import { callerOf, type User } from './user-store.ts'

export interface BrowserSessionsOptions {
  readonly store: LoginStore
  readonly keyring: Keyring
  readonly clock: Clock
  /** From the login to its end. */
  readonly lifetimeMs: number
}

/** What a browser gets: the cookie's value, and what its pages send along with changes. */
export interface BrowserSession {
  readonly secret: string
  readonly csrfToken: string
  readonly expiresAtMs: number
}

const secretText = /^bs_[A-Za-z0-9_-]{43}$/

/** A login like any other, so that a new password, a disabled user and a logout end it; the store has a MAC of it only. */
export class BrowserSessions {
  readonly #options: BrowserSessionsOptions

  constructor(options: BrowserSessionsOptions) {
    this.#options = options
  }

  get lifetimeS(): number {
    return Math.floor(this.#options.lifetimeMs / 1000)
  }

  /** For a user who has just proved who they are. */
  async begin({ id: userId }: Pick<User, 'id'>): Promise<BrowserSession> {
    const { store, keyring, clock, lifetimeMs } = this.#options
    const nowMs = clock.now()
    const secret = `bs_${randomToken(32)}`
    const expiresAtMs = nowMs + lifetimeMs
    const refreshTokenMac = keyring.refreshTokenMac(secret)
    await store.insert({ id: newId('rft', nowMs), userId, refreshTokenMac, nowMs, expiresAtMs })
    return { secret, csrfToken: csrfTokenOf(secret), expiresAtMs }
  }

  /** Whose browser it is; undefined where the secret is not one, or its login has ended. */
  async verify(secret: string): Promise<Principal | undefined> {
    if (!secretText.test(secret)) return undefined
    const { store, keyring, clock } = this.#options
    const login = await store.findByRefreshToken(keyring.refreshTokenMac(secret))
    if (!login || login.revoked || login.user.disabled || clock.now() >= login.expiresAtMs) return undefined
    return { ...callerOf(login.user), via: 'token', loginId: login.id, expiresAtMs: login.expiresAtMs }
  }
}

/** Follows from the secret, which no other site and no script can read (OWASP, signed double submit). */
export const csrfTokenOf = (secret: string): string => hash('sha256', `csrf ${secret}`, 'base64url')
