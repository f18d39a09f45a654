// The rule tables: rules, and versions that are inserted once and never changed.
import { assert } from '../base/errors.ts'
import type { Compilable, Database } from '../db/database.ts'
import type { Kysely } from 'kysely'
import type { RuleVersion } from './price.ts'

interface RuleTables {
  readonly rule: {
    readonly id: string
    readonly created_at: bigint
    readonly retired_at: bigint | null
    readonly retired_by: string | null
  }
  readonly rule_version: RuleVersionRow
  readonly price_book: { readonly name: string }
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

/** What else may commit with a rule; the stores of this folder make and take them. */
export type Statement = Compilable

/** A rule as stored: all its versions, ascending. */
export interface StoredRule {
  readonly ruleId: string
  readonly retiredAtMs?: number
  readonly retiredBy?: string
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
      ...(row.retired_by === null ? {} : { retiredBy: row.retired_by }),
    }))
  }

  /**
   * Writes versions, all or none, with the rules of those that are first ones; `also` runs in the same transaction.
   * Rejects with `conflict` where a number or an id is taken.
   */
  async insert(versions: readonly RuleVersion[], also: readonly Statement[] = []): Promise<void> {
    const statements = versions.flatMap((rule): Compilable[] => {
      const row = {
        id: rule.ruleId,
        created_at: BigInt(rule.createdAtMs),
        retired_at: null,
        retired_by: null,
      }
      const first = rule.version === 1 ? [this.#sql.insertInto('rule').values(row)] : []
      return [...first, this.#sql.insertInto('rule_version').values(toRow(rule))]
    })
    await this.#db.write(...statements, ...also)
  }

  /** Whether there is such a price book. */
  async hasBook(name: string): Promise<boolean> {
    const query = this.#sql.selectFrom('price_book').select('name').where('name', '=', name)
    return (await this.#db.read(query)).length > 0
  }

  /** Retires a rule; one that is retired already keeps its time. */
  async retire(ruleId: string, atMs: number, by?: string): Promise<void> {
    await this.#db.write(
      this.#sql
        .updateTable('rule')
        .set({ retired_at: BigInt(atMs), retired_by: by ?? null })
        .where('id', '=', ruleId)
        .where('retired_at', 'is', null),
    )
  }
}

type Body = Pick<
  RuleVersion,
  'name' | 'priority' | 'active' | 'currency' | 'book' | 'match' | 'price' | 'billOn'
>

function toRow(rule: RuleVersion): RuleVersionRow {
  const { name, priority, active, currency, book, match, price, billOn } = rule
  const body: Body = {
    name,
    priority,
    active,
    currency,
    ...(book !== undefined && { book }),
    match,
    price,
    billOn,
  }
  return {
    rule_id: rule.ruleId,
    version: BigInt(rule.version),
    body: JSON.stringify(body),
    effective_from: BigInt(rule.effectiveFromMs),
    effective_to: rule.effectiveToMs === undefined ? null : BigInt(rule.effectiveToMs),
    created_at: BigInt(rule.createdAtMs),
    created_by: rule.createdBy ?? null,
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
    ...(row.created_by === null ? {} : { createdBy: row.created_by }),
  }
}
