// A copy of the SQLite file as it is at one moment, made while a gateway works on it.
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { isFolderLocked } from '../base/folder-lock.ts'
import { migrations } from './migrations/list.ts'
import { openSqlite } from './sqlite.ts'
import type { Database } from './database.ts'
import { readSchemaState } from './migrate.ts'
import type { Log } from '../base/log.ts'
import { sqliteFile } from './open.ts'
import { SqliteRefusal } from './sqlite-file.ts'
import { checkWal } from './sqlite-wal.ts'

const busyTimeoutMs = 30_000
const maxCheckedWalBytes = 1024 * 1024 * 1024

export interface SnapshotOptions {
  readonly dataDir: string
  /** Of the gateway whose store it is; see `checkWal`. */
  readonly durability: 'disk' | 'process'
  /** A file that is not there yet. */
  readonly target: string
}

/**
 * Copies the store of a data folder: everything that was committed before, nothing of what was not, and no rows that
 * were deleted. Readers and the writer go on meanwhile. Blocks this process, so it is not for a gateway's own. Throws
 * SqliteRefusal where there is no store, or a damaged one.
 */
export async function snapshotSqlite({ dataDir, durability, target }: SnapshotOptions): Promise<void> {
  const file = sqliteFile(dataDir)
  if (!existsSync(file))
    throw new SqliteRefusal(`There is no store in ${dataDir}; name its folder with --data.`)
  // A gateway that runs has looked at its log itself; what it is writing now looks broken for a moment.
  if (durability === 'disk' && !(await isFolderLocked(dataDir))) checkWal(file, maxCheckedWalBytes)
  const source = new DatabaseSync(file, { readOnly: true, timeout: busyTimeoutMs })
  try {
    // One transaction that reads; the backup interface would begin again with each commit of another process.
    source.prepare('VACUUM INTO ?').run(target)
  } finally {
    source.close()
  }
}

/**
 * Opens a copy by itself, after reading every page of it, hands it to `work` and closes it; one file is left. Rejects
 * with `store_refused` where it is damaged, empty, another program's, or of a newer version.
 */
export async function withSnapshot<T>(
  file: string,
  log: Log,
  work: (db: Database, schema: readonly string[]) => Promise<T>,
): Promise<T> {
  const db = await openSqlite({ file, durability: 'disk', log, maxQuickCheckBytes: Number.MAX_SAFE_INTEGER })
  try {
    const { applied, unknown, foreign } = await readSchemaState(db)
    if (foreign.length > 0 || applied.length === 0)
      throw new SqliteRefusal('The copy holds no store of Tollbridge.')
    if (unknown.length > 0) throw new SqliteRefusal(newerText(unknown))
    return await work(
      db,
      applied.map(({ name }) => name),
    )
  } finally {
    await db.close()
  }
}

/** Steps of a schema that this version does not know. */
export function unknownSteps(schema: readonly string[]): string[] {
  const known = new Set(migrations.map(({ name }) => name))
  return schema.filter((name) => !known.has(name))
}

export const newerText = (unknown: readonly string[]): string =>
  `It was made by a newer version of Tollbridge (it has ${unknown.slice(0, 3).join(', ')}); use that version.`
