// The table of sessions: what the API shows of them, and what those that outlive the process need to go on.
import { sql } from 'kysely'
import type { Compilable, Database } from '../db/database.ts'
import type { SealedColumn } from '../db/sealed-column.ts'
import type { Client, Transport } from '../usage/record.ts'
import { hashToken } from './session-token.ts'
import type { Session, SessionStatus } from './session.ts'

interface Tables {
  session: {
    id: string
    user_id: string
    account_id: string
    key_id: string | null
    login_id: string | null
    grant_id: string | null
    server_id: string
    transport: string
    status: SessionStatus
    created_at: bigint
    last_active_at: bigint
    expires_at: bigint
    idle_ms: bigint | null
    ephemeral: bigint | null
    /** JSON. */
    client: string | null
    token_hash: string | null
    way: SessionWay | null
    protocol_version: string | null
    initialize_body: Uint8Array | null
    /** Sealed. */
    upstream_session: string | null
  }
}

/** How a session goes on in another process: with the server's own session, or with one that is opened again. */
export type SessionWay = 'straight' | 'reopened'

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

/** A session of a former process that may go on. */
export interface LeftSession extends StoredSession {
  readonly keyId: string | undefined
  readonly loginId: string | undefined
  readonly grantId?: string | undefined
  readonly idleMs: number
  readonly ephemeral: boolean
  readonly client: Client
  readonly tokenHash: string
  readonly way: SessionWay
  readonly protocolVersion: string | undefined
  readonly initializeBody: Uint8Array | undefined
  readonly upstreamSessionId: string | undefined
}

/** Encrypts for storage; `open` throws where it was sealed for another context or by another key. */
export interface Sealer {
  seal(text: string, context: string): string
  open(sealed: string, context: string): string
}

const shown = [
  'id',
  'user_id',
  'account_id',
  'server_id',
  'transport',
  'status',
  'created_at',
  'last_active_at',
  'expires_at',
] as const
/** As the index of open sessions says it; with parameters it would not be found. */
const isOpen = sql<boolean>`status NOT IN ('closed', 'expired')`
/** What is let go of when a session has ended: its row stays, to be shown. */
const nothingToGoOnWith = { token_hash: null, initialize_body: null, upstream_session: null } as const
/** A larger initialize is not kept: its session cannot be opened again. */
const maxInitializeBytes = 64 * 1024
const maxIdsAtOnce = 500

export class SessionStore {
  readonly #db: Database
  readonly #sealer: Sealer
  readonly #sql

  constructor(db: Database, sealer: Sealer) {
    this.#db = db
    this.#sealer = sealer
    this.#sql = db.builder<Tables>()
  }

  async insert(session: Session): Promise<void> {
    const { principal } = session
    await this.#db.write(
      this.#sql.insertInto('session').values({
        id: session.id,
        user_id: session.userId,
        account_id: principal.accountId,
        key_id: principal.keyId ?? null,
        login_id: principal.loginId ?? null,
        grant_id: principal.grantId ?? null,
        server_id: session.serverId,
        transport: session.transport,
        created_at: BigInt(session.createdAtMs),
        expires_at: BigInt(session.expiresAtMs),
        idle_ms: BigInt(session.idleMs),
        ephemeral: session.ephemeral ? 1n : 0n,
        ...this.#state(session),
      }),
    )
  }

  /** Writes down when sessions were used, and where they stand; one transaction for all. */
  async update(sessions: readonly Session[]): Promise<void> {
    const statements = sessions.map((session) =>
      this.#sql
        .updateTable('session')
        .set({
          status: session.status,
          last_active_at: BigInt(session.lastActiveAtMs),
          ...(!session.open && nothingToGoOnWith),
        })
        .where('id', '=', session.id),
    )
    await this.#write(statements)
  }

  /** Writes down all that open sessions need to go on in another process; one transaction for all. */
  async save(sessions: readonly Session[]): Promise<void> {
    const open = sessions.filter((session) => session.open)
    const statements = open.map((session) =>
      this.#sql.updateTable('session').set(this.#state(session)).where('id', '=', session.id),
    )
    await this.#write(statements)
  }

  /** What a former process left open and may go on, the latest used first; everything else that was open is closed. */
  async takeLeft(limit: number): Promise<LeftSession[]> {
    const open = this.#sql.selectFrom('session').where(isOpen)
    const rows = await this.#db.read(
      open
        .selectAll()
        .where('token_hash', 'is not', null)
        .where((is) => is.or([is('status', '!=', 'created'), is('ephemeral', '=', 0n)]))
        .orderBy('last_active_at', 'desc')
        .limit(limit),
    )
    const taken = new Set(rows.map((row) => row.id))
    const all = await this.#db.read(open.select('id'))
    await this.end(
      all.map(({ id }) => id).filter((id) => !taken.has(id)),
      'closed',
    )
    return rows.map((row) => this.#toLeft(row))
  }

  /** Ends sessions that are not in memory. */
  async end(ids: readonly string[], as: 'closed' | 'expired'): Promise<void> {
    const statements: Compilable[] = []
    for (let from = 0; from < ids.length; from += maxIdsAtOnce) {
      const some = ids.slice(from, from + maxIdsAtOnce)
      statements.push(
        this.#sql
          .updateTable('session')
          .set({ status: as, ...nothingToGoOnWith })
          .where('id', 'in', some),
      )
    }
    await this.#write(statements)
  }

  async find(id: string): Promise<StoredSession | undefined> {
    const [row] = await this.#db.read(this.#sql.selectFrom('session').select(shown).where('id', '=', id))
    return row && toStored(row)
  }

  /** Newest first, older than the id `before`; of one user, or of all. */
  async list(page: { userId?: string; before?: string; limit: number }): Promise<StoredSession[]> {
    let query = this.#sql.selectFrom('session').select(shown).orderBy('id', 'desc').limit(page.limit)
    if (page.userId !== undefined) query = query.where('user_id', '=', page.userId)
    if (page.before !== undefined) query = query.where('id', '<', page.before)
    return (await this.#db.read(query)).map(toStored)
  }

  async #write(statements: readonly Compilable[]): Promise<void> {
    if (statements.length > 0) await this.#db.write(...statements)
  }

  #state(session: Session) {
    const { initializeBody, upstreamSessionId, token } = session
    const isKept = initializeBody !== undefined && initializeBody.length <= maxInitializeBytes
    return {
      status: session.status,
      last_active_at: BigInt(session.lastActiveAtMs),
      ...(session.transport === 'streamable-http' && token !== '' && { token_hash: hashToken(token) }),
      client: JSON.stringify(session.client),
      way: session.straight ? ('straight' as const) : ('reopened' as const),
      protocol_version: session.protocolVersion ?? null,
      initialize_body: isKept ? initializeBody : null,
      upstream_session:
        upstreamSessionId === undefined ? null : this.#sealer.seal(upstreamSessionId, context(session.id)),
    }
  }

  #toLeft(row: Tables['session']): LeftSession {
    return {
      ...toStored(row),
      keyId: row.key_id ?? undefined,
      loginId: row.login_id ?? undefined,
      grantId: row.grant_id ?? undefined,
      idleMs: Number(row.idle_ms ?? 0n),
      ephemeral: row.ephemeral === 1n,
      client: JSON.parse(row.client ?? '{}') as Client,
      tokenHash: row.token_hash ?? '',
      way: row.way ?? 'reopened',
      protocolVersion: row.protocol_version ?? undefined,
      initializeBody: row.initialize_body ?? undefined,
      upstreamSessionId: this.#unseal(row),
    }
  }

  /** A changed master secret is no reason not to start: the server's session is then opened again. */
  #unseal({ id, upstream_session: sealed }: Tables['session']): string | undefined {
    if (sealed === null) return undefined
    try {
      return this.#sealer.open(sealed, context(id))
    } catch {
      return undefined
    }
  }
}

const context = (id: string): string => `upstream-session ${id}`

export const upstreamSessionIds: SealedColumn = {
  holds: 'session ids of servers',
  table: 'session',
  column: 'upstream_session',
  id: ['id'],
  contextOf: ({ id = '' }) => context(id),
}

function toStored(row: Pick<Tables['session'], (typeof shown)[number]>): StoredSession {
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
