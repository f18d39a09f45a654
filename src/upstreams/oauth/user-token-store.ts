// Rows of the tokens that users let us have for servers, and of the clients that we registered as; what is secret is sealed.
import type { ColumnType, Kysely } from 'kysely'
import type { Database } from '../../db/database.ts'
import type { SealedColumn } from '../../db/sealed-column.ts'

interface Sealer {
  seal(plaintext: string, context: string): string
  open(sealed: string, context: string): string
}

/** What one user let us have for one server. Times in milliseconds since the epoch. */
export interface UserGrant {
  readonly serverId: string
  readonly userId: string
  /** The authorization server, and the client that it gave the tokens to: they are good for no other. */
  readonly issuer: string
  readonly clientId: string
  readonly accessToken: string
  readonly refreshToken?: string | undefined
  readonly expiresAtMs?: number | undefined
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Who we are at an authorization server that registers clients itself (RFC 7591). */
export interface RegisteredClient {
  readonly clientId: string
  readonly clientSecret?: string | undefined
  /** How it proves itself (`token_endpoint_auth_method`). */
  readonly method?: string | undefined
}

type Int = ColumnType<bigint, number, number>
type IntOrNull = ColumnType<bigint | null, number | null, number | null>

interface Tables {
  upstream_token: {
    server_id: string
    user_id: string
    issuer: string
    client_id: string
    secrets: string
    expires_at: IntOrNull
    created_at: Int
    updated_at: Int
  }
  upstream_client: { server_id: string; issuer: string; secrets: string; created_at: Int }
}

type TokenSecrets = Pick<UserGrant, 'accessToken' | 'refreshToken'>

const tokenContext = (serverId: string, userId: string): string => `upstream-token:${serverId}:${userId}`
const clientContext = (serverId: string, issuer: string): string => `upstream-client:${serverId}:${issuer}`

export const userTokens: SealedColumn = {
  holds: 'tokens of users for servers',
  table: 'upstream_token',
  column: 'secrets',
  id: ['server_id', 'user_id'],
  contextOf: (id) => tokenContext(id['server_id'] ?? '', id['user_id'] ?? ''),
}

export const registeredClients: SealedColumn = {
  holds: 'clients that the gateway is registered as',
  table: 'upstream_client',
  column: 'secrets',
  id: ['server_id', 'issuer'],
  contextOf: (id) => clientContext(id['server_id'] ?? '', id['issuer'] ?? ''),
}

export class UserTokenStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>
  readonly #sealer: Sealer

  constructor(db: Database, sealer: Sealer) {
    this.#db = db
    this.#sql = db.builder<Tables>()
    this.#sealer = sealer
  }

  async list(): Promise<UserGrant[]> {
    const rows = await this.#db.read(this.#sql.selectFrom('upstream_token').selectAll())
    return rows.map((row) => ({
      ...(JSON.parse(
        this.#sealer.open(row.secrets, tokenContext(row.server_id, row.user_id)),
      ) as TokenSecrets),
      serverId: row.server_id,
      userId: row.user_id,
      issuer: row.issuer,
      clientId: row.client_id,
      ...(row.expires_at !== null && { expiresAtMs: Number(row.expires_at) }),
      createdAtMs: Number(row.created_at),
      updatedAtMs: Number(row.updated_at),
    }))
  }

  /** In place of what the user let us have before. */
  async put(grant: UserGrant): Promise<void> {
    const { serverId, userId, accessToken, refreshToken } = grant
    const secrets = JSON.stringify({ accessToken, refreshToken } satisfies TokenSecrets)
    const row = {
      server_id: serverId,
      user_id: userId,
      issuer: grant.issuer,
      client_id: grant.clientId,
      secrets: this.#sealer.seal(secrets, tokenContext(serverId, userId)),
      expires_at: grant.expiresAtMs ?? null,
      created_at: grant.createdAtMs,
      updated_at: grant.updatedAtMs,
    }
    await this.#db.write(this.#delete(serverId, userId), this.#sql.insertInto('upstream_token').values(row))
  }

  async remove(serverId: string, userId: string): Promise<void> {
    await this.#db.write(this.#delete(serverId, userId))
  }

  /** Everything of a server that is gone. */
  async removeServer(serverId: string): Promise<void> {
    await this.#db.write(
      this.#sql.deleteFrom('upstream_token').where('server_id', '=', serverId),
      this.#sql.deleteFrom('upstream_client').where('server_id', '=', serverId),
    )
  }

  async findClient(serverId: string, issuer: string): Promise<RegisteredClient | undefined> {
    const [row] = await this.#db.read(
      this.#sql
        .selectFrom('upstream_client')
        .selectAll()
        .where('server_id', '=', serverId)
        .where('issuer', '=', issuer),
    )
    if (!row) return undefined
    return JSON.parse(this.#sealer.open(row.secrets, clientContext(serverId, issuer))) as RegisteredClient
  }

  async putClient(serverId: string, issuer: string, client: RegisteredClient, atMs: number): Promise<void> {
    const secrets = this.#sealer.seal(JSON.stringify(client), clientContext(serverId, issuer))
    await this.#db.write(
      this.#sql.deleteFrom('upstream_client').where('server_id', '=', serverId).where('issuer', '=', issuer),
      this.#sql
        .insertInto('upstream_client')
        .values({ server_id: serverId, issuer, secrets, created_at: atMs }),
    )
  }

  #delete(serverId: string, userId: string) {
    return this.#sql
      .deleteFrom('upstream_token')
      .where('server_id', '=', serverId)
      .where('user_id', '=', userId)
  }
}
