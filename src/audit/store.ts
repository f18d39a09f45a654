// The tables of the audit log: rows are added and, when they are old enough, dropped; none is ever changed.
import { sql, type Kysely } from 'kysely'
import type { Database } from '../db/database.ts'
import type { AuditRow, ChainPlace, Mark } from './chain.ts'

interface Tables {
  audit_event: AuditRow
  audit_mark: Mark
}

/** What a list asks for; all that is given must hold. */
export interface AuditFilter {
  readonly fromMs?: number | undefined
  /** Exclusive. */
  readonly toMs?: number | undefined
  /** A user's id. */
  readonly actor?: string | undefined
  /** The whole name of an action, or its first words and `.*`. */
  readonly action?: string | undefined
  readonly resourceType?: string | undefined
  readonly resource?: string | undefined
}

/** The end of the chain as one moment saw it. */
export interface ChainEnd {
  readonly head: Mark | undefined
  readonly anchor: Mark | undefined
  /** The last row there is. */
  readonly last: ChainPlace | undefined
}

export class AuditStore {
  readonly #db: Database
  readonly #sql: Kysely<Tables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** Adds rows and replaces marks in one transaction. Rejects with `conflict` where another process was faster. */
  async append(rows: readonly AuditRow[], marks: readonly Mark[]): Promise<void> {
    await this.#db.write(
      ...rows.map((row) => this.#sql.insertInto('audit_event').values(row)),
      ...marks.map((mark) => this.#putMark(mark)),
    )
  }

  /** Marks and last row in one statement: two would see two moments. */
  async readEnd(): Promise<ChainEnd> {
    const last = this.#sql
      .selectFrom('audit_event')
      .select([sql<string>`'last'`.as('name'), 'seq', 'hash', 'at', sql<string>`''`.as('mac')])
      .where('seq', '=', (below) =>
        below.selectFrom('audit_event').select(({ fn }) => fn.max('seq').as('seq')),
      )
    const marks = this.#sql
      .selectFrom('audit_mark')
      .select([sql<string>`name`.as('name'), 'seq', 'hash', 'at', sql<string>`mac`.as('mac')])
      .where('name', 'in', ['head', 'anchor'])
    const rows = await this.#db.read(last.unionAll(marks))
    const find = (name: string) => rows.find((row) => row.name === name)
    return { head: find('head'), anchor: find('anchor'), last: find('last') }
  }

  /** Which of these events are in the log. */
  async findIds(ids: readonly string[]): Promise<Set<string>> {
    const query = this.#sql.selectFrom('audit_event').select('id').where('id', 'in', ids)
    return new Set((await this.#db.read(query)).map(({ id }) => id))
  }

  /** Rows after one, in order, up to and with `through`. */
  async listAfter(seq: bigint, through: bigint, limit: number): Promise<AuditRow[]> {
    const query = this.#sql.selectFrom('audit_event').selectAll().where('seq', '>', seq)
    return this.#db.read(query.where('seq', '<=', through).orderBy('seq').limit(limit))
  }

  async find(seq: bigint): Promise<AuditRow | undefined> {
    const [row] = await this.#db.read(this.#sql.selectFrom('audit_event').selectAll().where('seq', '=', seq))
    return row
  }

  async listCheckpoints(from: bigint, limit: number): Promise<Mark[]> {
    const query = this.#sql.selectFrom('audit_mark').selectAll().where('name', 'like', 'checkpoint-%')
    return this.#db.read(query.where('seq', '>=', from).orderBy('seq').limit(limit))
  }

  /** Rows that match, newest first, before the one numbered `before`. */
  async list(filter: AuditFilter, page: { before: bigint | undefined; limit: number }): Promise<AuditRow[]> {
    const { fromMs, toMs, actor, action, resourceType, resource } = filter
    const { before, limit } = page
    let query = this.#sql.selectFrom('audit_event').selectAll()
    if (before !== undefined) query = query.where('seq', '<', before)
    if (fromMs !== undefined) query = query.where('at', '>=', BigInt(fromMs))
    if (toMs !== undefined) query = query.where('at', '<', BigInt(toMs))
    if (actor !== undefined) query = query.where('actor_id', '=', actor)
    if (resourceType !== undefined) query = query.where('resource_type', '=', resourceType)
    if (resource !== undefined) query = query.where('resource_id', '=', resource)
    if (action?.endsWith('.*')) query = query.where('action', 'like', `${action.slice(0, -1)}%`)
    else if (action !== undefined) query = query.where('action', '=', action)
    return this.#db.read(query.orderBy('seq', 'desc').limit(limit))
  }

  /** The last row such that it and all before it are older; undefined where there is none. */
  async findLastBefore(timeMs: number): Promise<AuditRow | undefined> {
    const kept = this.#sql.selectFrom('audit_event').select('seq').where('at', '>=', BigInt(timeMs))
    const [firstKept] = await this.#db.read(kept.orderBy('seq').limit(1))
    let query = this.#sql.selectFrom('audit_event').selectAll()
    if (firstKept) query = query.where('seq', '<', firstKept.seq)
    const [row] = await this.#db.read(query.orderBy('seq', 'desc').limit(1))
    return row
  }

  /** Drops all rows up to the anchor, and checkpoints with them, in the transaction that writes the anchor. */
  async dropThrough(anchor: Mark): Promise<void> {
    await this.#db.write(
      this.#putMark(anchor),
      this.#sql.deleteFrom('audit_event').where('seq', '<=', anchor.seq),
      this.#sql.deleteFrom('audit_mark').where('name', 'like', 'checkpoint-%').where('seq', '<=', anchor.seq),
    )
  }

  /** The anchor never goes back: of two processes that drop rows, the one that is behind changes nothing. */
  #putMark({ name, seq, hash, at, mac }: Mark) {
    const insert = this.#sql.insertInto('audit_mark').values({ name, seq, hash, at, mac })
    return insert.onConflict((same) => {
      const update = same.column('name').doUpdateSet({ seq, hash, at, mac })
      return name === 'anchor' ? update.where('audit_mark.seq', '<', seq) : update
    })
  }
}
