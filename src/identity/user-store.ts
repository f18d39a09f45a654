// The rows of users, and the last word on which of them may still log in.
import type { ColumnType, Insertable, Kysely, Selectable, Updateable } from 'kysely'
import type { Compilable, Database } from '../db/database.ts'
import { roles, type Role } from './principal.ts'

/** A 64-bit integer: read as bigint, written as a number. */
export type Int = ColumnType<bigint, number, number>
export type IntOrNull = ColumnType<bigint | null, number | null, number | null>

export interface UserTable {
  id: string
  username: string
  email: string | null
  password_hash: string
  /** Names of roles, joined by spaces. */
  roles: string
  /** JSON array. */
  group_names: ColumnType<string, string | undefined, string>
  account_id: string
  disabled: Int
  created_at: Int
  updated_at: Int
  deleted_at: IntOrNull
}

interface Tables {
  users: UserTable
  logins: { user_id: string; revoked_at: IntOrNull }
}

/** A query of another folder that has to be in the same transaction. */
export type CompanionWrite = Compilable

/** A user, without the password. Times in milliseconds since the epoch. */
export interface User {
  readonly id: string
  /** Lower case. */
  readonly username: string
  readonly email?: string
  readonly roles: readonly Role[]
  /** For access rules. They give no rights by themselves. */
  readonly groups: readonly string[]
  readonly accountId: string
  readonly disabled: boolean
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** What a login has to know of a user. */
export interface StoredUser extends User {
  readonly passwordHash: string
}

export const formatRoles = (list: readonly Role[]): string =>
  roles.filter((role) => list.includes(role)).join(' ')

/** The roles of a row; a name that this version does not know gives no rights. */
const parseRoles = (text: string): Role[] => roles.filter((role) => text.split(' ').includes(role))

/** A row as the rest of the gateway sees it. */
export function userOf(row: Selectable<UserTable>): User {
  return {
    id: row.id,
    username: row.username,
    ...(row.email === null ? {} : { email: row.email }),
    roles: parseRoles(row.roles),
    groups: JSON.parse(row.group_names) as string[],
    accountId: row.account_id,
    disabled: row.disabled !== 0n,
    createdAtMs: Number(row.created_at),
    updatedAtMs: Number(row.updated_at),
  }
}

/** What a caller is by being this user. */
export const callerOf = ({ id, username, roles: held, groups, accountId }: User) => ({
  userId: id,
  username,
  roles: held,
  ...(groups.length > 0 && { groups }),
  accountId,
})

export class UserStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  /** Inserts a user and what goes with it; rejects with `conflict` where the name is taken. */
  async insert(row: Insertable<UserTable>, companions: readonly CompanionWrite[]): Promise<void> {
    await this.#database.write(this.#builder.insertInto('users').values(row), ...companions)
  }

  async isEmpty(): Promise<boolean> {
    const rows = await this.#database.read(this.#builder.selectFrom('users').select('id').limit(1))
    return rows.length === 0
  }

  async find(id: string): Promise<User | undefined> {
    const [row] = await this.#database.read(this.#living().where('id', '=', id))
    return row && userOf(row)
  }

  async findByName(username: string): Promise<StoredUser | undefined> {
    const [row] = await this.#database.read(this.#living().where('username', '=', username))
    return row && { ...userOf(row), passwordHash: row.password_hash }
  }

  /** Users by id, `limit` of those after `afterId`. */
  async list(limit: number, afterId: string): Promise<User[]> {
    const rows = await this.#database.read(
      this.#living().where('id', '>', afterId).orderBy('id').limit(limit),
    )
    return rows.map(userOf)
  }

  /**
   * Changes a user; false where nothing was changed. `endLoginsAtMs` ends the user's logins in the same
   * transaction, and `companions` commit with it; `keepAnAdmin` refuses the change unless another admin who can log in remains.
   */
  async update(
    id: string,
    change: Updateable<UserTable>,
    options: {
      endLoginsAtMs?: number | undefined
      companions?: readonly CompanionWrite[] | undefined
      keepAnAdmin?: boolean
    },
  ): Promise<boolean> {
    let update = this.#builder.updateTable('users').set(change).where('id', '=', id)
    update = update.where('deleted_at', 'is', null)
    if (options.keepAnAdmin) {
      const others = this.#living().where('id', '<>', id).where('disabled', '=', 0n)
      update = update.where((is) => is.exists(others.where('roles', 'like', '%admin%')))
    }
    const [changed] = await this.#database.write(
      update,
      ...(options.endLoginsAtMs === undefined ? [] : [this.#endLogins(id, options.endLoginsAtMs)]),
      ...(options.companions ?? []),
    )
    return changed === 1
  }

  #living() {
    return this.#builder.selectFrom('users').selectAll().where('deleted_at', 'is', null)
  }

  #endLogins(userId: string, atMs: number): Compilable {
    return (
      this.#builder
        .updateTable('logins')
        .set({ revoked_at: atMs })
        .where('user_id', '=', userId)
        .where('revoked_at', 'is', null)
        // Only where the change before it, which carries this time, was not refused.
        .where((is) =>
          is.exists(
            this.#builder
              .selectFrom('users')
              .select('id')
              .where('id', '=', userId)
              .where('updated_at', '=', BigInt(atMs)),
          ),
        )
    )
  }
}
