// The rows of bundles.
import type { ColumnType, Kysely } from 'kysely'
import { GatewayError } from '../base/errors.ts'
import type { Database } from '../db/database.ts'
import type { Bundle } from './bundle.ts'

type Int = ColumnType<bigint, number, number>

interface Tables {
  bundle: {
    id: string
    name: string
    owner_id: string
    definition: string
    revision: Int
    created_at: Int
    updated_at: Int
  }
}

type Definition = Omit<Bundle, 'id' | 'name' | 'ownerId' | 'revision' | 'createdAtMs' | 'updatedAtMs'>

export class BundleStore {
  readonly #database: Database
  readonly #builder: Kysely<Tables>

  constructor(database: Database) {
    this.#database = database
    this.#builder = database.builder<Tables>()
  }

  async all(): Promise<Bundle[]> {
    const rows = await this.#database.read(this.#builder.selectFrom('bundle').selectAll().orderBy('id'))
    return rows.map((row) => ({
      ...(JSON.parse(row.definition) as Definition),
      id: row.id,
      name: row.name,
      ownerId: row.owner_id,
      revision: Number(row.revision),
      createdAtMs: Number(row.created_at),
      updatedAtMs: Number(row.updated_at),
    }))
  }

  /** Rejects with `conflict` where the name is taken. */
  async insert(bundle: Bundle): Promise<void> {
    await this.#database.write(
      this.#builder.insertInto('bundle').values({
        id: bundle.id,
        owner_id: bundle.ownerId,
        created_at: bundle.createdAtMs,
        ...changing(bundle),
      }),
    )
  }

  /** Replaces the revision before this one; rejects with `conflict` where that is no longer there. */
  async update(bundle: Bundle): Promise<void> {
    const [changed] = await this.#database.write(
      this.#builder
        .updateTable('bundle')
        .set(changing(bundle))
        .where('id', '=', bundle.id)
        .where('revision', '=', BigInt(bundle.revision - 1)),
    )
    if (changed !== 1) throw new GatewayError('conflict')
  }

  async remove(id: string): Promise<void> {
    await this.#database.write(this.#builder.deleteFrom('bundle').where('id', '=', id))
  }
}

function changing({ name, description, access, publicAccountId, members, revision, updatedAtMs }: Bundle) {
  const definition: Definition = {
    access,
    members,
    ...(description !== undefined && { description }),
    ...(publicAccountId !== undefined && { publicAccountId }),
  }
  return { name, definition: JSON.stringify(definition), revision, updated_at: updatedAtMs }
}
