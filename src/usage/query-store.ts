// Reading usage: the integers behind texts and back, records in order of arrival, and sums out of the rollups.
import { sql } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { partSeparator } from './batch.ts'
import {
  filterColumns,
  filterNames,
  isRollupColumn,
  serverParts,
  type FilterColumn,
  type RollupColumn,
  type UsageFilter,
  type Where,
} from './filter.ts'
import { rollupMs } from './record.ts'
import type { UsageTables } from './store.ts'

export type RecordRow = UsageTables['usage_record']

interface Tables extends UsageTables {
  usage_rollup: Record<RollupColumn | 'bucket' | 'calls' | 'cost' | 'unpriced', bigint>
}

/** Ids from `low` up to, not including, `high`. */
export interface IdRange {
  readonly low: bigint
  readonly high: bigint
}

/** Quarter-hours since the epoch, from `first` up to, not including, `end`. */
export interface BucketRange {
  readonly first: number
  readonly end: number
}

/** Ids of records that arrived in these quarter-hours. */
export const idsOfBuckets = ({ first, end }: BucketRange): IdRange => ({
  low: CallIds.firstAt(first * rollupMs),
  high: CallIds.firstAt(end * rollupMs),
})

/** More integers than this for one text are asked for together instead of one by one in index order. */
const maxOrderedReads = 16
const maxKnownTexts = 50_000
const maxIdsPerRead = 1000

export class UsageQueryStore {
  readonly #db: Database
  readonly #sql
  /** Rows of `dimension` never change. */
  readonly #texts = new Map<bigint, string>()

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** The integers of the filter's texts, or undefined where a text was never recorded, so that nothing can match. */
  async resolve(filter: UsageFilter): Promise<Where | undefined> {
    const where = new Map<FilterColumn, readonly bigint[] | null>()
    for (const name of filterNames) {
      const text = filter[name]
      if (text === undefined) continue
      const ids = name === 'server' ? await this.#serverIds(text) : await this.#ids(filterColumns[name], text)
      if (ids.length === 0) return undefined
      where.set(filterColumns[name], ids)
    }
    if (filter.ruleVersion !== undefined) where.set('rule_version', [BigInt(filter.ruleVersion)])
    if (filter.unpriced) where.set('rule', null)
    if (filter.toolless) where.set('tool', null)
    return where
  }

  async #ids(kind: (typeof filterColumns)[keyof typeof filterColumns], value: string): Promise<bigint[]> {
    const query = this.#sql
      .selectFrom('dimension')
      .select('id')
      .where('kind', '=', kind)
      .where('value', '=', value)
    return (await this.#db.read(query)).map((row) => row.id)
  }

  /** Compared here in full, since LIKE does not tell upper from lower case on every engine. */
  async #serverIds(nameOrId: string): Promise<bigint[]> {
    const text = nameOrId.replaceAll(/[!%_]/g, '!$&')
    const [asId, asName] = [`${text}${partSeparator}%`, `%${partSeparator}${text}`]
    const query = this.#sql
      .selectFrom('dimension')
      .select(['id', 'value'])
      .where('kind', '=', 'server')
      .where(sql<boolean>`(value like ${asId} escape '!' or value like ${asName} escape '!')`)
    const rows = await this.#db.read(query)
    return rows
      .filter(({ value }) => Object.values(serverParts(value)).includes(nameOrId))
      .map(({ id }) => id)
  }

  /** The texts of these integers. An integer without a text is missing in the answer. */
  async texts(ids: Iterable<bigint>): Promise<ReadonlyMap<bigint, string>> {
    const found = new Map<bigint, string>()
    const unknown = new Set<bigint>()
    for (const id of ids) {
      const known = this.#texts.get(id)
      if (known === undefined) unknown.add(id)
      else found.set(id, known)
    }
    const rest = [...unknown]
    while (rest.length > 0) {
      const part = rest.splice(0, maxIdsPerRead)
      const query = this.#sql.selectFrom('dimension').select(['id', 'value']).where('id', 'in', part)
      for (const { id, value } of await this.#db.read(query)) {
        found.set(id, value)
        if (this.#texts.size >= maxKnownTexts) this.#texts.clear()
        this.#texts.set(id, value)
      }
    }
    return found
  }

  /** The integers of the outcome `success`. */
  successIds(): Promise<bigint[]> {
    return this.#ids('outcome', 'success')
  }

  async findRecord(id: bigint): Promise<RecordRow | undefined> {
    const [row] = await this.#db.read(this.#sql.selectFrom('usage_record').selectAll().where('id', '=', id))
    return row
  }

  /** Records newest first: by account in the order of that index, else in the order of the primary key. */
  async newest(where: Where, range: IdRange, limit: number): Promise<RecordRow[]> {
    const ids = where.get('account') ?? []
    if (ids.length <= 1 || ids.length > maxOrderedReads) return this.#newest(where, range, limit)
    const parts: RecordRow[] = []
    for (const id of ids)
      parts.push(...(await this.#newest(new Map([...where, ['account', [id]]]), range, limit)))
    return parts.sort((a, b) => (a.id > b.id ? -1 : 1)).slice(0, limit)
  }

  async #newest(where: Where, { low, high }: IdRange, limit: number): Promise<RecordRow[]> {
    let query = this.#sql.selectFrom('usage_record').selectAll().where('id', '>=', low).where('id', '<', high)
    for (const [column, ids] of where)
      query = ids === null ? query.where(column, 'is', null) : query.where(column, 'in', ids)
    return this.#db.read(query.orderBy('id', 'desc').limit(limit))
  }

  /** Records oldest first. */
  oldest(where: Where, { low, high }: IdRange, limit: number): Promise<RecordRow[]> {
    let query = this.#sql.selectFrom('usage_record').selectAll().where('id', '>=', low).where('id', '<', high)
    for (const [column, ids] of where)
      query = ids === null ? query.where(column, 'is', null) : query.where(column, 'in', ids)
    return this.#db.read(query.orderBy('id').limit(limit))
  }

  /** Quarter-hours with matching records, newest first, and how many. The session cannot be asked for here. */
  async busyBuckets(
    where: Where,
    { first, end }: BucketRange,
    limit: number,
  ): Promise<{ bucket: number; calls: number }[]> {
    let query = this.#sql
      .selectFrom('usage_rollup')
      .select((e) => ['bucket', e.fn.sum<bigint>('calls').as('total')])
      .where('bucket', '>=', BigInt(first))
      .where('bucket', '<', BigInt(end))
    for (const [column, ids] of rollupFilters(where)) query = query.where(column, 'in', ids)
    const rows = await this.#db.read(query.groupBy('bucket').orderBy('bucket', 'desc').limit(limit))
    return rows.map(({ bucket, total }) => ({ bucket: Number(bucket), calls: Number(total) }))
  }
}

function rollupFilters(where: Where): [RollupColumn, readonly bigint[]][] {
  // A rollup has 0 where its records have nothing.
  return [...where].flatMap(([column, ids]) => (isRollupColumn(column) ? [[column, ids ?? [0n]]] : []))
}
