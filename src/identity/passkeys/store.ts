// Rows of passkeys: public keys only.
import type { ColumnType, Kysely, Selectable } from 'kysely'
import type { Database } from '../../db/database.ts'

type Int = ColumnType<bigint, number, number>
type IntOrNull = ColumnType<bigint | null, number | null, number | null>

interface PasskeyTable {
  id: string
  user_id: string
  credential: string
  public_key: string
  counter: Int
  transports: string
  name: string
  created_at: Int
  last_used_at: IntOrNull
}

interface Tables {
  passkey: PasskeyTable
}

/** A passkey of a user. Times in milliseconds since the epoch. */
export interface Passkey {
  readonly id: string
  readonly userId: string
  /** The authenticator's own id of it, base64url. */
  readonly credential: string
  /** COSE, base64url. */
  readonly publicKey: string
  /** How often the authenticator says it has signed; 0 where it does not count. */
  readonly counter: number
  readonly transports: readonly string[]
  readonly name: string
  readonly createdAtMs: number
  readonly lastUsedAtMs?: number
}

export class PasskeyStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** Oldest first. */
  async listOf(userId: string): Promise<Passkey[]> {
    const query = this.#sql.selectFrom('passkey').selectAll().where('user_id', '=', userId).orderBy('id')
    return (await this.#db.read(query)).map(passkeyOf)
  }

  async findByCredential(credential: string): Promise<Passkey | undefined> {
    const query = this.#sql.selectFrom('passkey').selectAll().where('credential', '=', credential)
    const [row] = await this.#db.read(query)
    return row && passkeyOf(row)
  }

  /** Rejects with `conflict` where the credential is registered already. */
  async insert(passkey: Passkey): Promise<void> {
    await this.#db.write(
      this.#sql.insertInto('passkey').values({
        id: passkey.id,
        user_id: passkey.userId,
        credential: passkey.credential,
        public_key: passkey.publicKey,
        counter: passkey.counter,
        transports: JSON.stringify(passkey.transports),
        name: passkey.name,
        created_at: passkey.createdAtMs,
        last_used_at: null,
      }),
    )
  }

  /** Notes a use; false where the counter has not gone on from `before`, so that somebody else was faster. */
  async use(id: string, counts: { before: number; after: number; atMs: number }): Promise<boolean> {
    const [changed] = await this.#db.write(
      this.#sql
        .updateTable('passkey')
        .set({ counter: counts.after, last_used_at: counts.atMs })
        .where('id', '=', id)
        .where('counter', '=', BigInt(counts.before)),
    )
    return changed === 1
  }

  /** False where the user has no such passkey. */
  async remove(id: string, userId: string): Promise<boolean> {
    const [removed] = await this.#db.write(
      this.#sql.deleteFrom('passkey').where('id', '=', id).where('user_id', '=', userId),
    )
    return removed === 1
  }
}

function passkeyOf(row: Selectable<PasskeyTable>): Passkey {
  return {
    id: row.id,
    userId: row.user_id,
    credential: row.credential,
    publicKey: row.public_key,
    counter: Number(row.counter),
    transports: JSON.parse(row.transports) as string[],
    name: row.name,
    createdAtMs: Number(row.created_at),
    ...(row.last_used_at !== null && { lastUsedAtMs: Number(row.last_used_at) }),
  }
}
