// The rule tables: rules, and versions that are inserted once and never changed.
import { assert } from '../base/errors.ts'
import type { Database } from '../db/database.ts'
import type { Kysely } from 'kysely'
import type { RuleVersion } from './price.ts'

interface RuleTables {
  readonly rule: { readonly id: string; readonly created_at: bigint; readonly retired_at: bigint | null }
  readonly rule_version: RuleVersionRow
}

interface RuleVersionRow {
  readonly rule_id: string
  readonly version: bigint
  readonly body: string
  readonly effective_from: bigint
  readonly effective_to: bigint | null
  readonly created_at: bigint
  readonly created_by: string | null
}

/** A rule as stored: all its versions, ascending. */
export interface StoredRule {
  readonly ruleId: string
  readonly retiredAtMs?: number
  readonly versions: readonly RuleVersion[]
}

/** Reads and writes rules. Every write is durable when it resolves. */
export class RuleStore {
  readonly #db: Database
  readonly #sql: Kysely<RuleTables>

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<RuleTables>()
  }

  /** All rules with all versions, or one rule; ascending by id. */
  async load(ruleId?: string): Promise<StoredRule[]> {
    let rules = this.#sql.selectFrom('rule').selectAll().orderBy('id')
    let versions = this.#sql.selectFrom('rule_version').selectAll().orderBy('rule_id').orderBy('version')
    if (ruleId !== undefined) {
      rules = rules.where('id', '=', ruleId)
      versions = versions.where('rule_id', '=', ruleId)
    }
    const ruleRows = await this.#db.read<RuleTables['rule']>(rules)
    const versionRows = await this.#db.read<RuleVersionRow>(versions)
    const byRule = Map.groupBy(versionRows, (row) => row.rule_id)
    return ruleRows.map((row) => ({
      ruleId: row.id,
      versions: (byRule.get(row.id) ?? []).map(toVersion),
      ...(row.retired_at === null ? {} : { retiredAtMs: Number(row.retired_at) }),
    }))
  }

  /** Writes a new rule with its first version. */
  async insert(rule: RuleVersion, createdBy?: string): Promise<void> {
    const row = { id: rule.ruleId, created_at: BigInt(rule.createdAtMs), retired_at: null }
    await this.#db.write(
      this.#sql.insertInto('rule').values(row),
      this.#sql.insertInto('rule_version').values(toRow(rule, createdBy)),
    )
  }

  /** Writes the next version; rejects with `conflict` where that number is taken. */
  async append(rule: RuleVersion, createdBy?: string): Promise<void> {
    await this.#db.write(this.#sql.insertInto('rule_version').values(toRow(rule, createdBy)))
  }

  /** Retires a rule; one that is retired already keeps its time. */
  async retire(ruleId: string, atMs: number): Promise<void> {
    await this.#db.write(
      this.#sql
        .updateTable('rule')
        .set({ retired_at: BigInt(atMs) })
        .where('id', '=', ruleId)
        .where('retired_at', 'is', null),
    )
  }
}

type Body = Pick<RuleVersion, 'name' | 'priority' | 'active' | 'currency' | 'match' | 'price' | 'billOn'>

function toRow(rule: RuleVersion, createdBy: string | undefined): RuleVersionRow {
  const { name, priority, active, currency, match, price, billOn } = rule
  const body: Body = { name, priority, active, currency, match, price, billOn }
  return {
    rule_id: rule.ruleId,
    version: BigInt(rule.version),
    body: JSON.stringify(body),
    effective_from: BigInt(rule.effectiveFromMs),
    effective_to: rule.effectiveToMs === undefined ? null : BigInt(rule.effectiveToMs),
    created_at: BigInt(rule.createdAtMs),
    created_by: createdBy ?? null,
  }
}

function toVersion(row: RuleVersionRow): RuleVersion {
  const body = JSON.parse(row.body) as Body
  assert(body.price && body.match && body.billOn, 'a stored rule version has a price, a match and outcomes')
  return {
    ...body,
    ruleId: row.rule_id,
    version: Number(row.version),
    effectiveFromMs: Number(row.effective_from),
    ...(row.effective_to === null ? {} : { effectiveToMs: Number(row.effective_to) }),
    createdAtMs: Number(row.created_at),
  }
}
