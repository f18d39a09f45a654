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
  }
  oauth_grant: { client_id: string }
}

export class ClientStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  async insert(client: Client, nowMs: number): Promise<void> {
    const { id, secretMac, name, redirectUris, grantTypes, authMethod } = client
    const metadata: ClientMetadata = { name, redirectUris, grantTypes, authMethod }
    await this.#database.write(
      this.#builder.insertInto('oauth_client').values({
        id,
        metadata: JSON.stringify(metadata),
        secret_mac: secretMac ?? null,
        created_at: BigInt(nowMs),
        last_used_at: null,
      }),
    )
  }

  async find(id: string): Promise<Client | undefined> {
    const [row] = await this.#database.read(
      this.#builder.selectFrom('oauth_client').selectAll().where('id', '=', id),
    )
    if (!row) return undefined
    const metadata = JSON.parse(row.metadata) as ClientMetadata
    return { ...metadata, id: row.id, ...(row.secret_mac && { secretMac: row.secret_mac }) }
  }

  async count(): Promise<number> {
    const [row] = await this.#database.read(
      this.#builder.selectFrom('oauth_client').select(({ fn }) => fn.countAll<bigint>().as('clients')),
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

  /** Deletes clients without any grant that have not been used since a time; those never used, since another. */
  async purge({
    unusedBeforeMs,
    idleBeforeMs,
  }: {
    unusedBeforeMs: number
    idleBeforeMs: number
  }): Promise<void> {
    const granted = this.#builder.selectFrom('oauth_grant').select('client_id')
    const remove = this.#builder.deleteFrom('oauth_client').where('id', 'not in', granted)
    await this.#database.write(
      remove.where('last_used_at', 'is', null).where('created_at', '<', BigInt(unusedBeforeMs)),
      remove.where('last_used_at', '<', BigInt(idleBeforeMs)),
    )
  }
}
