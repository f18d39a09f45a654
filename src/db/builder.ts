// Kysely as a query compiler for each engine: it builds SQL and parameters, and can run nothing.
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
} from 'kysely'
import { GatewayError } from '../base/errors.ts'
import type { Database } from './database.ts'

/** Kysely's dummy answers every query with no rows; a query that nobody ran must fail instead. */
class CompileOnlyDriver extends DummyDriver {
  override acquireConnection(): Promise<DatabaseConnection> {
    const cause = new Error('call db.read or db.write with the query instead of execute()')
    return Promise.reject(new GatewayError('internal', { cause }))
  }
}

const dialects: Record<Database['engine'], Dialect> = {
  sqlite: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new CompileOnlyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
  postgres: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new CompileOnlyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
}

/** A builder that only compiles for this engine; `execute()` on it rejects. */
export function createBuilder<Tables>(engine: Database['engine']): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: dialects[engine] })
}
