// Logins: from a password to tokens, on with refresh tokens, and to their end.
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import type { Lockout } from './lockout.ts'
import type { LoginStore, StoredLogin } from './login-store.ts'
import { newPassword, type Passwords } from './passwords.ts'
import type { Principal, Role } from './principal.ts'
import type { Revocations } from './revocations.ts'
import type { Tokens } from './tokens.ts'
import type { User, UserStore } from './user-store.ts'
import { usernameText, type registerInput, type Users } from './users.ts'

/** `POST /auth/authenticate`; a name that no user can have is a wrong name, not a malformed request. */
export const loginInput = z.strictObject({
  username: z.string().min(1).max(200),
  password: z.string().min(1).max(200),
})

/** `POST /auth/refresh` */
export const refreshInput = z.strictObject({ refreshToken: z.string().max(200) })

/** `POST /auth/logout`: the login of the access token ends, and that of the refresh token where one is sent. */
export const logoutInput = z.strictObject({ refreshToken: z.string().max(200).optional() })

/** A change of one's own password. */
export const passwordChange = z.strictObject({
  currentPassword: z.string().min(1).max(200),
  newPassword,
})

/** What register, authenticate and refresh answer. */
export interface LoginAnswer {
  readonly token: string
  readonly refreshToken: string
  /** Seconds that `token` lives. */
  readonly expiresIn: number
  readonly userId: string
  readonly username: string
  readonly roles: readonly Role[]
}

export interface LoginsOptions {
  readonly store: LoginStore
  readonly userStore: UserStore
  readonly users: Users
  readonly passwords: Passwords
  readonly tokens: Tokens
  readonly keyring: Keyring
  readonly lockout: Lockout
  readonly revocations: Revocations
  readonly clock: Clock
  readonly log: Log
  readonly registration: 'open' | 'closed'
  /** From the password to the last refresh; default 30 days. */
  readonly lifetimeMs?: number
}

/** Where a password came from. */
interface LoginOrigin {
  readonly ip: string
  /** Hears whose name it was, whether or not the password is right. */
  readonly onUser?: (user: User) => void
}

const refreshText = /^rt_[A-Za-z0-9_-]{43}$/
const thirtyDaysMs = 30 * 24 * 60 * 60 * 1000

export class Logins {
  readonly #options: LoginsOptions

  constructor(options: LoginsOptions) {
    this.#options = options
  }

  /** Makes a member and logs it in; `registration_closed` where only administrators make users. */
  async register(input: z.output<typeof registerInput>): Promise<LoginAnswer> {
    if (this.#options.registration === 'closed') throw new GatewayError('registration_closed')
    return this.#begin(await this.#options.users.create({ ...input, roles: ['member'] }))
  }

  /**
   * Logs in by password. Unknown user, wrong password and disabled user give one answer (`unauthorized`) after one
   * time; too many failures give `locked_out` with `retryAfterS`. `ip` is the caller's address.
   */
  async login(input: z.output<typeof loginInput>, from: LoginOrigin): Promise<LoginAnswer> {
    const user = await this.verifyPassword(input, from)
    if (!user) throw new GatewayError('unauthorized', { detail: 'The user name or the password is wrong.' })
    return this.#begin(user)
  }

  /**
   * The user behind a name and a password; undefined for an unknown name, a wrong password and a disabled user alike.
   * Counted against lockout: too many failures give `locked_out` with `retryAfterS`.
   */
  async verifyPassword(
    { username, password }: z.output<typeof loginInput>,
    from: LoginOrigin,
  ): Promise<User | undefined> {
    const { lockout, passwords, userStore } = this.#options
    const attempt = { username, ip: from.ip }
    lockout.check(attempt)
    const name = usernameText.safeParse(username)
    const user = name.success ? await userStore.findByName(name.data) : undefined
    if (user) from.onUser?.(user)
    // Checked and counted within the turn: what is sent all at once is not counted less.
    const right = await passwords.verify(user?.passwordHash, password, {
      before: () => lockout.check(attempt),
      after: (isRight) => (isRight && !user?.disabled ? lockout.succeeded(attempt) : lockout.failed(attempt)),
    })
    return right && !user?.disabled ? user : undefined
  }

  /** Changes one's own password and ends all of the user's logins, this one too; counted against lockout. */
  async changePassword(
    principal: Principal,
    change: z.output<typeof passwordChange>,
    from: { ip: string },
  ): Promise<void> {
    const user = await this.verifyPassword(
      { username: principal.username, password: change.currentPassword },
      from,
    )
    if (!user)
      throw new GatewayError('validation_failed', {
        fields: [{ field: '/currentPassword', message: 'is wrong' }],
      })
    await this.#options.users.patch(user.id, { password: change.newPassword })
  }

  /**
   * Exchanges a refresh token for its successor and a new access token. A token that was exchanged before is taken
   * for stolen: its whole login ends (RFC 9700, section 4.14.2).
   */
  async refresh(refreshToken: string): Promise<LoginAnswer> {
    const { store, keyring, clock } = this.#options
    const login = await this.#findByRefreshToken(refreshToken)
    const nowMs = clock.now()
    if (!login || login.revoked || login.user.disabled || nowMs >= login.expiresAtMs) throw notRefreshed()
    const next = newRefreshToken()
    const parentMac = keyring.refreshTokenMac(refreshToken)
    try {
      await store.insertSuccessor({ mac: keyring.refreshTokenMac(next), parentMac, loginId: login.id, nowMs })
    } catch (error) {
      // A token has one successor: it was exchanged before.
      if (error instanceof GatewayError && error.code === 'conflict') return this.#endStolen(login.id)
      throw error
    }
    return this.#answer(login.user, login.id, next)
  }

  /** Ends the principal's login and that of a refresh token it sends: all their tokens stop working at once. */
  async logout(principal: Principal | undefined, refreshToken?: string): Promise<void> {
    const other = refreshToken === undefined ? undefined : await this.#findByRefreshToken(refreshToken)
    const loginIds = new Set([principal?.loginId, other?.id])
    for (const loginId of loginIds) if (loginId !== undefined) await this.#end(loginId)
  }

  /** Deletes what ended long ago; to be called now and then. */
  purge(): Promise<void> {
    return this.#options.store.purge(this.#options.clock.now() - 24 * 60 * 60 * 1000)
  }

  async #begin(user: User): Promise<LoginAnswer> {
    const { store, keyring, clock, lifetimeMs = thirtyDaysMs } = this.#options
    const nowMs = clock.now()
    const id = newId('rft', nowMs)
    const refreshToken = newRefreshToken()
    await store.insert({
      id,
      userId: user.id,
      refreshTokenMac: keyring.refreshTokenMac(refreshToken),
      nowMs,
      expiresAtMs: nowMs + lifetimeMs,
    })
    return this.#answer(user, id, refreshToken)
  }

  async #answer(user: User, loginId: string, refreshToken: string): Promise<LoginAnswer> {
    const { tokens } = this.#options
    const token = await tokens.sign(user, loginId)
    const { id: userId, username, roles } = user
    return { token, refreshToken, expiresIn: tokens.lifetimeS, userId, username, roles }
  }

  async #findByRefreshToken(text: string): Promise<StoredLogin | undefined> {
    if (!refreshText.test(text)) return undefined
    return this.#options.store.findByRefreshToken(this.#options.keyring.refreshTokenMac(text))
  }

  async #endStolen(loginId: string): Promise<never> {
    this.#options.log.warn({ loginId }, 'a refresh token was used twice; its login has been ended')
    await this.#end(loginId)
    throw notRefreshed()
  }

  async #end(loginId: string): Promise<void> {
    await this.#options.store.revoke(loginId, this.#options.clock.now())
    this.#options.revocations.publish({ loginId })
  }
}

const newRefreshToken = (): string => `rt_${randomToken(32)}`

const notRefreshed = (): GatewayError =>
  new GatewayError('unauthorized', { detail: 'The refresh token is not valid; log in again.' })
