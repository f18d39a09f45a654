// The table of sessions, as the API shows them.
import type { Database } from '../db/database.ts'
import type { Transport } from '../usage/record.ts'
import type { Session, SessionStatus } from './session.ts'

interface Tables {
  session: {
    id: string
    user_id: string
    account_id: string
    key_id: string | null
    server_id: string
    transport: string
    status: SessionStatus
    created_at: bigint
    last_active_at: bigint
    expires_at: bigint
  }
}

/** A session as the store has it; live ones are in memory. */
export interface StoredSession {
  readonly id: string
  readonly userId: string
  readonly accountId: string
  readonly serverId: string
  readonly transport: Transport
  readonly status: SessionStatus
  readonly createdAtMs: number
  readonly lastActiveAtMs: number
  readonly expiresAtMs: number
}

export class SessionStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async insert(session: Session): Promise<void> {
    await this.#db.write(
      this.#sql.insertInto('session').values({
        id: session.id,
        user_id: session.userId,
        account_id: session.principal.accountId,
        key_id: session.principal.keyId ?? null,
        server_id: session.serverId,
        transport: session.transport,
        status: session.status,
        created_at: BigInt(session.createdAtMs),
        last_active_at: BigInt(session.lastActiveAtMs),
        expires_at: BigInt(session.expiresAtMs),
      }),
    )
  }

  /** Writes down how sessions stand now; one transaction for all. */
  async update(sessions: readonly Session[]): Promise<void> {
    if (sessions.length === 0) return
    const statements = sessions.map((session) =>
      this.#sql
        .updateTable('session')
        .set({ status: session.status, last_active_at: BigInt(session.lastActiveAtMs) })
        .where('id', '=', session.id),
    )
    await this.#db.write(...statements)
  }

  /** Sessions live in their process: what a former one left open ended with it. Returns how many there were. */
  async closeLeftovers(): Promise<number> {
    const leftovers = this.#sql
      .updateTable('session')
      .set({ status: 'closed' })
      .where('status', 'not in', ['closed', 'expired'])
    return (await this.#db.write(leftovers))[0] ?? 0
  }

  async find(id: string): Promise<StoredSession | undefined> {
    const [row] = await this.#db.read(this.#sql.selectFrom('session').selectAll().where('id', '=', id))
    return row && toStored(row)
  }

  /** Newest first, older than the id `before`; of one user, or of all. */
  async list(page: { userId?: string; before?: string; limit: number }): Promise<StoredSession[]> {
    let query = this.#sql.selectFrom('session').selectAll().orderBy('id', 'desc').limit(page.limit)
    if (page.userId !== undefined) query = query.where('user_id', '=', page.userId)
    if (page.before !== undefined) query = query.where('id', '<', page.before)
    return (await this.#db.read(query)).map(toStored)
  }
}

function toStored(row: Tables['session']): StoredSession {
  return {
    id: row.id,
    userId: row.user_id,
    accountId: row.account_id,
    serverId: row.server_id,
    transport: row.transport as Transport,
    status: row.status,
    createdAtMs: Number(row.created_at),
    lastActiveAtMs: Number(row.last_active_at),
    expiresAtMs: Number(row.expires_at),
  }
}
