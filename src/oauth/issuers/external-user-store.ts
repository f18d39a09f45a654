// The rows that say which of our users a subject of another issuer is.
import type { Kysely } from 'kysely'
import type { Compilable, Database } from '../../db/database.ts'
import { userOf, type Int, type User, type UserTable } from '../../identity/user-store.ts'

interface Tables {
  users: UserTable
  external_user: { issuer: string; subject: string; user_id: string; roles_at: Int; created_at: Int }
}

/** Who a token is about, in the words of who issued it. */
export interface Subject {
  readonly issuer: string
  readonly subject: string
}

export interface ExternalUser {
  readonly userId: string
  /** Undefined where an administrator deleted the user. */
  readonly user: User | undefined
  /** Seconds since the epoch: when the token was issued that the roles follow. */
  readonly rolesAtS: number
}

export class ExternalUserStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  async find({ issuer, subject }: Subject): Promise<ExternalUser | undefined> {
    const [row] = await this.#database.read(
      this.#builder
        .selectFrom('external_user')
        .innerJoin('users', 'users.id', 'external_user.user_id')
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .selectAll('users')
        .select('roles_at'),
    )
    if (!row) return undefined
    const user = row.deleted_at === null ? userOf(row) : undefined
    return { userId: row.id, user, rolesAtS: Number(row.roles_at) }
  }

  /** The query that ties a new user to its subject, to be committed with the user. */
  insert({ issuer, subject }: Subject, of: { userId: string; rolesAtS: number; nowMs: number }): Compilable {
    const { userId, rolesAtS, nowMs } = of
    return this.#builder
      .insertInto('external_user')
      .values({ issuer, subject, user_id: userId, roles_at: rolesAtS, created_at: nowMs })
  }

  /** Notes that the roles follow a newer token. */
  async noteRoles({ issuer, subject }: Subject, rolesAtS: number): Promise<void> {
    await this.#database.write(
      this.#builder
        .updateTable('external_user')
        .set({ roles_at: rolesAtS })
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .where('roles_at', '<', BigInt(rolesAtS)),
    )
  }
}
