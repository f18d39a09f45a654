// Statements written as SQL text with bound values, for what Kysely's builder cannot say well.
import type { Kysely, RawBuilder } from 'kysely'
import type { Compilable, Database } from './database.ts'

/** Runs what Kysely's `sql` tag makes, in the dialect of the store. */
export class PlainSql {
  readonly engine: Database['engine']
  readonly #db: Database
  readonly #builder: Kysely<unknown>

  constructor(db: Database) {
    this.engine = db.engine
    this.#db = db
    this.#builder = db.builder<unknown>()
  }

  /** As `Database.read`. */
  read<Row>(query: RawBuilder<Row>): Promise<Row[]> {
    return this.#db.read(this.#compilable(query))
  }

  /** As `Database.write`: one transaction. */
  write(...statements: readonly RawBuilder<unknown>[]): Promise<number[]> {
    return this.#db.write(...statements.map((statement) => this.#compilable(statement)))
  }

  #compilable<Row>(query: RawBuilder<Row>): Compilable<Row> {
    return { compile: () => query.compile(this.#builder) }
  }
}
