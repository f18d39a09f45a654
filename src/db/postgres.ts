// The shared store: PostgreSQL behind three small pools, for reading, for writing and for hot batches.
import type { Kysely } from 'kysely'
import pg, { type Pool, type PoolClient, type PoolConfig } from 'pg'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { HotBatch } from './batch.ts'
import { createBuilder } from './builder.ts'
import type { Compilable, Database } from './database.ts'
import { toParameters } from './parameters.ts'
import { PostgresBatches } from './postgres-batch.ts'
import { isConnectionFault, isRetryable, postgresError, withoutSecrets } from './postgres-errors.ts'
import { postgresTypes } from './postgres-types.ts'
import { probeStore } from './probe.ts'
import { rawQuery } from './raw-query.ts'

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with libpq's parameters such as `sslmode`. */
  readonly url: string
  readonly log: Log
  /** `disk` insists on synchronous_commit; `process` switches it off: safe against a killed gateway only. */
  readonly durability?: 'disk' | 'process'
  /** Connections that read. */
  readonly poolSize?: number
  readonly connectTimeoutMs?: number
  /** The longest that one statement may take, queueing for a lock included. */
  readonly statementTimeoutMs?: number
  /** Requests waiting for a connection; more are refused as `overloaded`. */
  readonly maxWaiting?: number
}

interface Limits {
  readonly maxWaiting: number
  readonly secrets: readonly string[]
}

/** How often a transaction is run again that the server gave up for another one. */
const maxAttempts = 4

/**
 * Connects and checks that the server answers. Rejects with `store_refused` for a URL that is none and with
 * `store_unavailable` where the server cannot be reached; neither names the password.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, log, durability = 'disk', poolSize = 8, maxWaiting = 10_000 } = options
  const { connectTimeoutMs = 5_000, statementTimeoutMs = 30_000 } = options
  const secrets = secretsOf(url)
  const shared: PoolConfig = {
    connectionString: url,
    types: postgresTypes,
    application_name: 'tollbridge',
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    // The server's timeout does not help against a server that is gone without a word.
    query_timeout: statementTimeoutMs + 5_000,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
  }
  const synchronous = `-c synchronous_commit=${durability === 'disk' ? 'on' : 'off'}`
  const open = (config: PoolConfig) => openPool({ ...shared, ...config }, log, secrets)
  const pools = {
    // Compiling a summary takes longer than running it.
    read: open({ max: poolSize, options: '-c default_transaction_read_only=on -c jit=off' }),
    write: open({ max: 2, options: synchronous }),
    commit: open({ max: 1, options: synchronous, pipeline: true }),
  }
  const database = new PostgresDatabase(pools, { maxWaiting, secrets })
  try {
    await warnOfUnsafeServer(database, durability, log)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

/** What of a URL must stand in no error. Throws `store_refused` for what is no PostgreSQL URL. */
export function secretsOf(url: string): string[] {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed || !/^postgres(?:ql)?:$/.test(parsed.protocol)) {
    const detail = 'The database URL is not valid; write it as postgres://user:password@host:port/database.'
    throw new GatewayError('store_refused', { detail })
  }
  const passwords = [parsed.password, parsed.searchParams.get('password') ?? '']
  return [...new Set([...passwords, ...passwords.map(decoded)])].filter((secret) => secret.length > 0)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function openPool(config: PoolConfig, log: Log, secrets: readonly string[]): Pool {
  const pool = new pg.Pool(config)
  const onLoss = (error: Error) =>
    log.warn({ reason: withoutSecrets(error.message, secrets) }, 'a database connection was lost')
  pool.on('error', onLoss)
  // A lost connection in use reports itself twice; the query's own error is the one that counts.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

async function warnOfUnsafeServer(db: Database, durability: string, log: Log): Promise<void> {
  const query = rawQuery<{ fsync: string }>(`SELECT current_setting('fsync') AS fsync`)
  const [server] = await db.read(query)
  if (durability === 'disk' && server?.fsync !== 'on')
    log.warn({}, 'the database server runs with fsync=off: what it commits can be lost with its power')
}

class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly #pools: { readonly read: Pool; readonly write: Pool; readonly commit: Pool }
  readonly #limits: Limits
  readonly #builder = createBuilder<unknown>('postgres')
  readonly #batches = new PostgresBatches()
  #closing: Promise<unknown> | undefined

  constructor(pools: { read: Pool; write: Pool; commit: Pool }, limits: Limits) {
    this.#pools = pools
    this.#limits = limits
  }

  builder<Tables>(): Kysely<Tables> {
    return this.#builder as Kysely<Tables>
  }

  read<Row>(query: Compilable<Row>): Promise<Row[]> {
    const { sql, parameters } = query.compile()
    const values = toParameters(parameters)
    return this.#withClient(this.#pools.read, async (client) => {
      const { rows } = await client.query({ text: sql, values })
      return rows as Row[]
    })
  }

  async write(...queries: Compilable[]): Promise<number[]> {
    if (queries.length === 0) return []
    const statements = queries.map((query) => {
      const { sql, parameters } = query.compile()
      return { text: sql, values: toParameters(parameters) }
    })
    return this.#transaction(this.#pools.write, async (client) => {
      const changed: number[] = []
      for (const statement of statements) {
        const { command, rowCount } = await client.query(statement)
        changed.push(/^(?:INSERT|UPDATE|DELETE|MERGE)$/.test(command) ? (rowCount ?? 0) : 0)
      }
      await commitOf(client.query('COMMIT'))
      return changed
    })
  }

  async commit(batch: HotBatch): Promise<void> {
    if (batch.size === 0) return
    const statements = this.#batches.statements(batch)
    await this.#transaction(this.#pools.commit, async (client) => {
      // One round trip for all: where a statement fails, the server turns the COMMIT into a ROLLBACK.
      const sent = statements.map((statement) => client.query(statement))
      const commit = commitOf(client.query('COMMIT'))
      const results = await Promise.allSettled([...sent, commit])
      const failed = results.find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    })
  }

  probe(): Promise<void> {
    return probeStore(this)
  }

  async close(): Promise<void> {
    const { read, write, commit } = this.#pools
    this.#closing ??= Promise.all([read.end(), write.end(), commit.end()])
    await this.#closing
  }

  /** `body` ends with the COMMIT. */
  #transaction<Result>(pool: Pool, body: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return this.#withClient(pool, async (client) => {
      for (let attempt = 1; ; attempt++) {
        try {
          await client.query('BEGIN')
          return await body(client)
        } catch (error) {
          if (!isRetryable(error) || attempt === maxAttempts) throw error
          await client.query('ROLLBACK')
        }
      }
    })
  }

  async #withClient<Result>(pool: Pool, body: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const { maxWaiting, secrets } = this.#limits
    if (pool.waitingCount >= maxWaiting) throw new GatewayError('overloaded')
    let client: PoolClient | undefined
    let broken = false
    try {
      client = await pool.connect()
      return await body(client)
    } catch (error) {
      broken = isConnectionFault(error) || !(await rolledBack(client))
      throw postgresError(error, secrets)
    } finally {
      client?.release(broken)
    }
  }
}

/** A COMMIT of a failed transaction succeeds, as a ROLLBACK. */
async function commitOf(result: Promise<{ command: string }>): Promise<void> {
  const { command } = await result
  if (command !== 'COMMIT') throw new Error(`the transaction ended with ${command}`)
}

/** Outside a transaction ROLLBACK is harmless. */
async function rolledBack(client: PoolClient | undefined): Promise<boolean> {
  try {
    await client?.query('ROLLBACK')
    return true
  } catch {
    return false
  }
}
