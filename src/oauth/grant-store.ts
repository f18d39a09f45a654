// The rows of grants and of the tokens that carry each of them on.
import { sql, type Kysely } from 'kysely'
import type { Compilable, Database } from '../db/database.ts'
import type { Grant, GrantReader } from '../identity/grant.ts'
import { isScope, type Scope } from '../identity/scopes.ts'
import { userOf, type Int, type IntOrNull, type UserTable } from '../identity/user-store.ts'

interface GrantTable {
  id: string
  user_id: string
  client_id: string
  client_name: string
  redirect_uri: string
  resource: string
  /** Names joined by spaces. */
  scopes: string
  interaction: string
  code_mac: Uint8Array
  code_expires_at: Int
  challenge: string
  created_at: Int
  expires_at: Int
  last_used_at: IntOrNull
  revoked_at: IntOrNull
}

interface Tables {
  users: UserTable
  oauth_grant: GrantTable
  oauth_token: { mac: Uint8Array; grant_id: string; parent_mac: Uint8Array; created_at: Int }
}

/** A grant with what its code and its list need. Times in milliseconds since the epoch. */
export interface StoredGrant extends Grant {
  readonly clientName: string
  readonly redirectUri: string
  readonly challenge: string
  readonly codeExpiresAtMs: number
  readonly createdAtMs: number
  readonly lastUsedAtMs: number | undefined
}

export interface NewGrant {
  readonly id: string
  readonly userId: string
  readonly clientId: string
  readonly clientName: string
  readonly redirectUri: string
  readonly resource: string
  readonly scopes: readonly Scope[]
  /** Of the consent; a second grant from the same one is refused. */
  readonly interaction: string
  readonly codeMac: Uint8Array
  readonly codeExpiresAtMs: number
  readonly challenge: string
  readonly nowMs: number
  readonly expiresAtMs: number
}

const maxIdsAtOnce = 500

export class GrantStore implements GrantReader {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  /** Rejects with `conflict` where this consent was given before. */
  async insert(grant: NewGrant): Promise<void> {
    await this.#database.write(
      this.#builder.insertInto('oauth_grant').values({
        id: grant.id,
        user_id: grant.userId,
        client_id: grant.clientId,
        client_name: grant.clientName,
        redirect_uri: grant.redirectUri,
        resource: grant.resource,
        scopes: grant.scopes.join(' '),
        interaction: grant.interaction,
        code_mac: grant.codeMac,
        code_expires_at: grant.codeExpiresAtMs,
        challenge: grant.challenge,
        created_at: grant.nowMs,
        expires_at: grant.expiresAtMs,
        last_used_at: null,
        revoked_at: null,
      }),
    )
  }

  /** Gives a code or a refresh token its one successor; rejects with `conflict` where it has one. */
  async insertSuccessor(token: {
    mac: Uint8Array
    parentMac: Uint8Array
    grantId: string
    nowMs: number
  }): Promise<void> {
    const { mac, parentMac, grantId, nowMs } = token
    await this.#database.write(
      this.#builder
        .insertInto('oauth_token')
        .values({ mac, grant_id: grantId, parent_mac: parentMac, created_at: nowMs }),
      this.#builder.updateTable('oauth_grant').set({ last_used_at: nowMs }).where('id', '=', grantId),
    )
  }

  async noteUse(id: string, nowMs: number): Promise<void> {
    await this.#database.write(
      this.#builder.updateTable('oauth_grant').set({ last_used_at: nowMs }).where('id', '=', id),
    )
  }

  async find(id: string): Promise<StoredGrant | undefined> {
    const [row] = await this.#database.read(this.#grants().where('oauth_grant.id', '=', id))
    return row && grantOf(row)
  }

  async findMany(ids: readonly string[]): Promise<Map<string, StoredGrant>> {
    const found = new Map<string, StoredGrant>()
    for (let from = 0; from < ids.length; from += maxIdsAtOnce) {
      const some = ids.slice(from, from + maxIdsAtOnce)
      for (const row of await this.#database.read(this.#grants().where('oauth_grant.id', 'in', some)))
        found.set(row.grant_id, grantOf(row))
    }
    return found
  }

  async findByCode(mac: Uint8Array): Promise<StoredGrant | undefined> {
    const [row] = await this.#database.read(this.#grants().where('oauth_grant.code_mac', '=', mac))
    return row && grantOf(row)
  }

  /** The grant that a refresh token belongs to, whether it has been used before or not. */
  async findByToken(mac: Uint8Array): Promise<StoredGrant | undefined> {
    const [row] = await this.#database.read(
      this.#grants()
        .innerJoin('oauth_token', 'oauth_token.grant_id', 'oauth_grant.id')
        .where('oauth_token.mac', '=', mac),
    )
    return row && grantOf(row)
  }

  /** A user's grant in use to a client for an endpoint, which nobody had to come for with a code. */
  async findDirect(of: {
    userId: string
    clientId: string
    resource: string
    nowMs: number
  }): Promise<StoredGrant | undefined> {
    const [row] = await this.#database.read(
      this.#grants()
        .where('oauth_grant.user_id', '=', of.userId)
        .where('oauth_grant.client_id', '=', of.clientId)
        .where('oauth_grant.resource', '=', of.resource)
        .where('oauth_grant.challenge', '=', '')
        .where('oauth_grant.revoked_at', 'is', null)
        .where('oauth_grant.expires_at', '>', BigInt(of.nowMs))
        .orderBy('oauth_grant.id', 'desc')
        .limit(1),
    )
    return row && grantOf(row)
  }

  /** Ids of the grants of a client that are in use. */
  async listIdsOfClient(clientId: string): Promise<string[]> {
    const rows = await this.#database.read(
      this.#builder
        .selectFrom('oauth_grant')
        .select('id')
        .where('client_id', '=', clientId)
        .where('revoked_at', 'is', null),
    )
    return rows.map(({ id }) => id)
  }

  /** Grants that are in use, by id: `limit` of those after `afterId`, of one user or of all. */
  async listLive(page: {
    nowMs: number
    limit: number
    afterId?: string | undefined
    userId?: string | undefined
  }): Promise<StoredGrant[]> {
    const { nowMs, limit, afterId = '', userId } = page
    let query = this.#grants()
      .where('oauth_grant.id', '>', afterId)
      .where('oauth_grant.revoked_at', 'is', null)
      .where('oauth_grant.last_used_at', 'is not', null)
      .where('oauth_grant.expires_at', '>', BigInt(nowMs))
    if (userId !== undefined) query = query.where('oauth_grant.user_id', '=', userId)
    const rows = await this.#database.read(query.orderBy('oauth_grant.id').limit(limit))
    return rows.map(grantOf)
  }

  /** False where it is not there, ended before, or is not this user's. */
  async revoke(id: string, change: { nowMs: number; userId?: string | undefined }): Promise<boolean> {
    let update = this.#builder
      .updateTable('oauth_grant')
      .set({ revoked_at: change.nowMs })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
    if (change.userId !== undefined) update = update.where('user_id', '=', change.userId)
    const [changed] = await this.#database.write(update)
    return changed === 1
  }

  /** Ends all grants of a user, to be committed with a change of the user that carries the same time. */
  endOfUser(userId: string, atMs: number): Compilable {
    const changed = this.#builder
      .selectFrom('users')
      .select('id')
      .where('id', '=', userId)
      .where('updated_at', '=', BigInt(atMs))
    return this.#builder
      .updateTable('oauth_grant')
      .set({ revoked_at: atMs })
      .where('user_id', '=', userId)
      .where('revoked_at', 'is', null)
      .where((is) => is.exists(changed))
  }

  /**
   * Deletes grants that ended before a time, with their tokens, and those whose code nobody came for; and what was used
   * once of grants without a code, which has ended by itself since.
   */
  async purge(beforeMs: number): Promise<void> {
    const ended = sql<boolean>`(oauth_grant.expires_at < ${beforeMs} or oauth_grant.revoked_at < ${beforeMs}
      or (oauth_grant.last_used_at is null and oauth_grant.code_expires_at < ${beforeMs}))`
    const grantIds = this.#builder.selectFrom('oauth_grant').select('id')
    await this.#database.write(
      this.#builder
        .deleteFrom('oauth_token')
        .where('created_at', '<', BigInt(beforeMs))
        .where('grant_id', 'in', grantIds.where('challenge', '=', '')),
      this.#builder.deleteFrom('oauth_token').where('grant_id', 'in', grantIds.where(ended)),
      this.#builder.deleteFrom('oauth_grant').where(ended),
    )
  }

  #grants() {
    return this.#builder
      .selectFrom('oauth_grant')
      .innerJoin('users', 'users.id', 'oauth_grant.user_id')
      .where('users.deleted_at', 'is', null)
      .selectAll('users')
      .select(['oauth_grant.id as grant_id', 'client_id', 'client_name', 'redirect_uri', 'resource'])
      .select(['scopes', 'challenge', 'code_expires_at', 'oauth_grant.created_at as granted_at'])
      .select(['expires_at', 'last_used_at', 'revoked_at'])
  }
}

function grantOf(
  row: Parameters<typeof userOf>[0] & {
    grant_id: string
    client_id: string
    client_name: string
    redirect_uri: string
    resource: string
    scopes: string
    challenge: string
    code_expires_at: bigint
    granted_at: bigint
    expires_at: bigint
    last_used_at: bigint | null
    revoked_at: bigint | null
  },
): StoredGrant {
  return {
    id: row.grant_id,
    user: userOf(row),
    clientId: row.client_id,
    clientName: row.client_name,
    redirectUri: row.redirect_uri,
    resource: row.resource,
    scopes: row.scopes.split(' ').filter(isScope),
    challenge: row.challenge,
    codeExpiresAtMs: Number(row.code_expires_at),
    createdAtMs: Number(row.granted_at),
    expiresAtMs: Number(row.expires_at),
    lastUsedAtMs: row.last_used_at === null ? undefined : Number(row.last_used_at),
    revoked: row.revoked_at !== null,
  }
}
