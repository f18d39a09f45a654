// A query from plain SQL, for statements that Kysely cannot build; inside db/ only.
import { CompiledQuery } from 'kysely'
import type { Compilable } from './database.ts'

/** SQL without parameters. Never from user input. */
export function rawQuery<Row = unknown>(sql: string): Compilable<Row> {
  return { compile: () => CompiledQuery.raw(sql) }
}
