// The embedded store: one SQLite file behind two threads, one that writes and one that reads.
import type { Kysely } from 'kysely'
import type { Log } from '../base/log.ts'
import type { HotBatch } from './batch.ts'
import { createBuilder } from './builder.ts'
import type { Compilable, Database } from './database.ts'
import { toParameters } from './parameters.ts'
import { probeStore } from './probe.ts'
import type { SqlStatement } from './sqlite-protocol.ts'
import { SqliteThread } from './sqlite-thread.ts'

export interface SqliteOptions {
  readonly file: string
  /** `disk`: every commit waits for fsync. `process`: safe against a killed process, not against power loss. */
  readonly durability: 'disk' | 'process'
  readonly log: Log
  /** How long a write waits for another process that holds the file. */
  readonly busyTimeoutMs?: number
  readonly maxStatements?: number
  /** Requests waiting for each thread; more are refused as `overloaded`. */
  readonly maxWaiting?: number
  /** A larger file is opened without reading every page first. */
  readonly maxQuickCheckBytes?: number
}

/**
 * Opens the file, creating it (0600, folder 0700) where there is none. Rejects with `store_refused` for a damaged
 * file, which stays as it is, and with `store_unavailable` where it cannot be opened.
 */
export async function openSqlite(options: SqliteOptions): Promise<Database> {
  const {
    busyTimeoutMs = 5_000,
    maxStatements = 256,
    maxWaiting = 10_000,
    maxQuickCheckBytes = 256 * 1024 * 1024,
  } = options
  const { file, durability, log } = options
  const shared = { file, durability, log, busyTimeoutMs, maxStatements, maxWaiting, maxQuickCheckBytes }
  const database = new SqliteDatabase(
    new SqliteThread({ ...shared, role: 'writer' }),
    new SqliteThread({ ...shared, role: 'reader' }),
  )
  try {
    await database.open()
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

class SqliteDatabase implements Database {
  readonly engine = 'sqlite'
  readonly #writer: SqliteThread
  readonly #reader: SqliteThread
  readonly #builder = createBuilder<unknown>('sqlite')

  constructor(writer: SqliteThread, reader: SqliteThread) {
    this.#writer = writer
    this.#reader = reader
  }

  async open(): Promise<void> {
    await this.#writer.request({ kind: 'open' })
    await this.#reader.request({ kind: 'open' })
  }

  builder<Tables>(): Kysely<Tables> {
    return this.#builder as Kysely<Tables>
  }

  async read<Row>(query: Compilable<Row>): Promise<Row[]> {
    return (await this.#reader.request({ kind: 'read', statement: toStatement(query) })) as Row[]
  }

  async write(...queries: Compilable[]): Promise<number[]> {
    if (queries.length === 0) return []
    return (await this.#writer.request({ kind: 'write', statements: queries.map(toStatement) })) as number[]
  }

  async commit(batch: HotBatch): Promise<void> {
    if (batch.size > 0) await this.#writer.commit(batch)
  }

  probe(): Promise<void> {
    return probeStore(this)
  }

  /** The writer last: closing the last connection empties the write-ahead log into the file. */
  async close(): Promise<void> {
    await this.#reader.close()
    await this.#writer.close()
  }
}

function toStatement(query: Compilable): SqlStatement {
  const { sql, parameters } = query.compile()
  return { sql, parameters: toParameters(parameters) }
}
