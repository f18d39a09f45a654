// The SQLite file before it is opened: made once with tight permissions, and refused where it is damaged.
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** A file that must not be opened; `refusal` is one sentence for the operator. */
export class SqliteRefusal extends Error {
  readonly refusal: string

  constructor(refusal: string, cause?: unknown) {
    super(refusal, { cause })
    this.refusal = refusal
  }
}

/** The sentence for a damaged file; the file stays as it is. */
export function damaged(file: string, what: string, cause?: unknown): SqliteRefusal {
  const name = basename(file)
  return new SqliteRefusal(
    `The database ${name} is damaged (${what}) and was left as it is; move it aside and restore a backup.`,
    cause,
  )
}

/** Makes the folder (0700) and the file (0600) where they are missing; throws SqliteRefusal for a damaged one. */
export function prepareSqliteFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  if (!existsSync(file)) {
    if (existsSync(`${file}-wal`)) throw damaged(file, 'the file is gone, but its write-ahead log is there')
    refuseHalfRestored(file)
    createSqliteFile(file)
  }
  checkHeader(file)
}

/** Stands in the names of what a restore has not put in place yet. */
export const restoringSuffix = '.restoring-'

/** A new and empty store in place of the one that was to be restored would look like a loss of everything. */
function refuseHalfRestored(file: string): void {
  const begun = readdirSync(dirname(file)).find((name) => name.startsWith(basename(file) + restoringSuffix))
  if (begun === undefined) return
  throw new SqliteRefusal(
    `A restore into this folder was cut off; run it again, or remove ${begun} to begin with an empty store.`,
  )
}

/** Written under another name and linked into place: an empty or half-made file can only be damage. */
function createSqliteFile(file: string): void {
  const draft = `${file}.new-${randomBytes(6).toString('hex')}`
  try {
    closeSync(openSync(draft, 'wx', 0o600))
    chmodSync(draft, 0o600)
    const db = new DatabaseSync(draft)
    db.exec('PRAGMA journal_mode = WAL')
    db.close()
    syncPath(draft)
    try {
      linkSync(draft, file)
    } catch (error) {
      if (!existsSync(file)) throw error
    }
    syncPath(dirname(file))
  } finally {
    rmSync(draft, { force: true })
  }
}

function syncPath(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** The magic string and the file format versions (sqlite.org/fileformat2.html section 1.3). */
function checkHeader(file: string): void {
  const header = Buffer.alloc(100)
  const handle = openSync(file, 'r')
  let bytes = 0
  try {
    bytes = readSync(handle, header, 0, header.length, 0)
  } finally {
    closeSync(handle)
  }
  if (bytes < header.length) throw damaged(file, `it has only ${statSync(file).size} bytes`)
  if (header.toString('latin1', 0, 16) !== 'SQLite format 3\0') throw damaged(file, 'no SQLite header')
  // SQLite would open a file of an unknown write version, and only read from it.
  if (![1, 2].includes(header[18] ?? 0) || ![1, 2].includes(header[19] ?? 0))
    throw damaged(file, 'an unknown file format')
}
