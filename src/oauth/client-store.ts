// The rows of clients that registered themselves.
import type { Kysely } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Client, ClientMetadata } from './client.ts'

interface Tables {
  oauth_client: {
    id: string
    /** JSON. */
    metadata: string
    secret_mac: Uint8Array | null
    created_at: bigint
    last_used_at: bigint | null
    owner_id: string | null
  }
  oauth_grant: { client_id: string }
}

/** A client of a user, as the user sees it. */
export interface OwnedClient extends Client {
  readonly ownerId: string
  readonly createdAtMs: number
  readonly lastUsedAtMs: number | undefined
}

export class ClientStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  async insert(client: Client, nowMs: number): Promise<void> {
    const { id, secretMac, ownerId, host: _, ...metadata } = client
    await this.#database.write(
      this.#builder.insertInto('oauth_client').values({
        id,
        metadata: JSON.stringify(metadata),
        secret_mac: secretMac ?? null,
        created_at: BigInt(nowMs),
        last_used_at: null,
        owner_id: ownerId ?? null,
      }),
    )
  }

  async find(id: string): Promise<Client | undefined> {
    const [row] = await this.#database.read(
      this.#builder.selectFrom('oauth_client').selectAll().where('id', '=', id),
    )
    return row && clientOf(row)
  }

  /** Clients of users by id: `limit` of those after `afterId`, of one user or of all. */
  async listOwned(page: {
    limit: number
    afterId?: string | undefined
    ownerId?: string | undefined
  }): Promise<OwnedClient[]> {
    const { limit, afterId = '', ownerId } = page
    let query = this.#builder
      .selectFrom('oauth_client')
      .selectAll()
      .where('id', '>', afterId)
      .where('owner_id', 'is not', null)
    if (ownerId !== undefined) query = query.where('owner_id', '=', ownerId)
    const rows = await this.#database.read(query.orderBy('id').limit(limit))
    return rows.map((row) => ({
      ...clientOf(row),
      ownerId: row.owner_id ?? '',
      createdAtMs: Number(row.created_at),
      lastUsedAtMs: row.last_used_at === null ? undefined : Number(row.last_used_at),
    }))
  }

  /** Removes a user's client; false where there is none, or it is not this user's. */
  async deleteOwned(id: string, ownerId: string | undefined): Promise<boolean> {
    let remove = this.#builder
      .deleteFrom('oauth_client')
      .where('id', '=', id)
      .where('owner_id', 'is not', null)
    if (ownerId !== undefined) remove = remove.where('owner_id', '=', ownerId)
    const [removed] = await this.#database.write(remove)
    return removed === 1
  }

  async count(): Promise<number> {
    const [row] = await this.#database.read(
      this.#builder
        .selectFrom('oauth_client')
        .select(({ fn }) => fn.countAll<bigint>().as('clients'))
        .where('owner_id', 'is', null),
    )
    return Number(row?.clients ?? 0n)
  }

  async noteUse(id: string, nowMs: number): Promise<void> {
    await this.#database.write(
      this.#builder
        .updateTable('oauth_client')
        .set({ last_used_at: BigInt(nowMs) })
        .where('id', '=', id),
    )
  }

  /** Deletes clients of nobody without any grant that have not been used since a time; those never used, since another. */
  async purge({
    unusedBeforeMs,
    idleBeforeMs,
  }: {
    unusedBeforeMs: number
    idleBeforeMs: number
  }): Promise<void> {
    const granted = this.#builder.selectFrom('oauth_grant').select('client_id')
    const remove = this.#builder
      .deleteFrom('oauth_client')
      .where('owner_id', 'is', null)
      .where('id', 'not in', granted)
    await this.#database.write(
      remove.where('last_used_at', 'is', null).where('created_at', '<', BigInt(unusedBeforeMs)),
      remove.where('last_used_at', '<', BigInt(idleBeforeMs)),
    )
  }
}

function clientOf(row: Tables['oauth_client']): Client {
  const metadata = JSON.parse(row.metadata) as ClientMetadata
  return {
    ...metadata,
    id: row.id,
    ...(row.owner_id !== null && { ownerId: row.owner_id }),
    ...(row.secret_mac && { secretMac: row.secret_mac }),
  }
}
