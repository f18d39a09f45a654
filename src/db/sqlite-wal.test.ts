// A log that a crash left is opened, whatever its end looks like; one that is damaged further in is not.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkWal } from './sqlite-wal.ts'

const anySize = 2 ** 30
const frameBytes = 4096 + 24
let folder = ''
let db: DatabaseSync

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-wal-'))
  db = new DatabaseSync(join(folder, 'live.db'))
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)',
  )
})
afterEach(() => {
  db.close()
  rmSync(folder, { recursive: true })
})

const insert = (rows: number): void => {
  for (let row = 0; row < rows; row++) db.exec('INSERT INTO t (b) VALUES (hex(randomblob(500)))')
}

/** The files as a killed process leaves them. */
function copy(): { file: string; log: string; frames: number } {
  const file = join(folder, 'copy.db')
  for (const suffix of ['', '-wal']) copyFileSync(join(folder, `live.db${suffix}`), file + suffix)
  const log = `${file}-wal`
  return { file, log, frames: Math.floor((readFileSync(log).length - 32) / frameBytes) }
}

const check = (file: string) => () => checkWal(file, anySize)

function flip(log: string, at: number): void {
  const bytes = readFileSync(log)
  bytes[at] = (bytes[at] ?? 0) ^ 4
  writeFileSync(log, bytes)
}

test('a whole log is opened, with frames of an older one behind its end too', () => {
  insert(50)
  expect(check(copy().file)).not.toThrow()
  db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  insert(5)
  expect(check(copy().file)).not.toThrow()
})

test('no log, an empty one, and one that was cut anywhere are opened', () => {
  insert(10)
  const { file, log } = copy()
  for (let bytes = readFileSync(log).length - 1; bytes >= 0; bytes -= 997) {
    truncateSync(log, bytes)
    expect(check(file), `cut to ${bytes} bytes`).not.toThrow()
  }
  rmSync(log)
  expect(check(file)).not.toThrow()
})

test('a bit in any frame but those of the last transactions is refused with the restore sentence', () => {
  insert(20)
  const { file, log, frames } = copy()
  for (let frame = 0; frame < frames - 6; frame++) {
    const at = 32 + frame * frameBytes + ((frame * 613) % frameBytes)
    flip(log, at)
    expect(check(file), `byte ${at}`).toThrow(/write-ahead log is broken.*restore a backup/)
    flip(log, at)
  }
  expect(check(file)).not.toThrow()
})

test('a bit in the header of the log is refused', () => {
  insert(3)
  const { file, log } = copy()
  for (let at = 0; at < 32; at++) {
    flip(log, at)
    expect(check(file), `byte ${at}`).toThrow('write-ahead log')
    flip(log, at)
  }
})

test('a last transaction that is broken is a power loss, and is left to SQLite', () => {
  insert(5)
  const { file, log, frames } = copy()
  flip(log, 32 + (frames - 1) * frameBytes + 2000)
  expect(check(file)).not.toThrow()
})
