// The rows of drafts: rules that nobody pays by yet.
import type { Kysely } from 'kysely'
import { GatewayError } from '../../base/errors.ts'
import type { Database } from '../../db/database.ts'
import type { RuleInput } from '../rule-input.ts'
import type { Statement } from '../store.ts'

/** A whole rule that waits to be published. */
export interface RuleDraft {
  readonly id: string
  /** The rule whose next version it will be, or the new rule that it will be. */
  readonly ruleId: string
  /** The version that it was made from; absent for a new rule. */
  readonly basedOn?: number
  readonly rule: RuleInput
  readonly createdAtMs: number
  readonly createdBy?: string
  readonly updatedAtMs: number
  readonly updatedBy?: string
}

interface DraftRow {
  readonly id: string
  readonly rule_id: string
  readonly based_on: bigint | null
  readonly body: string
  readonly created_at: bigint
  readonly created_by: string | null
  readonly updated_at: bigint
  readonly updated_by: string | null
}

/** Reads and writes drafts. Every write is durable when it resolves. */
export class DraftStore {
  readonly #db: Database
  readonly #sql: Kysely<{ rule_draft: DraftRow }>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<{ rule_draft: DraftRow }>()
  }

  /** Ascending by id, after `after`. */
  async list(page: { limit: number; after?: string | undefined }): Promise<RuleDraft[]> {
    let query = this.#sql.selectFrom('rule_draft').selectAll().orderBy('id').limit(page.limit)
    if (page.after !== undefined) query = query.where('id', '>', page.after)
    return (await this.#db.read<DraftRow>(query)).map(toDraft)
  }

  async find(id: string): Promise<RuleDraft | undefined> {
    const [row] = await this.#db.read<DraftRow>(
      this.#sql.selectFrom('rule_draft').selectAll().where('id', '=', id),
    )
    return row && toDraft(row)
  }

  async insert(draft: RuleDraft): Promise<void> {
    await this.#db.write(this.#sql.insertInto('rule_draft').values(toRow(draft)))
  }

  /** Throws `not_found` where it was published or removed meanwhile. */
  async replace(draft: RuleDraft): Promise<void> {
    const { id, ...rest } = toRow(draft)
    const [changed] = await this.#db.write(this.#sql.updateTable('rule_draft').set(rest).where('id', '=', id))
    if (changed !== 1) throw new GatewayError('not_found')
  }

  /** Throws `not_found`. */
  async remove(id: string): Promise<void> {
    const [removed] = await this.#db.write(this.#sql.deleteFrom('rule_draft').where('id', '=', id))
    if (removed !== 1) throw new GatewayError('not_found')
  }

  /** What removes drafts in the transaction that publishes them. */
  removal(ids: readonly string[]): Statement[] {
    return ids.map((id) => this.#sql.deleteFrom('rule_draft').where('id', '=', id))
  }
}

const toRow = (draft: RuleDraft): DraftRow => ({
  id: draft.id,
  rule_id: draft.ruleId,
  based_on: draft.basedOn === undefined ? null : BigInt(draft.basedOn),
  body: JSON.stringify(draft.rule),
  created_at: BigInt(draft.createdAtMs),
  created_by: draft.createdBy ?? null,
  updated_at: BigInt(draft.updatedAtMs),
  updated_by: draft.updatedBy ?? null,
})

const toDraft = (row: DraftRow): RuleDraft => ({
  id: row.id,
  ruleId: row.rule_id,
  ...(row.based_on !== null && { basedOn: Number(row.based_on) }),
  rule: JSON.parse(row.body) as RuleInput,
  createdAtMs: Number(row.created_at),
  ...(row.created_by !== null && { createdBy: row.created_by }),
  updatedAtMs: Number(row.updated_at),
  ...(row.updated_by !== null && { updatedBy: row.updated_by }),
})
