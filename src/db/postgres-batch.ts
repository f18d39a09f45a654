// A hot batch as PostgreSQL takes it: one statement a table, one array a column.
import type { QueryConfig } from 'pg'
import { assert } from '../base/errors.ts'
import type { HotBatch, HotColumnType, HotTable, HotValue } from './batch.ts'
import { postgresHotSql, sumColumns } from './hot-sql.ts'
import { storableText, unfit } from './parameters.ts'

interface Prepared {
  /** Names the prepared statement of every connection. */
  readonly name: string
  readonly text: string
  readonly types: readonly HotColumnType[]
  /** Positions of the key columns and of those that are summed. */
  readonly keys: readonly number[]
  readonly sums: readonly number[]
}

type Row = readonly HotValue[]

const maxTables = 1024

/** Makes statements of batches; tables are told apart by identity and prepared once per connection. */
export class PostgresBatches {
  readonly #prepared = new Map<HotTable, Prepared>()

  /**
   * Appends first, in order of first arrival; then sums, ordered by table and key, so that nodes which commit at
   * the same time lock rows in the same order. Values that do not fit their column reject as `internal`.
   */
  statements(batch: HotBatch): QueryConfig[] {
    const groups = new Map<HotTable, Row[]>()
    for (const { table, values } of batch.rows) {
      const rows = groups.get(table)
      if (rows) rows.push(values)
      else groups.set(table, [values])
    }
    const appends = [...groups].filter(([table]) => table.mode !== 'add')
    const additions = [...groups]
      .filter(([table]) => table.mode === 'add')
      .sort(([a], [b]) => (a.name < b.name ? -1 : 1))
    return [
      ...appends.map(([table, rows]) => this.#statement(table, rows)),
      ...additions.map(([table, rows]) => this.#statement(table, sumByKey(this.#preparedFor(table), rows))),
    ]
  }

  #statement(table: HotTable, rows: readonly Row[]): QueryConfig {
    const prepared = this.#preparedFor(table)
    for (const row of rows) if (row.length !== prepared.types.length) throw unfit(`a row for ${table.name}`)
    const values = prepared.types.map((type, column) =>
      arrayLiteral(
        type,
        rows.map((row) => row[column] ?? null),
      ),
    )
    return { name: prepared.name, text: prepared.text, values }
  }

  #preparedFor(table: HotTable): Prepared {
    const known = this.#prepared.get(table)
    if (known) return known
    assert(this.#prepared.size < maxTables, 'hot tables are constants, not made per batch')
    const columns = Object.keys(table.columns)
    const sums = new Set(sumColumns(table))
    const prepared: Prepared = {
      name: `hot_${this.#prepared.size}`,
      text: postgresHotSql(table),
      types: Object.values(table.columns),
      keys: columns.flatMap((column, i) => (sums.has(column) ? [] : [i])),
      sums: columns.flatMap((column, i) => (sums.has(column) ? [i] : [])),
    }
    this.#prepared.set(table, prepared)
    return prepared
  }
}

/** One row a key, since ON CONFLICT cannot touch a row twice; sorted by key. */
function sumByKey({ keys, sums }: Prepared, rows: readonly Row[]): Row[] {
  const byKey = new Map<string, HotValue[]>()
  for (const row of rows) {
    if (row.includes(null)) throw unfit('a null in a row to be added')
    const key = keys.map((i) => keyText(row[i])).join(' ')
    const known = byKey.get(key)
    if (!known) byKey.set(key, [...row])
    else for (const i of sums) known[i] = BigInt(asInteger(known[i])) + BigInt(asInteger(row[i]))
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

/** With its length, so that no text can look like two; normalised, as the server will see it. */
function keyText(value: HotValue | undefined): string {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : storableText(String(value))
  return `${text.length}:${text}`
}

function asInteger(value: HotValue | undefined): number | bigint {
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) return value
  throw unfit(`a ${typeof value} as an integer`)
}

/** PostgreSQL's array syntax (manual section 8.15.6). */
function arrayLiteral(type: HotColumnType, values: readonly HotValue[]): string {
  const element = { integer: integerElement, text: textElement, blob: blobElement }[type]
  return `{${values.map((value) => (value === null ? 'NULL' : element(value))).join(',')}}`
}

/** A sum of values that fit may not fit; the server refuses it as it does its own overflow. */
function integerElement(value: HotValue): string {
  return String(asInteger(value))
}

function textElement(value: HotValue): string {
  if (typeof value !== 'string') throw unfit(`a ${typeof value} as a text`)
  return `"${storableText(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function blobElement(value: HotValue): string {
  if (!(value instanceof Uint8Array)) throw unfit(`a ${typeof value} as a blob`)
  return `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}"`
}
