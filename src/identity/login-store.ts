// The rows of logins and of the refresh tokens that carry each of them on.
import { sql, type Kysely } from 'kysely'
import type { Database } from '../db/database.ts'
import { userOf, type Int, type IntOrNull, type User, type UserTable } from './user-store.ts'

interface Tables {
  users: UserTable
  logins: { id: string; user_id: string; created_at: Int; expires_at: Int; revoked_at: IntOrNull }
  refresh_tokens: { mac: Uint8Array; login_id: string; parent_mac: Uint8Array | null; created_at: Int }
}

/** A login with the user behind it. */
export interface StoredLogin {
  readonly id: string
  readonly user: User
  readonly expiresAtMs: number
  readonly revoked: boolean
}

const maxIdsAtOnce = 500

export class LoginStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  /** Stores a new login and its first refresh token. */
  async insert(login: {
    id: string
    userId: string
    refreshTokenMac: Uint8Array
    nowMs: number
    expiresAtMs: number
  }): Promise<void> {
    const { id, userId, nowMs } = login
    await this.#database.write(
      this.#builder
        .insertInto('logins')
        .values({ id, user_id: userId, created_at: nowMs, expires_at: login.expiresAtMs, revoked_at: null }),
      this.#builder
        .insertInto('refresh_tokens')
        .values({ mac: login.refreshTokenMac, login_id: id, parent_mac: null, created_at: nowMs }),
    )
  }

  /** Gives a refresh token its one successor; rejects with `conflict` where it has one. */
  async insertSuccessor(token: {
    mac: Uint8Array
    parentMac: Uint8Array
    loginId: string
    nowMs: number
  }): Promise<void> {
    await this.#database.write(
      this.#builder.insertInto('refresh_tokens').values({
        mac: token.mac,
        login_id: token.loginId,
        parent_mac: token.parentMac,
        created_at: token.nowMs,
      }),
    )
  }

  /** The login, or undefined where it or its user is gone. */
  async find(id: string): Promise<StoredLogin | undefined> {
    const [row] = await this.#database.read(this.#logins().where('logins.id', '=', id))
    return row && loginOf(row)
  }

  /** Those that are there, by id. */
  async findMany(ids: readonly string[]): Promise<Map<string, StoredLogin>> {
    const found = new Map<string, StoredLogin>()
    for (let from = 0; from < ids.length; from += maxIdsAtOnce) {
      const some = ids.slice(from, from + maxIdsAtOnce)
      for (const row of await this.#database.read(this.#logins().where('logins.id', 'in', some)))
        found.set(row.login_id, loginOf(row))
    }
    return found
  }

  /** The login that a refresh token belongs to, whether it has been used before or not. */
  async findByRefreshToken(mac: Uint8Array): Promise<StoredLogin | undefined> {
    const [row] = await this.#database.read(
      this.#logins()
        .innerJoin('refresh_tokens', 'refresh_tokens.login_id', 'logins.id')
        .where('refresh_tokens.mac', '=', mac),
    )
    return row && loginOf(row)
  }

  async revoke(id: string, nowMs: number): Promise<void> {
    await this.#database.write(
      this.#builder
        .updateTable('logins')
        .set({ revoked_at: nowMs })
        .where('id', '=', id)
        .where('revoked_at', 'is', null),
    )
  }

  /** Deletes logins that ended before a time, with their refresh tokens. */
  async purge(beforeMs: number): Promise<void> {
    const ended = sql<boolean>`(logins.expires_at < ${beforeMs} or logins.revoked_at < ${beforeMs})`
    await this.#database.write(
      this.#builder
        .deleteFrom('refresh_tokens')
        .where('login_id', 'in', this.#builder.selectFrom('logins').select('id').where(ended)),
      this.#builder.deleteFrom('logins').where(ended),
    )
  }

  #logins() {
    return this.#builder
      .selectFrom('logins')
      .innerJoin('users', 'users.id', 'logins.user_id')
      .where('users.deleted_at', 'is', null)
      .selectAll('users')
      .select(['logins.id as login_id', 'logins.expires_at as login_expires_at'])
      .select('logins.revoked_at as login_revoked_at')
  }
}

function loginOf(
  row: Parameters<typeof userOf>[0] & {
    login_id: string
    login_expires_at: bigint
    login_revoked_at: bigint | null
  },
): StoredLogin {
  return {
    id: row.login_id,
    user: userOf(row),
    expiresAtMs: Number(row.login_expires_at),
    revoked: row.login_revoked_at !== null,
  }
}
