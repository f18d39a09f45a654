// One SQLite connection inside its thread: opening with checks, statements, transactions, and healing after faults.
import { statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { HotTable, HotValue } from './batch.ts'
import { decodeBatch } from './batch-codec.ts'
import { sqliteHotSql } from './hot-sql.ts'
import { faultOf, needsReopen, primaryCode } from './sqlite-errors.ts'
import { damaged, prepareSqliteFile, SqliteRefusal } from './sqlite-file.ts'
import { checkWal } from './sqlite-wal.ts'
import type { SqliteThreadOptions, SqlStatement } from './sqlite-protocol.ts'

/** What SQLite keeps of the write-ahead log after a checkpoint. */
const maxIdleWalBytes = 64 * 1024 * 1024
const cacheKibibytes = 32 * 1024

/**
 * A connection that survives faults. A failed transaction is rolled back; after an I/O fault the connection is
 * closed and the next request opens it anew. A commit that failed with an I/O fault may still be found on disk.
 */
export class SqliteConnection {
  readonly #options: SqliteThreadOptions
  readonly #tables: HotTable[] = []
  #columnCounts: number[] = []
  #db: DatabaseSync | undefined
  #statements = new Map<string, StatementSync>()
  #hot: StatementSync[] = []

  constructor(options: SqliteThreadOptions) {
    this.#options = options
  }

  /** The first opening. The writer creates a missing file and reads every page of one that is not too large. */
  open(): void {
    const { file, role, durability, maxQuickCheckBytes } = this.#options
    if (role === 'writer') prepareSqliteFile(file)
    if (role === 'writer' && durability === 'disk') checkWal(file, maxQuickCheckBytes)
    try {
      this.#use()
      if (role === 'writer') this.#quickCheck()
    } catch (error) {
      this.#drop()
      const code = primaryCode(faultOf(error).errcode)
      // CORRUPT and NOTADB; and ERROR, which statements as fixed as these get from an "unsupported file format" alone.
      if (code === 11 || code === 26 || code === 1) throw damaged(file, 'SQLite cannot read it', error)
      throw error
    }
  }

  read(statement: SqlStatement): unknown[] {
    return this.#guarded(() => this.#prepare(statement.sql).all(...statement.parameters))
  }

  /** All statements or none; how many rows each changed. */
  write(statements: readonly SqlStatement[]): number[] {
    return this.#transaction(() => statements.map((statement) => this.#run(statement)))
  }

  /** A batch as `BatchEncoder` makes it, or nothing of it. */
  commit(buffer: ArrayBuffer, newTables: readonly HotTable[]): void {
    this.#tables.push(...newTables)
    this.#columnCounts = this.#tables.map((table) => Object.keys(table.columns).length)
    this.#transaction(() => {
      decodeBatch(buffer, this.#columnCounts, (number, values) => this.#hotStatement(number).run(...values))
    })
  }

  close(): void {
    this.#drop()
  }

  #use(): DatabaseSync {
    if (this.#db) return this.#db
    const { file, role, durability, busyTimeoutMs } = this.#options
    const db = new DatabaseSync(file, {
      readBigInts: true,
      enableForeignKeyConstraints: true,
      timeout: busyTimeoutMs,
    })
    this.#db = db
    db.exec(`PRAGMA cache_size = -${cacheKibibytes}`)
    db.exec('PRAGMA temp_store = MEMORY')
    if (role === 'reader') db.exec('PRAGMA query_only = ON')
    else if (isOurs(db)) {
      useWriteAheadLog(db)
      db.exec(`PRAGMA synchronous = ${durability === 'disk' ? 'FULL' : 'NORMAL'}`)
      db.exec(`PRAGMA journal_size_limit = ${maxIdleWalBytes}`)
    }
    return db
  }

  #quickCheck(): void {
    const { file, maxQuickCheckBytes } = this.#options
    if (statSync(file).size > maxQuickCheckBytes) return
    const first = this.#prepare('PRAGMA quick_check(1)').get() as { quick_check: string } | undefined
    if (first?.quick_check !== 'ok') throw damaged(file, 'its integrity check failed', first?.quick_check)
  }

  #run({ sql, parameters }: SqlStatement): number {
    const { changes } = this.#prepare(sql).run(...parameters)
    // SQLite repeats the last count after a statement that changes no rows, such as CREATE TABLE.
    return /^\s*(?:insert|update|delete|replace|with)\b/i.test(sql) ? Number(changes) : 0
  }

  /** Least recently used statements make room. */
  #prepare(sql: string): StatementSync {
    const db = this.#use()
    const known = this.#statements.get(sql)
    if (known) this.#statements.delete(sql)
    const statement = known ?? db.prepare(sql)
    this.#statements.set(sql, statement)
    if (this.#statements.size > this.#options.maxStatements) {
      const [oldest] = this.#statements.keys()
      if (oldest !== undefined) this.#statements.delete(oldest)
    }
    return statement
  }

  #hotStatement(number: number): Pick<StatementSync, 'run'> & { run(...values: HotValue[]): unknown } {
    const known = this.#hot[number]
    if (known) return known
    const table = this.#tables[number]
    if (!table) throw new Error('the batch names a table that was not sent')
    return (this.#hot[number] = this.#use().prepare(sqliteHotSql(table)))
  }

  #transaction<Result>(body: () => Result): Result {
    return this.#guarded(() => {
      const db = this.#use()
      this.#prepare('BEGIN IMMEDIATE').run()
      try {
        const result = body()
        this.#prepare('COMMIT').run()
        return result
      } catch (error) {
        if (db.isTransaction) this.#rollBack(db)
        throw error
      }
    })
  }

  #rollBack(db: DatabaseSync): void {
    try {
      db.exec('ROLLBACK')
    } catch {
      // Closing the connection ends the transaction as well.
      this.#drop()
    }
  }

  #guarded<Result>(body: () => Result): Result {
    try {
      return body()
    } catch (error) {
      if (needsReopen(faultOf(error).errcode)) this.#drop()
      throw error
    }
  }

  #drop(): void {
    this.#statements = new Map()
    this.#hot = []
    const db = this.#db
    this.#db = undefined
    try {
      db?.close()
    } catch {
      // A connection that cannot be closed is left behind; a new one does not need it.
    }
  }
}

/** SQLite keeps the old mode without an error where the file system cannot share memory. */
function useWriteAheadLog(db: DatabaseSync): void {
  const { journal_mode: mode } = db.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string }
  if (mode === 'wal') return
  throw new SqliteRefusal(
    'The database cannot use a write-ahead log here; put the data folder on a local disk that can be written to.',
  )
}

/** A new file, or one with our schema. Another program's file is not even switched to another journal mode. */
function isOurs(db: DatabaseSync): boolean {
  const { count, known } = db
    .prepare(
      `SELECT count(*) AS count, coalesce(sum(name = 'schema_migration'), 0) AS known FROM sqlite_schema
       WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'`,
    )
    .get() as { count: bigint; known: bigint }
  return count === 0n || known > 0n
}
