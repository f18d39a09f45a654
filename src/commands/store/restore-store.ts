// `restore`: puts a backup into a data folder, whole and looked through, or leaves that folder as it is.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { systemClock as clock } from '../../base/clock.ts'
import { lockFolder } from '../../base/folder-lock.ts'
import { randomToken } from '../../base/id.ts'
import { createLog } from '../../base/log.ts'
import { secretPath } from '../../base/secret-file.ts'
import { MarkStore } from '../../billing/mark-store.ts'
import type { Config } from '../../config/config.ts'
import { sqliteFile } from '../../db/open.ts'
import { restoringSuffix } from '../../db/sqlite-file.ts'
import { withSnapshot } from '../../db/sqlite-snapshot.ts'
import { CliError } from '../io.ts'
import {
  copyFile,
  databaseName,
  describeFile,
  isSame,
  keyName,
  readManifest,
  syncPath,
  type Manifest,
} from './backup-files.ts'

export interface RestoreOptions {
  readonly folder: string
  /** A store that is there is moved aside. */
  readonly force: boolean
}

export interface Restored extends Pick<Manifest, 'version' | 'createdAt' | 'mark'> {
  /** The data folder, absolute. */
  readonly data: string
  /** Where the former store is now; absent where there was none. */
  readonly movedTo?: string
  /** Whether the data folder, or the environment, has a secret key for it. */
  readonly hasSecretKey: boolean
  readonly tookMs: number
}

const draftPrefix = databaseName + restoringSuffix

/**
 * Restores a backup. Rejects with CliError where it is not whole or of a newer version, or a store is there and `force`
 * is not; with `store_refused` while a gateway runs on the folder.
 */
export async function restoreStore(config: Config, { folder, force }: RestoreOptions): Promise<Restored> {
  const startedAtMs = clock.monotonicMs()
  const manifest = readManifest(resolve(folder))
  const unlock = await lockFolder(config.data)
  try {
    const present = presentFiles(config.data, manifest)
    if (present.length > 0 && !force)
      throw new CliError(
        `${present.join(' and ')} would be overwritten; --force moves what is there aside, or pass another --data.`,
      )
    const drafts = await copyAll(config, resolve(folder), manifest)
    const movedTo = moveAside(config.data, present)
    for (const { draft, path } of drafts) renameSync(draft, path)
    syncPath(config.data)
    const { version, createdAt, mark } = manifest
    return {
      data: config.data,
      version,
      createdAt,
      mark,
      ...(movedTo !== undefined && { movedTo }),
      hasSecretKey: config.secretKey !== undefined || existsSync(secretPath(config.data)),
      tookMs: Math.round(clock.monotonicMs() - startedAtMs),
    }
  } finally {
    await unlock()
  }
}

/**
 * What of a store is there, in the order in which it is moved: a write-ahead log without its file is refused by a start,
 * a file without its log would pass. A key is only in the way of another one.
 */
function presentFiles(data: string, { secretKey }: Manifest): string[] {
  const file = sqliteFile(data)
  const store = [file, `${file}-wal`, `${file}-shm`].filter((path) => existsSync(path))
  const key = secretPath(data)
  const isInTheWay = secretKey && existsSync(key) && !isSame(describeFile(key), secretKey)
  return isInTheWay ? [...store, key] : store
}

interface Draft {
  readonly draft: string
  readonly path: string
}

/** Everything beside its place, looked through; in the order in which it is put there. */
async function copyAll(config: Config, folder: string, manifest: Manifest): Promise<Draft[]> {
  for (const name of readdirSync(config.data))
    if (name.startsWith(draftPrefix)) rmSync(join(config.data, name), { force: true })
  const draft = join(config.data, `${draftPrefix}${randomToken(6)}`)
  const keyDraft = `${draft}-key`
  try {
    if (!isSame(copyFrom(folder, databaseName, draft), manifest.database)) throw damaged(folder, databaseName)
    const mark = await withSnapshot(draft, createLog(config.logLevel), (db) => new MarkStore(db).read())
    if (!isDeepStrictEqual(mark, manifest.mark)) throw damaged(folder, databaseName)
    const database = { draft, path: sqliteFile(config.data) }
    if (!manifest.secretKey) return [database]
    if (!isSame(copyFrom(folder, keyName, keyDraft), manifest.secretKey)) throw damaged(folder, keyName)
    return [{ draft: keyDraft, path: secretPath(config.data) }, database]
  } catch (error) {
    for (const path of [draft, `${draft}-wal`, `${draft}-shm`, keyDraft]) rmSync(path, { force: true })
    throw error
  }
}

function copyFrom(folder: string, name: string, to: string): ReturnType<typeof copyFile> {
  try {
    return copyFile(join(folder, name), to)
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && path === join(folder, name)) throw damaged(folder, name)
    throw error
  }
}

const damaged = (folder: string, name: string): CliError =>
  new CliError(`${join(folder, name)} is not as it was when the backup was made; use another backup.`)

function moveAside(data: string, present: readonly string[]): string | undefined {
  if (present.length === 0) return undefined
  const stamp = new Date(clock.now()).toISOString().replaceAll(/[:.]/g, '-')
  const folder = join(data, `replaced-${stamp}`)
  mkdirSync(folder, { mode: 0o700 })
  for (const path of present) renameSync(path, join(folder, path.slice(data.length + 1)))
  syncPath(folder)
  syncPath(data)
  return folder
}
