// SQL text of the hot path, made once per table from its description.
import { assert } from '../base/errors.ts'
import type { HotColumnType, HotTable } from './batch.ts'

/** `INSERT … VALUES (?, …)` for SQLite, with the sums of an `add` table. */
export function sqliteHotSql(table: HotTable): string {
  const columns = Object.keys(table.columns)
  return `${insertInto(table)} VALUES (${columns.map(() => '?').join(', ')})${onConflict(table)}`
}

const arrayTypes: Record<HotColumnType, string> = { integer: 'bigint[]', text: 'text[]', blob: 'bytea[]' }

/** `INSERT … SELECT * FROM unnest(…)` for PostgreSQL: one array parameter for each column. */
export function postgresHotSql(table: HotTable): string {
  const arrays = Object.values(table.columns).map((type, i) => `$${i + 1}::${arrayTypes[type]}`)
  return `${insertInto(table)} SELECT * FROM unnest(${arrays.join(', ')})${onConflict(table)}`
}

/** The columns that an `add` table sums. */
export function sumColumns(table: HotTable): string[] {
  return Object.keys(table.columns).filter((column) => !table.keys.includes(column))
}

function insertInto(table: HotTable): string {
  return `INSERT INTO ${quoted(table.name)} (${Object.keys(table.columns).map(quoted).join(', ')})`
}

function onConflict(table: HotTable): string {
  if (table.mode === 'insert') return ''
  if (table.mode === 'once') return ` ON CONFLICT (${table.keys.map(quoted).join(', ')}) DO NOTHING`
  const sums = sumColumns(table).map(
    (column) => `${quoted(column)} = ${quoted(table.name)}.${quoted(column)} + excluded.${quoted(column)}`,
  )
  const target = ` ON CONFLICT (${table.keys.map(quoted).join(', ')})`
  return sums.length > 0 ? `${target} DO UPDATE SET ${sums.join(', ')}` : `${target} DO NOTHING`
}

function quoted(name: string): string {
  assert(/^[a-z_][a-z0-9_]*$/.test(name), 'a hot table has plain names')
  return `"${name}"`
}
