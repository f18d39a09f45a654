// Adding up in SQL: sums of cubes, rollups and single records by dimensions and by stretches of time.
import { sql, type RawBuilder } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import type { Cube, Piece } from './cubes.ts'
import { latencyBoundsUs, rollupMs } from './record.ts'
import type { FilterColumn, RollupColumn, Where } from './filter.ts'
import type { BucketRange, IdRange } from './query-store.ts'
import { latencyColumns, sumColumns } from './tables.ts'

/**
 * Sums by column name: the group's integers, `currency`, `calls`, `failed`, `cost`, `l0`…, `earliest` (the first bucket
 * that was read), and `stretch`: the number of the stretch, or for records their quarter-hour.
 */
export type SumRow = Readonly<Record<string, bigint>>

/** A piece of the period, and which stretch of the answer it belongs to. */
export interface StretchPiece extends Piece {
  readonly stretch: number
}

export interface SumQuery {
  readonly where: Where
  /** Columns that are told apart, beside the currency. */
  readonly by: readonly RollupColumn[]
  /** Integers of the outcome `success`; not empty. */
  readonly success: readonly bigint[]
  /** Rows that are read at most. */
  readonly maxRows: number
}

/** Dimensions whose indexes leave out 0, which stands for none. */
const indexed: ReadonlySet<FilterColumn> = new Set(['account', 'caller', 'api_key', 'tool'])

const raw = (text: string): RawBuilder<unknown> => sql.raw(text)
const list = (parts: readonly string[]): RawBuilder<unknown> => raw(parts.join(', '))

export class SumStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** The quarter-hours that have rollups at all. */
  async span(): Promise<BucketRange | undefined> {
    const [row] = await this.#sql.read(sql<{ first: bigint | null; last: bigint | null }>`
      select (select min(bucket) from usage_rollup) as first, (select max(bucket) from usage_rollup) as last`)
    if (row?.first == null || row.last == null) return undefined
    return { first: Number(row.first), end: Number(row.last) + 1 }
  }

  /** Sums of the pieces, read from the cube and, for pieces of span 0, from the rollups. */
  async sums(cube: Cube, pieces: readonly StretchPiece[], query: SumQuery): Promise<SumRow[]> {
    const [ofRollups, ofCube] = [
      pieces.filter(({ span }) => span === 0),
      pieces.filter(({ span }) => span > 0),
    ]
    const rows: SumRow[] = []
    if (ofCube.length > 0) rows.push(...(await this.#sql.read(this.#sumQuery(cube, ofCube, query))))
    if (ofRollups.length > 0)
      rows.push(...(await this.#sql.read(this.#sumQuery(undefined, ofRollups, query))))
    return rows
  }

  #sumQuery(cube: Cube | undefined, pieces: readonly StretchPiece[], query: SumQuery): RawBuilder<SumRow> {
    const { by, where, success, maxRows } = query
    const keys = ['stretch', ...by, 'currency']
    const failed = cube ? sql`failed` : sql`case when outcome in (${sql.join(success)}) then 0 else calls end`
    const values = pieces.map(({ stretch, span, first, end }) => `(${stretch}, ${span}, ${first}, ${end})`)
    const table = raw(cube ? 'usage_cube' : 'usage_rollup')
    const inside = sql`${raw(cube ? `cube = ${cube.id} and span = length and ` : '')}bucket >= start and bucket < until
      ${this.#filters(where)}`
    // Both engines go through the pieces and look each one up by its index, however they estimate it.
    const from =
      this.#sql.engine === 'postgres'
        ? sql`piece cross join lateral (select * from ${table} where ${inside} offset 0) part`
        : sql`piece cross join ${table} where ${inside}`
    return sql<SumRow>`
      with piece(stretch, length, start, until) as (values ${list(values)})
      select ${list(keys)}, sum(${failed}) as failed, ${list(sumColumns.map((name) => `sum(${name}) as ${name}`))},
        min(bucket) as earliest
      from ${from} group by ${list(keys)} limit ${maxRows}`
  }

  #filters(where: Where): RawBuilder<unknown> {
    const parts = [...where].map(([column, ids]) => {
      // Sums hold 0 where records hold nothing.
      if (ids === null) return sql`and ${raw(column)} = 0`
      const found = hasOneOf(column, ids)
      return indexed.has(column) ? sql`${found} and ${raw(column)} <> 0` : found
    })
    return parts.length > 0 ? sql.join(parts, raw(' ')) : raw('')
  }

  /** Sums of single records, for what no quarter-hour covers; `stretch` is their quarter-hour if `byTime`. */
  recordSums(ids: IdRange, query: SumQuery & { readonly byTime: boolean }): Promise<SumRow[]> {
    const { by, where, success, maxRows, byTime } = query
    const bucket = `(id / ${1 << 22} + ${CallIds.epochMs}) / ${rollupMs}`
    const keys = [...by, 'currency']
    const column = (name: string): string =>
      name === 'api_key' || name === 'tool' ? `coalesce(${name}, 0)` : name
    const failed = sql`case when outcome in (${sql.join(success)}) then 0 else 1 end`
    const filters = [...where].map(([name, values]) => hasOneOf(name, values))
    const groups = [byTime ? bucket : '0', ...keys.map(column)]
    return this.#sql.read(sql<SumRow>`
      select ${raw(groups[0] ?? '0')} as stretch, ${list(keys.map((name) => `${column(name)} as ${name}`))},
        sum(${failed}) as failed, count(*) as calls, sum(case when rule is null then 1 else 0 end) as unpriced,
        ${list(['cost', 'request_bytes', 'response_bytes', 'duration_us'].map((name) => `sum(${name}) as ${name}`))},
        ${list(latencySums)}, ${raw(bucket.replace('id', 'min(id)'))} as earliest
      from usage_record where id >= ${ids.low} and id < ${ids.high} ${filters.length > 0 ? sql.join(filters, raw(' ')) : raw('')}
      group by ${list(byTime ? groups : groups.slice(1))} limit ${maxRows}`)
  }

  /** The first bucket in these stretches of the cube (span 0: of the rollups) that has what is looked for. */
  async firstBucket(cube: Cube, piece: Piece, where: Where): Promise<number | undefined> {
    const table = raw(piece.span === 0 ? 'usage_rollup' : 'usage_cube')
    const of = piece.span === 0 ? raw('') : raw(`cube = ${cube.id} and span = ${piece.span} and `)
    const [row] = await this.#sql.read(sql<{ first: bigint | null }>`
      select min(bucket) as first from ${table}
      where ${of} bucket >= ${piece.first} and bucket < ${piece.end} ${this.#filters(where)}`)
    return row?.first == null ? undefined : Number(row.first)
  }
}

/** Durations by latency bucket: above the bound before, up to the own one. */
export const latencySums = latencyColumns.map((name, index) => {
  const [low, high] = [latencyBoundsUs[index - 1], latencyBoundsUs[index]]
  const above = low === undefined ? [] : [`duration_us > ${low}`]
  const upTo = high === undefined ? [] : [`duration_us <= ${high}`]
  return `sum(case when ${[...above, ...upTo].join(' and ')} then 1 else 0 end) as ${name}`
})

/** Null asks for none at all. */
const hasOneOf = (column: string, ids: readonly bigint[] | null): RawBuilder<unknown> =>
  ids === null ? sql`and ${raw(column)} is null` : sql`and ${raw(column)} in (${sql.join(ids)})`
