// Chooses and opens the store: PostgreSQL where a URL is given, else SQLite in the data folder; up to date either way.
import { join } from 'node:path'
import type { Log } from '../base/log.ts'
import type { Database } from './database.ts'
import { migrate } from './migrate.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'

export interface OpenOptions {
  readonly dataDir: string
  /** `postgres://…`; its password reaches no log and no error. */
  readonly databaseUrl?: string | undefined
  readonly durability: 'disk' | 'process'
  readonly log: Log
}

/** The SQLite file of a data folder. */
export function sqliteFile(dataDir: string): string {
  return join(dataDir, 'tollbridge.db')
}

/**
 * Opens the store as it is, without touching its schema. Rejects with `store_refused` (what to do is in the message)
 * or `store_unavailable`.
 */
export function openStore({ dataDir, databaseUrl, durability, log }: OpenOptions): Promise<Database> {
  if (databaseUrl !== undefined) return openPostgres({ url: databaseUrl, durability, log })
  return openSqlite({ file: sqliteFile(dataDir), durability, log })
}

/** Opens the store, with `open` in place of `openStore` where given, and brings its schema up to date; errors as of both. */
export async function openDatabase(options: OpenOptions, open = openStore): Promise<Database> {
  const database = await open(options)
  try {
    await migrate(database, { log: options.log })
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}
