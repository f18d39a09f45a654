// Columns of sealed text, and how they are sealed anew when a key is replaced.
import { sql } from 'kysely'
import { sealPrefix } from '../base/seal.ts'
import type { Database } from './database.ts'
import { PlainSql } from './plain-sql.ts'

type Id = Readonly<Record<string, string>>

/** Declared by the folder that writes the table. */
export interface SealedColumn {
  /** What it holds, for people: `credentials of servers`. */
  readonly holds: string
  readonly table: string
  readonly column: string
  /** The columns of the primary key; all are text. */
  readonly id: readonly string[]
  /** Where a text belongs; see `Seal.seal`. */
  contextOf(id: Id): string
}

interface Sealer {
  readonly sealKeyId: string
  seal(plaintext: string, context: string): string
  open(sealed: string, context: string): string
}

const atOnce = 100

/**
 * Seals anew what other keys than the current one have sealed; returns how many texts that were. A text that changes
 * meanwhile is left to whoever changes it. Rejects with `internal` where a text cannot be opened.
 */
export async function resealColumn(db: Database, column: SealedColumn, sealer: Sealer): Promise<number> {
  const plain = new PlainSql(db)
  const [table, text] = [sql.table(column.table), sql.ref(column.column)]
  let count = 0
  let after: Id | undefined
  for (;;) {
    const rows: (Id & { readonly sealed_text: string })[] = await plain.read(sql`
      SELECT ${sql.join(column.id.map((name) => sql.ref(name)))}, ${text} AS sealed_text FROM ${table}
      WHERE ${isSealedOtherwise(column, sealer)} ${after ? sql`AND ${isAfter(column, after)}` : sql``}
      ORDER BY ${sql.join(column.id.map((name) => sql.ref(name)))} LIMIT ${sql.lit(atOnce)}`)
    if (rows.length === 0) return count
    const updates = rows.map((row) => {
      const context = column.contextOf(row)
      const anew = sealer.seal(sealer.open(row.sealed_text, context), context)
      return sql`UPDATE ${table} SET ${text} = ${anew} WHERE ${isRow(column, row)} AND ${text} = ${row.sealed_text}`
    })
    const changed = await plain.write(...updates)
    count += changed.reduce((sum, rowsChanged) => sum + rowsChanged, 0)
    after = rows.at(-1)
  }
}

/** How many texts other keys than the current one have sealed. */
export async function countSealedOtherwise(
  db: Database,
  column: SealedColumn,
  sealer: Pick<Sealer, 'sealKeyId'>,
): Promise<number> {
  const [row] = await new PlainSql(db).read<{ count: bigint }>(
    sql`SELECT count(*) AS count FROM ${sql.table(column.table)} WHERE ${isSealedOtherwise(column, sealer)}`,
  )
  return Number(row?.count ?? 0n)
}

/** Empty text and NULL are not sealed. */
function isSealedOtherwise({ column }: SealedColumn, { sealKeyId }: Pick<Sealer, 'sealKeyId'>) {
  const text = sql.ref(column)
  return sql`${text} LIKE ${`${sealPrefix('%')}%`} AND ${text} NOT LIKE ${`${sealPrefix(sealKeyId)}%`}`
}

const isRow = ({ id }: SealedColumn, row: Id) =>
  sql.join(
    id.map((name) => sql`${sql.ref(name)} = ${row[name]}`),
    sql` AND `,
  )

/** In the order of the primary key, so that a text which stays as it is cannot stop the others. */
const isAfter = ({ id }: SealedColumn, row: Id) =>
  sql`(${sql.join(id.map((name) => sql.ref(name)))}) > (${sql.join(id.map((name) => sql`${row[name]}`))})`
