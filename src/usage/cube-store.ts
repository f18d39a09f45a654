// The cubes' table and the marks of what is out of date: reading what is to be summed, and replacing a stretch.
import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import { commonColumns, type Cube } from './cubes.ts'
import type { RollupColumn } from './filter.ts'
import { cubeSums, sumColumns } from './tables.ts'

/** A stretch that changed since it was last summed up. `marks` grows with each change. */
export interface Mark {
  readonly span: number
  readonly bucket: number
  readonly marks: bigint
}

/** One stretch of a cube, and what it is summed up from. */
export interface Replacement {
  readonly cube: Cube
  /** Shorter stretches of the same cube; 0: the rollups. */
  readonly source: number
  readonly span: number
  readonly first: number
  readonly end: number
  /** A share of the accounts, so that records of calls need not wait long behind it. */
  readonly slice?: { readonly number: number; readonly of: number }
}

const dimensions: readonly RollupColumn[] = [
  'account',
  'caller',
  'api_key',
  'server',
  'method',
  'tool',
  'outcome',
  'currency',
]
const columns = ['cube', 'span', 'bucket', ...dimensions, 'failed', ...sumColumns]

export class CubeStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** All marks, shortest stretches first, then oldest first. */
  async marks(): Promise<Mark[]> {
    const query = sql<{ span: bigint; bucket: bigint; marks: bigint }>`
      select span, bucket, marks from usage_stale order by span, bucket`
    const rows = await this.#sql.read(query)
    return rows.map(({ span, bucket, marks }) => ({ span: Number(span), bucket: Number(bucket), marks }))
  }

  /** Replaces what the cube has for one stretch, or for each quarter-hour of it if `span` is 1. */
  async replace({ cube, source, span, first, end, slice }: Replacement): Promise<void> {
    const kept: readonly string[] = [...cube.columns, ...commonColumns]
    const values = dimensions.map((name) => (kept.includes(name) ? name : '0'))
    const bucket = span === 1 ? 'bucket' : String(first)
    const keys = span === 1 ? ['bucket', ...kept] : kept
    const part = slice ? ` and account % ${slice.of} = ${slice.number}` : ''
    const from =
      source === 0 ? 'usage_rollup where' : `usage_cube where cube = ${cube.id} and span = ${source} and`
    const sums = cubeSums(source === 0).map((sum) => `sum(${sum})`)
    await this.#sql.write(
      sql.raw(`delete from usage_cube where cube = ${cube.id} and span = ${span}
        and bucket >= ${first} and bucket < ${end}${part}`),
      sql.raw(`insert into usage_cube (${columns.join(', ')})
        select ${[cube.id, span, bucket, ...values, ...sums].join(', ')} from ${from}
        bucket >= ${first} and bucket < ${end}${part} group by ${keys.join(', ')}`),
    )
  }

  /** Takes the mark away unless the stretch changed meanwhile, and marks the longer stretch around it. False: it changed. */
  async settle(
    mark: Mark,
    around: { readonly span: number; readonly bucket: number } | undefined,
  ): Promise<boolean> {
    const { span, bucket, marks } = mark
    const gone = sql`delete from usage_stale where span = ${span} and bucket = ${bucket} and marks = ${marks}`
    const outer =
      around &&
      sql`insert into usage_stale (span, bucket, marks) values (${around.span}, ${around.bucket}, 1)
        on conflict (span, bucket) do update set marks = usage_stale.marks + 1`
    // The longer one first: it must not look up to date when the shorter one's mark is gone.
    const changed = await this.#sql.write(...[outer, gone].flatMap((part) => (part ? [part] : [])))
    return changed.at(-1) === 1
  }

  /** Marks every hour that has rollups, so that all cubes are summed up anew. */
  async markAll(): Promise<void> {
    await this.#sql.write(
      sql`delete from usage_cube`,
      sql`delete from usage_stale`,
      sql`insert into usage_stale (span, bucket, marks) select distinct 4, bucket / 4 * 4, 1 from usage_rollup`,
    )
  }
}
