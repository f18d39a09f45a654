// Who is at work on a store: gateways share a PostgreSQL database, one has a data folder, and a rebuild wants either alone.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { GatewayError } from '../base/errors.ts'
import { lockFolder } from '../base/folder-lock.ts'
import type { Log } from '../base/log.ts'
import type { OpenOptions } from './open.ts'
import { secretsOf } from './postgres.ts'
import { postgresError } from './postgres-errors.ts'

type LockOptions = Pick<OpenOptions, 'dataDir' | 'databaseUrl' | 'log'>

/** Of the advisory lock that a gateway shares with the others for as long as it runs. */
const lockKey = '8311206417520123'
const retryMs = 1000

/**
 * Takes the store `shared` with other gateways (a data folder is never shared) or `alone`; resolves with how to give it
 * back. Rejects with `store_refused` where somebody else has it in a way that does not go together.
 */
export async function lockStore(
  { dataDir, databaseUrl, log }: LockOptions,
  how: 'shared' | 'alone',
): Promise<() => Promise<void>> {
  if (databaseUrl === undefined) return lockFolder(dataDir)
  // Whoever opens the store says what is wrong with the URL.
  if (!URL.canParse(databaseUrl)) return () => Promise.resolve()
  const first = await take(databaseUrl, how)
  if (!first) throw new GatewayError('store_refused', { detail: refusals[how] })
  const lock = new HeldLock(databaseUrl, log)
  lock.hold(first, how)
  return () => lock.release()
}

const refusals = {
  alone: 'A gateway runs on this database; stop it first.',
  shared: 'The database is being rebuilt; start the gateway when that is done.',
}

async function take(url: string, how: 'shared' | 'alone'): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'tollbridge lock',
    connectionTimeoutMillis: 5000,
    keepAlive: true,
  })
  // A lost connection is reported by `end` as well.
  client.on('error', () => {})
  try {
    await client.connect()
    const locking = how === 'shared' ? 'pg_try_advisory_lock_shared' : 'pg_try_advisory_lock'
    const { rows } = await client.query<{ taken: boolean }>(`SELECT ${locking}(${lockKey}) AS taken`)
    if (rows[0]?.taken === true) return client
    await client.end()
    return undefined
  } catch (error) {
    await client.end().catch(() => {})
    throw postgresError(error, secretsOf(url))
  }
}

/** The lock lives in a connection: when that is lost, a gateway takes the lock again in another one. */
class HeldLock {
  readonly #url: string
  readonly #log: Log
  readonly #ending = new AbortController()
  #client: pg.Client | undefined

  constructor(url: string, log: Log) {
    this.#url = url
    this.#log = log
  }

  hold(client: pg.Client, how: 'shared' | 'alone'): void {
    this.#client = client
    client.once('end', () => {
      if (how === 'shared' && !this.#ending.signal.aborted) void this.#again()
    })
  }

  async release(): Promise<void> {
    this.#ending.abort()
    await this.#client?.end()
  }

  async #again(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      await sleep(retryMs, undefined, { signal, ref: false }).catch(() => {})
      const client = signal.aborted ? undefined : await take(this.#url, 'shared').catch(() => undefined)
      if (!client) continue
      if (signal.aborted) return client.end()
      this.#log.info({}, 'the lock on the database was taken again')
      return this.hold(client, 'shared')
    }
  }
}
