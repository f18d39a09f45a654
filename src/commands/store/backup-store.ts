// `backup`: a copy of the embedded store with what describes it, made while a gateway runs, looked through before it counts.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import manifest from '../../../package.json' with { type: 'json' }
import { systemClock as clock } from '../../base/clock.ts'
import { randomToken } from '../../base/id.ts'
import { createLog } from '../../base/log.ts'
import { secretPath } from '../../base/secret-file.ts'
import { MarkStore } from '../../billing/mark-store.ts'
import type { Config } from '../../config/config.ts'
import { snapshotSqlite, withSnapshot } from '../../db/sqlite-snapshot.ts'
import { CliError } from '../io.ts'
import {
  copyFile,
  databaseName,
  describeFile,
  keyName,
  syncPath,
  writeManifest,
  type Manifest,
} from './backup-files.ts'

export interface BackupOptions {
  /** A folder that is not there yet. */
  readonly folder: string
  readonly withSecretKey: boolean
}

export interface Backup extends Manifest {
  /** Absolute. */
  readonly folder: string
  readonly tookMs: number
}

/**
 * Makes a backup of the configured data folder. It has its name only once it is whole and on disk. Rejects with
 * CliError where the folder is taken or there is no such key, and as `snapshotSqlite` and `withSnapshot`.
 */
export async function backUpStore(config: Config, options: BackupOptions): Promise<Backup> {
  const folder = resolve(options.folder)
  const key = options.withSecretKey ? keyPath(config) : undefined
  if (existsSync(folder)) throw new CliError(`${folder} is there already; name a folder that is not.`, 2)
  const startedAtMs = clock.monotonicMs()
  const draft = `${folder}.partial-${randomToken(6)}`
  mkdirSync(dirname(folder), { recursive: true })
  mkdirSync(draft, { mode: 0o700 })
  try {
    const made = await fill(draft, { config, key })
    syncPath(draft)
    renameSync(draft, folder)
    syncPath(dirname(folder))
    return { folder, tookMs: Math.round(clock.monotonicMs() - startedAtMs), ...made }
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw error
  }
}

function keyPath(config: Config): string {
  if (config.secretKey)
    throw new CliError('The master secret is not in the data folder; keep it where it comes from.', 2)
  const path = secretPath(config.data)
  if (!existsSync(path)) throw new CliError(`There is no ${path}.`)
  return path
}

const keyTries = 5

/** A rotation meanwhile would leave a store and a key that do not belong together, so then it is done again. */
async function fill(draft: string, parts: { config: Config; key: string | undefined }): Promise<Manifest> {
  const { key, config } = parts
  const database = join(draft, databaseName)
  const createdAt = new Date(clock.now()).toISOString()
  for (let tries = 1; ; tries++) {
    const before = key === undefined ? undefined : copyFile(key, join(draft, keyName))
    await snapshotSqlite({ dataDir: config.data, durability: config.durability, target: database })
    const isWhole = key === undefined || readFileSync(key).equals(readFileSync(join(draft, keyName)))
    if (isWhole) return describe(draft, { config, createdAt, secretKey: before })
    for (const name of [databaseName, keyName]) rmSync(join(draft, name), { force: true })
    if (tries >= keyTries)
      throw new CliError('The keys are being replaced; make the backup when that is done.')
  }
}

async function describe(
  draft: string,
  { config, createdAt, secretKey }: Pick<Manifest, 'createdAt' | 'secretKey'> & { config: Config },
): Promise<Manifest> {
  const database = join(draft, databaseName)
  chmodSync(database, 0o600)
  const { mark, schema } = await withSnapshot(database, createLog(config.logLevel), async (db, steps) => ({
    mark: await new MarkStore(db).read(),
    schema: [...steps],
  }))
  syncPath(database)
  const { version } = manifest
  const described = { version, createdAt, schema, database: describeFile(database), mark }
  return writeManifest(draft, { ...described, ...(secretKey && { secretKey }) })
}
