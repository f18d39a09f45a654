// The rows of API keys: MACs only, never a key.
import type { Insertable, Kysely, Selectable, Updateable } from 'kysely'
import type { Database } from '../db/database.ts'
import { userOf, type Int, type IntOrNull, type User, type UserTable } from './user-store.ts'

interface KeyTable {
  id: string
  user_id: string
  name: string
  mac: Uint8Array
  previous_mac: Uint8Array | null
  previous_until: IntOrNull
  /** JSON array of server names, or null for all. */
  servers: string | null
  created_at: Int
  expires_at: IntOrNull
  last_used_at: IntOrNull
  suspended_by: string | null
}

interface Tables {
  users: UserTable
  api_keys: KeyTable
}

/** An API key as it may be shown. Times in milliseconds since the epoch. */
export interface ApiKey {
  readonly id: string
  readonly userId: string
  readonly name: string
  /** The first, public part of the key's text. */
  readonly prefix: string
  readonly servers?: readonly string[]
  readonly createdAtMs: number
  readonly expiresAtMs?: number
  /** To the minute. */
  readonly lastUsedAtMs?: number
  /** The user who keeps it from being used. */
  readonly suspendedBy?: string
}

/** A key with what verification needs. */
export interface StoredKey {
  readonly key: ApiKey
  readonly mac: Uint8Array
  readonly previous?: { readonly mac: Uint8Array; readonly untilMs: number }
}

export interface KeyWithUser {
  readonly stored: StoredKey
  readonly user: User
}

const maxIdsAtOnce = 500

/** The public part of a key's text, from its id. */
export const keyPrefix = (id: string): string => `tb_${id.slice('key_'.length)}`

export class KeyStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  async insert(row: Insertable<KeyTable>): Promise<void> {
    await this.#database.write(this.#builder.insertInto('api_keys').values(row))
  }

  /** How many keys a user has, expired ones included. */
  async count(userId: string): Promise<number> {
    const [row] = await this.#database.read(
      this.#builder
        .selectFrom('api_keys')
        .select(({ fn }) => fn.countAll<bigint>().as('keys'))
        .where('user_id', '=', userId),
    )
    return Number(row?.keys ?? 0)
  }

  async find(id: string): Promise<StoredKey | undefined> {
    const [row] = await this.#database.read(
      this.#builder.selectFrom('api_keys').selectAll().where('id', '=', id),
    )
    return row && storedKeyOf(row)
  }

  /** A key and its user in one query; undefined where either is gone. */
  async findWithUser(id: string): Promise<KeyWithUser | undefined> {
    const [row] = await this.#database.read(this.#withUsers().where('api_keys.id', '=', id))
    return row && withUserOf(row)
  }

  /** Those that are there, by id. */
  async findManyWithUsers(ids: readonly string[]): Promise<Map<string, KeyWithUser>> {
    const found = new Map<string, KeyWithUser>()
    for (let from = 0; from < ids.length; from += maxIdsAtOnce) {
      const some = ids.slice(from, from + maxIdsAtOnce)
      for (const row of await this.#database.read(this.#withUsers().where('api_keys.id', 'in', some)))
        found.set(row.key_id, withUserOf(row))
    }
    return found
  }

  /** Keys of one user (or of all) by id, `limit` of those after `afterId`. */
  async list(limit: number, afterId: string, userId?: string): Promise<ApiKey[]> {
    let query = this.#builder.selectFrom('api_keys').selectAll().where('id', '>', afterId)
    if (userId !== undefined) query = query.where('user_id', '=', userId)
    const rows = await this.#database.read(query.orderBy('id').limit(limit))
    return rows.map((row) => storedKeyOf(row).key)
  }

  async update(id: string, change: Updateable<KeyTable>): Promise<void> {
    await this.#database.write(this.#builder.updateTable('api_keys').set(change).where('id', '=', id))
  }

  async delete(id: string): Promise<void> {
    await this.#database.write(this.#builder.deleteFrom('api_keys').where('id', '=', id))
  }

  /** Writes when keys were last used, in one transaction. */
  async touch(lastUsedAtMs: ReadonlyMap<string, number>): Promise<void> {
    const updates = Array.from(lastUsedAtMs, ([id, atMs]) =>
      this.#builder.updateTable('api_keys').set({ last_used_at: atMs }).where('id', '=', id),
    )
    await this.#database.write(...updates)
  }

  #withUsers() {
    return this.#builder
      .selectFrom('api_keys')
      .innerJoin('users', 'users.id', 'api_keys.user_id')
      .where('users.deleted_at', 'is', null)
      .selectAll('users')
      .select(['api_keys.id as key_id', 'api_keys.name as key_name', 'api_keys.created_at as key_created_at'])
      .select([
        'mac',
        'previous_mac',
        'previous_until',
        'servers',
        'expires_at',
        'last_used_at',
        'user_id',
        'suspended_by',
      ])
  }
}

function withUserOf(
  row: Selectable<UserTable> &
    Omit<Selectable<KeyTable>, 'name'> & { key_id: string; key_name: string; key_created_at: bigint },
): KeyWithUser {
  const { key_id: id, key_name: name, key_created_at: createdAt } = row
  return { stored: storedKeyOf({ ...row, id, name, created_at: createdAt }), user: userOf(row) }
}

function storedKeyOf(row: Selectable<KeyTable>): StoredKey {
  const key: ApiKey = {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    prefix: keyPrefix(row.id),
    ...(row.servers === null ? {} : { servers: JSON.parse(row.servers) as string[] }),
    createdAtMs: Number(row.created_at),
    ...(row.expires_at === null ? {} : { expiresAtMs: Number(row.expires_at) }),
    ...(row.last_used_at === null ? {} : { lastUsedAtMs: Number(row.last_used_at) }),
    ...(row.suspended_by === null ? {} : { suspendedBy: row.suspended_by }),
  }
  if (row.previous_mac === null || row.previous_until === null) return { key, mac: row.mac }
  return { key, mac: row.mac, previous: { mac: row.previous_mac, untilMs: Number(row.previous_until) } }
}
