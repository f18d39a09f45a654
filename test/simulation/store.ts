// A store for simulations: real SQLite in memory, whose every operation waits for the world to decide what becomes of it.
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { GatewayError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import type { HotBatch } from '../../src/db/batch.ts'
import { createBuilder } from '../../src/db/builder.ts'
import type { Compilable, Database } from '../../src/db/database.ts'
import { sqliteHotSql } from '../../src/db/hot-sql.ts'
import { migrate } from '../../src/db/migrate.ts'

/** `lost`: done on the disk, but whoever asked hears of a failure. */
export type Fate = 'done' | 'failed' | 'lost'

interface Operation {
  readonly writes: boolean
  readonly run: () => unknown
  readonly resolve: (result: never) => void
  readonly reject: (error: GatewayError) => void
}

/** What is on the disk outlives every process of the simulation. */
export class Disk {
  readonly sql: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(schema: string) {
    this.sql = new DatabaseSync(':memory:', { readBigInts: true })
    this.sql.exec(schema)
  }

  prepare(text: string): StatementSync {
    const known = this.#statements.get(text)
    if (known) return known
    const statement = this.sql.prepare(text)
    this.#statements.set(text, statement)
    return statement
  }

  all<Row>(text: string): Row[] {
    return this.prepare(text).all() as Row[]
  }

  transaction<Result>(body: () => Result): Result {
    this.sql.exec('BEGIN')
    try {
      const result = body()
      this.sql.exec('COMMIT')
      return result
    } catch (error) {
      this.sql.exec('ROLLBACK')
      throw error
    }
  }
}

/** The schema as SQL text, made once by the migrations themselves. */
export async function schemaText(): Promise<string> {
  const disk = new Disk('')
  const store = new SimulatedStore(disk)
  const done = migrate(store, { log: silentLog })
  const state = { open: true }
  void done.finally(() => (state.open = false))
  while (state.open) {
    await Promise.resolve()
    store.decide('done')
  }
  await done
  const rows = disk.all<{ sql: string }>('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid')
  return rows.map(({ sql }) => sql).join(';\n')
}

/** One process's view of the disk. */
export class SimulatedStore implements Database {
  readonly engine = 'sqlite'
  readonly #disk: Disk
  readonly #waiting: Operation[] = []

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Carries out the operation that waits longest. Reads that fail are as good as any failure. */
  decide(fate: Fate): void {
    const operation = this.#waiting.shift()
    if (!operation) return
    const error = new GatewayError('store_unavailable', { retryAfterS: 1 })
    if (fate === 'failed') return operation.reject(error)
    try {
      const result = operation.run()
      if (fate === 'lost' && operation.writes) operation.reject(error)
      else operation.resolve(result as never)
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown
      const taken = /constraint/i.test(thrown.message)
      operation.reject(new GatewayError(taken ? 'conflict' : 'internal', { cause: thrown }))
    }
  }

  /** The process is gone: of what waits, `applied` operations still reach the disk, and nobody hears of anything. */
  crash(applied: number): void {
    for (const { run } of this.#waiting.splice(0).slice(0, applied)) {
      try {
        run()
      } catch {
        // A violated constraint changes nothing.
      }
    }
  }

  builder<Tables>() {
    return createBuilder<Tables>('sqlite')
  }

  read<Row>(query: Compilable<Row>): Promise<Row[]> {
    const { sql, parameters } = query.compile()
    return this.#wait(false, () => this.#disk.prepare(sql).all(...(parameters as never[])))
  }

  write(...queries: Compilable[]): Promise<number[]> {
    const compiled = queries.map((query) => query.compile())
    return this.#wait(true, () =>
      this.#disk.transaction(() =>
        compiled.map(({ sql, parameters }) =>
          Number(this.#disk.prepare(sql).run(...(parameters as never[])).changes),
        ),
      ),
    )
  }

  commit(batch: HotBatch): Promise<void> {
    return this.#wait(true, () =>
      this.#disk.transaction(() => {
        for (const { table, values } of batch.rows)
          this.#disk.prepare(sqliteHotSql(table)).run(...(values as never[]))
      }),
    )
  }

  probe(): Promise<void> {
    return this.#wait(true, () => undefined)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #wait<Result>(writes: boolean, run: () => unknown): Promise<Result> {
    return new Promise((resolve, reject) => this.#waiting.push({ writes, run, resolve, reject }))
  }
}
