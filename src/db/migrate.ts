// Brings a store's schema up to date, one transaction a step, and refuses a store that is not ours to change.
import { systemClock, type Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Compilable, Database } from './database.ts'
import type { Dialect, Migration } from './migration.ts'
import { migrations as allMigrations } from './migrations/list.ts'
import { probeTable } from './probe.ts'
import { rawQuery } from './raw-query.ts'

interface Tables {
  schema_migration: { name: string; applied_at: number | bigint }
}

export interface SchemaState {
  readonly applied: readonly { readonly name: string; readonly appliedAtMs: number }[]
  /** Steps of this version that the store lacks, in order. */
  readonly missing: readonly string[]
  /** Steps in the store that this version does not know: a newer version made them. */
  readonly unknown: readonly string[]
  /** Tables in a store that has no record of our schema: another program's. */
  readonly foreign: readonly string[]
}

export interface MigrateOptions {
  readonly log: Log
  readonly clock?: Clock
  readonly migrations?: readonly Migration[]
}

const dialects: Record<Database['engine'], Dialect> = {
  sqlite: { engine: 'sqlite', integer: 'INTEGER', blob: 'BLOB', strict: ' STRICT' },
  postgres: { engine: 'postgres', integer: 'BIGINT', blob: 'BYTEA', strict: '' },
}

/** Changes nothing. */
export async function readSchemaState(
  db: Database,
  migrations: readonly Migration[] = allMigrations,
): Promise<SchemaState> {
  const names = migrations.map(({ name }) => name)
  const tables = await listTables(db)
  if (!tables.includes('schema_migration'))
    return { applied: [], missing: names, unknown: [], foreign: tables }
  const rows = await db.read(
    db.builder<Tables>().selectFrom('schema_migration').select(['name', 'applied_at']).orderBy('name'),
  )
  const applied = rows.map((row) => ({ name: row.name, appliedAtMs: Number(row.applied_at) }))
  const known = new Set(applied.map(({ name }) => name))
  return {
    applied,
    missing: names.filter((name) => !known.has(name)),
    unknown: [...known].filter((name) => !names.includes(name)),
    foreign: [],
  }
}

/**
 * Applies what is missing, in order, and returns the names. Nodes that start together wait for each other.
 * Rejects with `store_refused`, and changes nothing, where the store is newer than this version or another program's.
 */
export async function migrate(db: Database, options: MigrateOptions): Promise<string[]> {
  const { log, clock = systemClock, migrations = allMigrations } = options
  const state = await readSchemaState(db, migrations)
  refuseStrange(state)
  if (state.applied.length === 0) await db.write(...lock(db), ...bootstrap(db))
  const done: string[] = []
  for (const migration of migrations.filter(({ name }) => state.missing.includes(name))) {
    if (!(await applyOne(db, migration, { clock, migrations }))) continue
    // Of a new store nobody needs to know the steps.
    const level = state.applied.length === 0 ? 'debug' : 'info'
    log[level]({ migration: migration.name }, 'the schema was brought up one step')
    done.push(migration.name)
  }
  if (done.length > 0 && db.engine === 'sqlite') await settle(db)
  return done
}

/** Brings the schema out of the write-ahead log: without it, a file whose log was lost would pass for a new one. */
async function settle(db: Database): Promise<void> {
  await db.read(rawQuery('PRAGMA wal_checkpoint(TRUNCATE)'))
}

function refuseStrange({ unknown, foreign }: SchemaState): void {
  if (unknown.length > 0) {
    const detail = `The database was made by a newer version (it has ${shortList(unknown)}) and was left as it is; start that version, or restore a backup made by this one.`
    throw new GatewayError('store_refused', { detail })
  }
  if (foreign.length > 0) {
    const detail = `The database belongs to another program (it has ${shortList(foreign)}) and was left as it is; name an empty database or another data folder.`
    throw new GatewayError('store_refused', { detail })
  }
}

function shortList(names: readonly string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
}

/** False where another node has applied it meanwhile. */
async function applyOne(
  db: Database,
  migration: Migration,
  { clock, migrations }: { clock: Clock; migrations: readonly Migration[] },
): Promise<boolean> {
  const record = { name: migration.name, applied_at: clock.now() }
  const statements = migration.statements(dialects[db.engine]).map((text) => rawQuery(text))
  try {
    // The record comes first: of two nodes, the second fails here and does nothing.
    await db.write(
      ...lock(db),
      db.builder<Tables>().insertInto('schema_migration').values(record),
      ...statements,
    )
    return true
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
    const { missing } = await readSchemaState(db, migrations)
    if (missing.includes(migration.name)) throw error
    return false
  }
}

function bootstrap(db: Database): Compilable[] {
  const { integer } = dialects[db.engine]
  const record = `CREATE TABLE IF NOT EXISTS schema_migration (name TEXT PRIMARY KEY, applied_at ${integer} NOT NULL)`
  return [record, ...probeTable(integer)].map((text) => rawQuery(text))
}

/** Held until the transaction ends. SQLite's write transactions exclude each other by themselves. */
function lock(db: Database): Compilable[] {
  return db.engine === 'postgres' ? [rawQuery('SELECT pg_advisory_xact_lock(8311206417520121)')] : []
}

/** The tables of the schema that unqualified names reach; on PostgreSQL without those that belong to extensions. */
async function listTables(db: Database): Promise<string[]> {
  const query =
    db.engine === 'sqlite'
      ? `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name`
      : `SELECT c.relname::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'p')
         AND c.relnamespace = current_schema()::regnamespace
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1`
  return (await db.read(rawQuery<{ name: string }>(query))).map(({ name }) => name)
}
