// The one seam between the gateway and a store: queries, atomic writes, and the hot batch.
import type { CompiledQuery, Kysely } from 'kysely'
import type { HotBatch } from './batch.ts'

/** What a column may hold. Every integer column is read as bigint on both engines, so that money is never a double. */
export type SqlValue = string | number | bigint | Uint8Array | null

/** Anything Kysely can compile; the row type is inferred from it. */
export interface Compilable<Row = unknown> {
  compile(): CompiledQuery<Row>
}

/**
 * A store. All methods are asynchronous and safe to call in parallel; the event loop never waits for a disk.
 * Failures of the store itself (disk full, lost connection) reject with GatewayError `store_unavailable`;
 * a violated constraint rejects with GatewayError `conflict`.
 */
export interface Database {
  readonly engine: 'sqlite' | 'postgres'

  /** A Kysely builder for this engine, typed with the tables of the folder that asks. It only compiles. */
  builder<Tables>(): Kysely<Tables>

  /** Runs one reading query. Integers come back as bigint, blobs as Uint8Array. */
  read<Row>(query: Compilable<Row>): Promise<Row[]>

  /**
   * Runs all queries in one durable transaction, in order: all or nothing.
   * Returns for each how many rows it changed, as far as the engine says.
   */
  write(...queries: Compilable[]): Promise<number[]>

  /** Commits a hot batch in one durable transaction; resolves when it is on disk. One at a time per caller. */
  commit(batch: HotBatch): Promise<void>

  /** Writes, reads back and checks integrity quickly; rejects with `store_unavailable` where that fails. */
  probe(): Promise<void>

  close(): Promise<void>
}
