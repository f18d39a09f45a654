// F21: a damaged store is refused and left as it is, or the damage does no harm; it is never replaced by a new one.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openSecretFile } from '../../src/base/secret-file.ts'
import { loadConfig } from '../../src/config.ts'
import { verifyStore } from '../../src/commands/verify-store.ts'
import { eras, isAnswered } from './callers.ts'
import { cleanUp, client, countFrom, furnish, newFolder, printedSeed, seeded, startGateway, startUpstream } from './rig.ts'

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
const copies: string[] = []

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
afterEach(() => {
  for (const copy of copies.splice(0)) rmSync(copy, { recursive: true, force: true })
})

function copyOf(data: string): string {
  const copy = newFolder()
  cpSync(data, copy, { recursive: true })
  copies.push(copy)
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
    .map((name) => `${name} ${createHash('sha256').update(readFileSync(join(data, name))).digest('hex')}`)

type Verdict = { kind: 'refused'; message: string } | { kind: 'detected' } | { kind: 'fine'; books: Books }

/** Opens a store as the gateway does at its start, and verifies it. */
async function judge(data: string): Promise<Verdict> {
  const config = loadConfig({ data }, {})
  const secretKey = openSecretFile(data)
  if ('faults' in config || 'problem' in secretKey) throw new Error('the test has no configuration')
  try {
    const { ok } = await verifyStore({ ...config, logLevel: 'silent', secretKey })
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
  /** Damages the copy; `size` is that of the damaged file. */
  readonly inflict: (file: string) => void
  /** A log that ends early is what a power loss leaves: its last transactions may be missing, nothing else. */
  readonly mayEndEarly: boolean
}

/** Damages at offsets by the seed: the header and the pages of the file, and the log, cut off or with one bit flipped. */
function plan(random: (min: number, max: number) => number): Damage[] {
  const sizeOf = (kind: 'stopped' | 'killed', suffix: string): number => statSync(fileIn(folders[kind]) + suffix).size
  const [fileBytes, logBytes] = [sizeOf('stopped', ''), sizeOf('killed', '-wal')]
  return Array.from({ length: samples }, (_, n): Damage => {
    const bit = random(0, 7)
    const cut = (suffix: string, at: number) => (file: string) => truncateSync(file + suffix, at)
    const flip = (suffix: string, at: number) => (file: string) => flipBit(file + suffix, at, bit)
    const inFile = random(0, fileBytes - 1)
    const inLog = random(0, logBytes - 1)
    const inHeader = random(0, 99)
    switch (n % 5) {
      case 0:
        return { what: `the file cut to ${inFile}`, kind: 'stopped', inflict: cut('', inFile), mayEndEarly: false }
      case 1:
        return { what: `bit ${bit} of header byte ${inHeader}`, kind: 'stopped', inflict: flip('', inHeader), mayEndEarly: false }
      case 2:
        return { what: `bit ${bit} of byte ${inFile}`, kind: 'stopped', inflict: flip('', inFile), mayEndEarly: false }
      case 3:
        return { what: `the log cut to ${inLog}`, kind: 'killed', inflict: cut('-wal', inLog), mayEndEarly: true }
      default:
        return { what: `bit ${bit} of log byte ${inLog}`, kind: 'killed', inflict: flip('-wal', inLog), mayEndEarly: isLastFrames(inLog) }
    }
  })

  /** The last transaction is the one whose damage looks like a write that was not finished. */
  function isLastFrames(at: number): boolean {
    return at > logBytes - 40 * (4096 + 24)
  }
}

describe('a store', () => {
  test(`damaged in ${samples} ways is refused and untouched, found by verify, or has the right sums`, async () => {
    const tally = { refused: 0, detected: 0, fine: 0 }
    for (const { what, kind, inflict, mayEndEarly } of plan(seeded(printedSeed('damage')))) {
      const data = copyOf(folders[kind])
      inflict(fileIn(data))
      const before = hashes(data)
      const verdict = await judge(data)
      tally[verdict.kind]++
      if (verdict.kind === 'refused') {
        expect(verdict.message, what).toMatch(refusal)
        expect(hashes(data), `${what}: the files are as they were`).toEqual(before)
      }
      if (verdict.kind !== 'fine') continue
      if (mayEndEarly) expect(verdict.books.records <= books[kind].records, what).toBe(true)
      else expect(verdict.books, what).toEqual(books[kind])
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

test.each(damages)('a database that was %s: the gateway exits with 1 and the restore sentence, and makes no new one', (_what, inflict) => {
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
})
