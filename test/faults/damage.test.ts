// F21: a damaged store is refused and left as it is, or the damage does no harm; it is never replaced by a new one.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { verifyStore } from '../../src/commands/store/verify-store.ts'
import { eras, isAnswered } from './callers.ts'
import {
  cleanUp,
  client,
  countFrom,
  furnish,
  newFolder,
  printedSeed,
  seeded,
  startGateway,
  startUpstream,
  turn,
} from './rig.ts'

const samples = countFrom('TOLLBRIDGE_TEST_DAMAGES', 60)
const root = resolve(import.meta.dirname, '../..')
const refusal = /damaged .* was left as it is; move it aside and restore a backup/

interface Books {
  readonly records: bigint
  readonly cost: bigint
  readonly moved: bigint
}

/** Data folders with the same history: one was stopped, its log is empty; one was killed, its log holds the end. */
const folders: Record<'stopped' | 'killed', string> = { stopped: '', killed: '' }
const books: Record<'stopped' | 'killed', Books> = { stopped: empty(), killed: empty() }

function empty(): Books {
  return { records: 0n, cost: 0n, moved: 0n }
}

beforeAll(async () => {
  const upstream = await startUpstream()
  for (const kind of ['stopped', 'killed'] as const) {
    const data = (folders[kind] = newFolder())
    const gateway = await startGateway({ data })
    const { key } = await furnish(gateway, upstream.url)
    for (const era of eras) {
      const caller = await client(gateway, key, era).open()
      for (let n = 0; n < 40; n++) expect(isAnswered(await caller.call({ tool: `tool-${n % 7}` }))).toBe(true)
    }
    await gateway.stop(kind === 'stopped' ? 'SIGTERM' : 'SIGKILL')
    books[kind] = readBooks(copyOf(data))
    expect(books[kind].records).toBeGreaterThanOrEqual(80n)
  }
})
afterAll(cleanUp)

function copyOf(data: string): string {
  const copy = newFolder()
  cpSync(data, copy, { recursive: true })
  return copy
}

const fileIn = (data: string): string => join(data, 'tollbridge.db')

function readBooks(data: string): Books {
  const db = new DatabaseSync(fileIn(data), { readBigInts: true })
  try {
    const row = db
      .prepare(
        `SELECT (SELECT count(*) FROM usage_record) AS records, (SELECT sum(cost) FROM usage_record) AS cost,
           (SELECT sum(amount) FROM transfer) AS moved`,
      )
      .get()
    return { ...row } as unknown as Books
  } finally {
    db.close()
  }
}

/** Every file of the folder and a hash of its bytes; the index of the log is rebuilt whenever the store is opened. */
const hashes = (data: string): string[] =>
  readdirSync(data)
    .filter((name) => !name.endsWith('-shm'))
    .map(
      (name) =>
        `${name} ${createHash('sha256')
          .update(readFileSync(join(data, name)))
          .digest('hex')}`,
    )

type Verdict = { kind: 'refused'; message: string } | { kind: 'detected' } | { kind: 'fine'; books: Books }

/** Opens a store as the gateway does at its start, and verifies it. */
async function judge(data: string): Promise<Verdict> {
  const config = loadConfig({ data }, {})
  if ('faults' in config) throw new Error('the test has no configuration')
  try {
    const { ok } = await verifyStore({ ...config, logLevel: 'silent' })
    return ok ? { kind: 'fine', books: readBooks(data) } : { kind: 'detected' }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === 'store_refused') return { kind: 'refused', message }
    if (code === 'store_unavailable') return { kind: 'detected' }
    throw error
  }
}

function flipBit(file: string, at: number, bit: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  writeFileSync(file, bytes)
}

interface Damage {
  readonly what: string
  readonly kind: 'stopped' | 'killed'
  /** Damages the copy. */
  readonly inflict: (file: string) => void
  /**
   * Records that may be missing where nothing is noticed. A log that ends early is what a power loss leaves, so any
   * end of it may; a bit in its last transaction looks the same (and in the mark that ends the one before, too).
   */
  readonly mayLose: bigint
}

const everything = 2n ** 62n

/** Damages at offsets by the seed: the header and the pages of the file, and the log, cut off or with one bit flipped. */
function plan(random: (min: number, max: number) => number): Damage[] {
  const fileBytes = statSync(fileIn(folders.stopped)).size
  const logBytes = statSync(`${fileIn(folders.killed)}-wal`).size
  const ways: readonly (() => Damage)[] = [
    () => cutAt(random(0, fileBytes - 1), '', 0n),
    () => flipAt(random(0, 99), random(0, 7), '', 0n),
    () => flipAt(random(0, fileBytes - 1), random(0, 7), '', 0n),
    () => cutAt(random(0, logBytes - 1), '-wal', everything),
    () => flipAt(random(0, logBytes - 1), random(0, 7), '-wal', 2n),
  ]
  return Array.from({ length: samples }, (_, n) => turn(ways, n)())
}

const kindOf = (suffix: string): Damage['kind'] => (suffix === '' ? 'stopped' : 'killed')

const cutAt = (at: number, suffix: string, mayLose: bigint): Damage => ({
  what: `tollbridge.db${suffix} cut to ${at} bytes`,
  kind: kindOf(suffix),
  inflict: (file) => truncateSync(file + suffix, at),
  mayLose,
})

const flipAt = (at: number, bit: number, suffix: string, mayLose: bigint): Damage => ({
  what: `bit ${bit} of byte ${at} of tollbridge.db${suffix}`,
  kind: kindOf(suffix),
  inflict: (file) => flipBit(file + suffix, at, bit),
  mayLose,
})

describe('a store', () => {
  test(`damaged in ${samples} ways is refused and untouched, found by verify, or has the right sums`, async () => {
    const tally = { refused: 0, detected: 0, fine: 0 }
    for (const { what, kind, inflict, mayLose } of plan(seeded(printedSeed('damage')))) {
      const data = copyOf(folders[kind])
      inflict(fileIn(data))
      const before = hashes(data)
      const verdict = await judge(data)
      const after = hashes(data)
      rmSync(data, { recursive: true })
      tally[verdict.kind]++
      if (verdict.kind === 'refused') {
        expect(verdict.message, what).toMatch(refusal)
        expect(after, `${what}: the files are as they were`).toEqual(before)
      }
      if (mayLose === everything) expect(verdict.kind, `${what}: a power loss must not stop it`).toBe('fine')
      if (verdict.kind !== 'fine') continue
      const lost = books[kind].records - verdict.books.records
      if (lost === 0n) expect(verdict.books, what).toEqual(books[kind])
      expect(lost >= 0n && lost <= mayLose, `${what}: ${lost} records are gone`).toBe(true)
    }
    console.log(`damage: ${JSON.stringify(tally)}`)
    expect(tally.refused).toBeGreaterThan(samples / 5)
  }, 300_000)

  test('without damage opens with everything in it, stopped or killed', async () => {
    for (const kind of ['stopped', 'killed'] as const) {
      expect(await judge(copyOf(folders[kind])), kind).toEqual({ kind: 'fine', books: books[kind] })
    }
  })
})

const damages: readonly (readonly [string, (file: string) => void])[] = [
  ['emptied', (file) => truncateSync(file, 0)],
  ['cut in the middle of a page', (file) => truncateSync(file, 3 * 4096 + 100)],
  ['overwritten with text', (file) => writeFileSync(file, 'not a database\n'.repeat(1000))],
]

test.each(damages)(
  'a database that was %s: the gateway exits with 1 and the restore sentence, and makes no new one',
  (_what, inflict) => {
    const data = copyOf(folders.stopped)
    inflict(fileIn(data))
    const before = hashes(data)
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'src/cli.ts'), 'serve', '--port', '0', '--data', data],
      { encoding: 'utf8', timeout: 20_000 },
    )
    expect(stderr).toMatch(refusal)
    expect([status, stdout]).toEqual([1, ''])
    expect(hashes(data)).toEqual(before)
    expect(existsSync(fileIn(data))).toBe(true)
  },
)
