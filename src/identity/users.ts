// Users: making, reading, changing and deleting them, and the first administrator.
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId, randomToken } from '../base/id.ts'
import { newPassword, type Passwords } from './passwords.ts'
import { roles } from './principal.ts'
import type { Revocations } from './revocations.ts'
import { formatRoles, type CompanionWrite, type User, type UserStore } from './user-store.ts'

/** Case does not count: names are kept in lower case. */
export const usernameText = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9._@-]{1,64}$/, '1 to 64 of a-z 0-9 . _ @ -')

const email = z.email().max(254)
const roleList = z
  .array(z.enum(roles))
  .min(1)
  .overwrite((list) => [...new Set(list)])

const groupList = z
  .array(z.string().trim().min(1).max(200))
  .max(200)
  .overwrite((list) => [...new Set(list)])

/** `POST /auth/register` */
export const registerInput = z.strictObject({
  username: usernameText,
  password: newPassword,
  email: email.optional(),
})

/** `POST /users` */
export const userInput = registerInput.extend({
  roles: roleList.default(['member']),
  groups: groupList.default([]).describe('For access rules; they give no rights by themselves.'),
})
export type UserInput = Omit<z.output<typeof userInput>, 'groups'> & { readonly groups?: readonly string[] }

/** `PATCH /users/{id}`; an email of null removes it. */
export const userPatch = z.strictObject({
  password: newPassword.optional(),
  email: email.nullable().optional(),
  roles: roleList.optional(),
  groups: groupList.optional(),
  disabled: z.boolean().optional(),
})
export type UserPatch = z.output<typeof userPatch>

export interface UsersOptions {
  readonly store: UserStore
  readonly passwords: Passwords
  readonly revocations: Revocations
  readonly clock: Clock
  /** The queries that open the new user's account; they commit with the user or not at all. */
  readonly openAccount: (account: { accountId: string; userId: string; username: string }) => CompanionWrite[]
  /** Queries that end what the user allowed others, to be committed with a change that carries this time. */
  readonly endGrants?: (userId: string, atMs: number) => CompanionWrite[]
  /** Hears of each user and account that was made, once they are durable. */
  readonly onCreated?: (user: User) => void
}

export class Users {
  readonly #options: UsersOptions

  constructor(options: UsersOptions) {
    this.#options = options
  }

  /**
   * Makes a user with an account of its own; `conflict` where the name is taken, also by a deleted user. `companions` are
   * queries that commit with the user or not at all.
   */
  async create(input: UserInput, companions: (user: User) => CompanionWrite[] = () => []): Promise<User> {
    const { store, passwords, clock, openAccount } = this.#options
    const passwordHash = await passwords.hash(input.password)
    const nowMs = clock.now()
    const user: User = {
      id: newId('usr', nowMs),
      username: input.username,
      ...(input.email === undefined ? {} : { email: input.email }),
      roles: input.roles,
      groups: input.groups ?? [],
      accountId: newId('acc', nowMs),
      disabled: false,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    }
    const row = {
      id: user.id,
      username: user.username,
      email: user.email ?? null,
      password_hash: passwordHash,
      roles: formatRoles(user.roles),
      group_names: JSON.stringify(user.groups),
      account_id: user.accountId,
      disabled: 0,
      created_at: nowMs,
      updated_at: nowMs,
      deleted_at: null,
    }
    const { id: userId, username, accountId } = user
    try {
      await store.insert(row, [...openAccount({ accountId, userId, username }), ...companions(user)])
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
      throw new GatewayError('conflict', {
        detail: 'This user name is taken; choose another.',
        cause: error,
        fields: [{ field: '/username', message: 'is taken' }],
      })
    }
    this.#options.onCreated?.(user)
    return user
  }

  /** A user; `not_found` where there is none, or no longer. */
  async get(id: string): Promise<User> {
    const user = await this.#options.store.find(id)
    if (!user) throw new GatewayError('not_found')
    return user
  }

  /** A user that is not deleted, by id or by name. */
  async find(idOrName: string): Promise<User | undefined> {
    const { store } = this.#options
    const id = idOrName.startsWith('usr_') ? idOrName : (await store.findByName(idOrName))?.id
    return id === undefined ? undefined : store.find(id)
  }

  /** Users that are not deleted, oldest first: at most `limit` of those after `afterId`. */
  list({ limit, afterId = '' }: { limit: number; afterId?: string | undefined }): Promise<User[]> {
    return this.#options.store.list(limit, afterId)
  }

  /**
   * Changes a user. A new password, new roles or groups, or `disabled` end what the user has open; a new password and
   * `disabled` also end its logins and what it allowed OAuth clients. The last administrator who can log in stays one (`unprocessable`).
   */
  async patch(id: string, patch: UserPatch): Promise<User> {
    const { store, passwords, clock, revocations, endGrants } = this.#options
    const user = await this.get(id)
    const passwordHash = patch.password === undefined ? undefined : await passwords.hash(patch.password)
    const nowMs = clock.now()
    const change = {
      updated_at: nowMs,
      ...(passwordHash === undefined ? {} : { password_hash: passwordHash }),
      ...(patch.email === undefined ? {} : { email: patch.email }),
      ...(patch.roles === undefined ? {} : { roles: formatRoles(patch.roles) }),
      ...(patch.groups === undefined ? {} : { group_names: JSON.stringify(patch.groups) }),
      ...(patch.disabled === undefined ? {} : { disabled: patch.disabled ? 1 : 0 }),
    }
    const losesAdmin =
      patch.disabled === true || (patch.roles !== undefined && !patch.roles.includes('admin'))
    const endsLogins = passwordHash !== undefined || patch.disabled === true
    const keepAnAdmin = isActiveAdmin(user) && losesAdmin
    const changed = await store.update(id, change, {
      endLoginsAtMs: endsLogins ? nowMs : undefined,
      companions: endsLogins ? endGrants?.(id, nowMs) : undefined,
      keepAnAdmin,
    })
    if (!changed) throw keepAnAdmin ? lastAdmin() : new GatewayError('not_found')
    if (endsLogins || patch.roles !== undefined || patch.groups !== undefined)
      revocations.publish({ userId: id })
    return this.get(id)
  }

  /** Ends a user's logins, keys and grants for good. The name stays taken and its usage stays readable. */
  async delete(id: string): Promise<void> {
    const { store, clock, revocations, endGrants } = this.#options
    const user = await this.get(id)
    const nowMs = clock.now()
    const keepAnAdmin = isActiveAdmin(user)
    const change = { deleted_at: nowMs, updated_at: nowMs }
    const changed = await store.update(id, change, {
      endLoginsAtMs: nowMs,
      companions: endGrants?.(id, nowMs),
      keepAnAdmin,
    })
    if (!changed) throw keepAnAdmin ? lastAdmin() : new GatewayError('not_found')
    revocations.publish({ userId: id })
  }

  /**
   * Makes the user `admin` where there is no user yet, with the given password or a random one, which is returned
   * to be shown once. A later start changes nothing, whatever password it brings.
   */
  async ensureAdmin(password?: string): Promise<{ created: boolean; password?: string }> {
    if (!(await this.#options.store.isEmpty())) return { created: false }
    const first = userInput.parse({
      username: 'admin',
      password: password ?? randomToken(15),
      roles: ['admin'],
    })
    try {
      await this.create(first)
    } catch (error) {
      // Another node on the same store was faster.
      if (error instanceof GatewayError && error.code === 'conflict') return { created: false }
      throw error
    }
    return password === undefined ? { created: true, password: first.password } : { created: true }
  }
}

const isActiveAdmin = (user: User): boolean => user.roles.includes('admin') && !user.disabled

const lastAdmin = (): GatewayError =>
  new GatewayError('unprocessable', {
    detail: 'This is the last administrator who can log in; make another one first.',
  })
