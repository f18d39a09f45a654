// The rows of servers: definitions in the open, credentials sealed.
import type { ColumnType, Kysely } from 'kysely'
import { GatewayError } from '../base/errors.ts'
import type { Database } from '../db/database.ts'
import type { SealedColumn } from '../db/sealed-column.ts'
import type { LastFailure, Server, ServerAuth, ServerStatus, ServerTransport } from './server.ts'

/** Seals text to a place; what was sealed for another place does not open. */
export interface Sealer {
  seal(plaintext: string, context: string): string
  open(sealed: string, context: string): string
}

type Int = ColumnType<bigint, number, number>

interface Tables {
  servers: {
    id: string
    name: string
    owner_id: string
    definition: string
    secrets: string
    status: string
    last_failure: string | null
    revision: Int
    created_at: Int
    updated_at: Int
  }
}

/** What is sealed: the credential, and the values of variables and headers. */
interface Secrets {
  readonly auth: ServerAuth
  readonly values: Readonly<Record<string, string>>
}

type Definition = Omit<
  Server,
  'id' | 'name' | 'ownerId' | 'auth' | 'status' | 'lastFailure' | 'revision' | 'createdAtMs' | 'updatedAtMs'
>

export class ServerStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>
  readonly #sealer: Sealer

  constructor(database: Database, sealer: Sealer) {
    this.#database = database
    this.#builder = database.builder<Tables>()
    this.#sealer = sealer
  }

  /** Every server; rejects with `internal` where a credential cannot be opened with this key. */
  async all(): Promise<Server[]> {
    const rows = await this.#database.read(this.#builder.selectFrom('servers').selectAll().orderBy('id'))
    return rows.map((row) => {
      const secrets = JSON.parse(this.#sealer.open(row.secrets, context(row.id))) as Secrets
      const definition = JSON.parse(row.definition) as Definition
      return {
        ...definition,
        transport: withValues(definition.transport, secrets.values),
        auth: secrets.auth,
        id: row.id,
        name: row.name,
        ownerId: row.owner_id,
        status: row.status as ServerStatus,
        ...(row.last_failure !== null && { lastFailure: JSON.parse(row.last_failure) as LastFailure }),
        revision: Number(row.revision),
        createdAtMs: Number(row.created_at),
        updatedAtMs: Number(row.updated_at),
      }
    })
  }

  /** Rejects with `conflict` where the name is taken. */
  async insert(server: Server): Promise<void> {
    await this.#database.write(
      this.#builder.insertInto('servers').values({
        id: server.id,
        owner_id: server.ownerId,
        created_at: server.createdAtMs,
        ...this.#changing(server),
      }),
    )
  }

  /** Replaces the revision before this one; rejects with `conflict` where that is no longer there. */
  async update(server: Server): Promise<void> {
    const [changed] = await this.#database.write(
      this.#builder
        .updateTable('servers')
        .set(this.#changing(server))
        .where('id', '=', server.id)
        .where('revision', '=', BigInt(server.revision - 1)),
    )
    if (changed !== 1) throw new GatewayError('conflict')
  }

  /** Writes status and last failure alone; they are no change of the registration. */
  async saveHealth(servers: readonly Server[]): Promise<void> {
    await this.#database.write(
      ...servers.map((server) =>
        this.#builder.updateTable('servers').set(health(server)).where('id', '=', server.id),
      ),
    )
  }

  async remove(id: string): Promise<void> {
    await this.#database.write(this.#builder.deleteFrom('servers').where('id', '=', id))
  }

  #changing(server: Server) {
    const { id, name, ownerId: _, auth, status: _s, lastFailure: _f, revision, ...rest } = server
    const { createdAtMs: _c, updatedAtMs, ...definition } = rest
    const secrets: Secrets = { auth, values: valuesOf(server.transport) }
    const open: Definition = { ...definition, transport: withValues(server.transport, {}) }
    return {
      name,
      definition: JSON.stringify(open),
      secrets: this.#sealer.seal(JSON.stringify(secrets), context(id)),
      revision,
      updated_at: updatedAtMs,
      ...health(server),
    }
  }
}

const context = (id: string): string => `server:${id}`

export const serverCredentials: SealedColumn = {
  holds: 'credentials of servers',
  table: 'servers',
  column: 'secrets',
  id: ['id'],
  contextOf: ({ id = '' }) => context(id),
}

const health = ({ status, lastFailure }: Server) => ({
  status,
  last_failure: lastFailure ? JSON.stringify(lastFailure) : null,
})

function valuesOf(transport: ServerTransport): Readonly<Record<string, string>> {
  if (transport.type === 'aggregate' || transport.type === 'built-in') return {}
  return (transport.type === 'stdio' ? transport.env : transport.headers) ?? {}
}

/** The transport with these values of its variables or headers. */
function withValues(transport: ServerTransport, values: Readonly<Record<string, string>>): ServerTransport {
  if (transport.type === 'aggregate' || transport.type === 'built-in') return transport
  if (transport.type === 'stdio') return { ...transport, env: values }
  const { headers: _, ...rest } = transport
  return Object.keys(values).length > 0 ? { ...rest, headers: values } : rest
}
