// F37 and A46: a backup under load restores to its mark, what is not whole is refused, and no secret is in its bytes.
import { execFile, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { recordingIo } from '../harness/cli.ts'
import { until } from '../harness/until.ts'
import type { TestGateway } from '../harness/gateway.ts'
import { isAnswered, type Era } from './callers.ts'
import {
  cleanUp,
  client,
  costOf,
  countFrom,
  expectBalance,
  expectClean,
  furnish,
  nano,
  newFolder,
  printedSeed,
  seeded,
  startGateway,
  startUpstream,
  toolCalls,
} from './rig.ts'

afterEach(cleanUp)

const rounds = countFrom('TOLLBRIDGE_TEST_BACKUP_ROUNDS', 4)
const root = resolve(import.meta.dirname, '../..')
const grant = '100000'

async function cli(...words: string[]) {
  const { io, out, talk } = recordingIo({ HOME: '/nonexistent' })
  const code = await runCli(words, io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}

/** In a process of its own, as an operator's timer would. */
async function backUp(data: string, folder: string, ...more: string[]) {
  const args = [join(root, 'src/cli.ts'), 'backup', folder, '--data', data, '--json', ...more]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  return JSON.parse(stdout) as {
    readonly tookMs: number
    readonly mark: { records: number; transfers: number; totals: { currency: string; amount: string }[] }
  }
}

/** Calls until it is told to stop; notes the record of every answer, when it has come. */
async function load(gateway: TestGateway, key: string, answered: Set<string>, isOver: () => boolean) {
  const callers = Array.from({ length: 12 }, async (_, n) => {
    const era: Era = n % 2 === 0 ? 'legacy' : 'modern'
    const caller = await client(gateway, key, era).open()
    while (!isOver()) {
      const answer = await caller.call()
      expect(isAnswered(answer), answer.text).toBe(true)
      answered.add(answer.callId ?? 'no record named')
    }
  })
  await Promise.all(callers)
}

test(
  `${rounds} backups under load: each has all that was answered before it and restores to its mark`,
  async () => {
    const random = seeded(printedSeed('backup'))
    const upstream = await startUpstream()
    const data = newFolder()
    const gateway = await startGateway({ data })
    const { key, accountId } = await furnish(gateway, upstream.url, { grant })
    const answered = new Set<string>()
    const state = { over: false }
    const calling = load(gateway, key, answered, () => state.over)
    const taken = []
    for (let round = 0; round < rounds; round++) {
      await new Promise((done) => setTimeout(done, random(50, 600)))
      const before = new Set(answered)
      const folder = join(newFolder(), 'backup')
      const backup = await backUp(data, folder)
      taken.push({ folder, before, after: answered.size, backup })
    }
    state.over = true
    await calling
    const source = new Map((await toolCalls(gateway)).map((record) => [record.id, record]))
    expect(answered.size, 'the load was one').toBeGreaterThan(50 * rounds)
    await gateway.stop()

    for (const { folder, before, after, backup } of taken) {
      expect(after, 'calls went on meanwhile').toBeGreaterThan(before.size)
      const restoredData = newFolder()
      const startedMs = performance.now()
      expect(await cli('restore', folder, '--data', restoredData)).toMatchObject({ code: 0 })
      cpSync(join(data, 'secret.key'), join(restoredData, 'secret.key'))
      const restored = await startGateway({ data: restoredData })
      const rtoMs = Math.round(performance.now() - startedMs)
      const records = await toolCalls(restored)
      const ids = new Set(records.map(({ id }) => id))
      expect(
        [...before].filter((id) => !ids.has(id)),
        'what was answered before is in it',
      ).toEqual([])
      for (const record of records) expect(source.get(record.id)).toEqual(record)
      expect(backup.mark.records).toBe(
        Number((await restored.admin.ok('GET', '/api/v1/billing/usage/summary')).totalCalls),
      )
      await expectClean(restored)
      await expectBalance(restored, accountId, grant)
      const total = nano(grant) + costOf(records)
      expect(backup.mark.totals).toHaveLength(1)
      expect(nano(backup.mark.totals[0]?.amount ?? '0'), 'the grant and every charge').toBe(total)
      // It goes on: credentials of callers and of servers are as they were.
      const caller = await client(restored, key, 'modern').open()
      expect(isAnswered(await caller.call())).toBe(true)
      await restored.stop()
      console.log(
        `backup of ${records.length} records in ${backup.tookMs} ms, behind by at most ${after - before.size} answers; back after ${rtoMs} ms`,
      )
    }
  },
  60_000 + rounds * 20_000,
)

/** A stopped gateway's folder with a few calls, and a backup of it. */
async function stage(): Promise<{ data: string; folder: string; records: number }> {
  const upstream = await startUpstream()
  const data = newFolder()
  const gateway = await startGateway({ data })
  const secret = { auth: { type: 'bearer', token: sentinel } }
  const { key } = await furnish(gateway, upstream.url, { grant, more: secret })
  const caller = await client(gateway, key, 'modern').open()
  for (let n = 0; n < 5; n++) expect(isAnswered(await caller.call())).toBe(true)
  const folder = join(newFolder(), 'backup')
  await backUp(data, folder)
  await gateway.stop()
  return { data, folder, records: 5 }
}

const sentinel = 'S3nt1nel-of-a-server-51b0'

describe('a backup', () => {
  test('that was changed, cut or taken apart is refused, and leaves the folder as it was', async () => {
    const { folder } = await stage()
    const random = seeded(printedSeed('damage'))
    const database = (copy: string): string => join(copy, 'tollbridge.db')
    const manifest = (copy: string): string => join(copy, 'manifest.json')
    const size = statSync(database(folder)).size
    const edit = (path: string, change: (text: string) => string): void =>
      writeFileSync(path, change(readFileSync(path, 'utf8')))
    const flip = (path: string): void => {
      const bytes = readFileSync(path)
      const at = random(0, bytes.length - 1)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(0, 7))
      writeFileSync(path, bytes)
    }
    const damages: [string, (copy: string) => void][] = [
      ...Array.from({ length: 10 }, (): [string, (copy: string) => void] => [
        'a bit of it',
        (copy) => flip(database(copy)),
      ]),
      ['its end', (copy) => truncateSync(database(copy), size - 4096)],
      ['half of it', (copy) => truncateSync(database(copy), size >> 1)],
      ['all of it', (copy) => truncateSync(database(copy), 0)],
      ['something behind it', (copy) => writeFileSync(database(copy), 'x', { flag: 'a' })],
      ['the file', (copy) => rmSync(database(copy))],
      ['the manifest', (copy) => rmSync(manifest(copy))],
      [
        'a number in the manifest',
        (copy) => edit(manifest(copy), (text) => text.replace(/"records": \d+/, '"records": 4')),
      ],
      ['the end of the manifest', (copy) => truncateSync(manifest(copy), 200)],
    ]
    for (const [what, damage] of damages) {
      const copy = join(newFolder(), 'copy')
      cpSync(folder, copy, { recursive: true })
      damage(copy)
      const target = newFolder()
      const { code, talk } = await cli('restore', copy, '--data', target)
      expect([what, code, talk]).toEqual([what, 1, expect.stringMatching(/another backup|no backup/)])
      expect([what, readdirSync(target)]).toEqual([what, []])
    }
  })

  test('of a newer version is refused', async () => {
    const { folder } = await stage()
    const path = join(folder, 'manifest.json')
    const { hash } = await import('node:crypto')
    const { sha256: _, ...whole } = JSON.parse(readFileSync(path, 'utf8'))
    whole.schema.push('9999-from-the-future')
    writeFileSync(path, JSON.stringify({ ...whole, sha256: hash('sha256', JSON.stringify(whole)) }))
    const newer = await cli('restore', folder, '--data', newFolder())
    expect(newer).toMatchObject({ code: 1, talk: expect.stringContaining('9999-from-the-future') })
    writeFileSync(path, JSON.stringify({ ...whole, format: 2 }))
    expect((await cli('restore', folder, '--data', newFolder())).talk).toContain('newer version')
  })

  test('overwrites no store unless it is told to, and then moves it aside', async () => {
    const { data, folder, records } = await stage()
    const before = readFileSync(join(data, 'tollbridge.db'))
    const refused = await cli('restore', folder, '--data', data)
    expect(refused).toMatchObject({ code: 1, talk: expect.stringContaining('--force') })
    expect(readFileSync(join(data, 'tollbridge.db')).equals(before)).toBe(true)
    const { code, out } = await cli('restore', folder, '--data', data, '--force', '--json')
    expect(code).toBe(0)
    const { movedTo } = JSON.parse(out) as { movedTo: string }
    expect(readFileSync(join(movedTo, 'tollbridge.db')).equals(before)).toBe(true)
    const gateway = await startGateway({ data })
    expect(await toolCalls(gateway)).toHaveLength(records)
    await expectClean(gateway)
    // While it runs, nothing is restored, whatever is asked for.
    const running = await cli('restore', folder, '--data', data, '--force')
    expect(running).toMatchObject({ code: 1, talk: expect.stringContaining('Another gateway runs') })
    expect(await toolCalls(gateway)).toHaveLength(records)
  })

  test('whose restore is killed leaves a whole store or none, and no gateway begins an empty one', async () => {
    const { folder, records } = await stage()
    const random = seeded(printedSeed('killed restore'))
    const states = new Set<string>()
    for (let round = 0; round < 12; round++) {
      const data = newFolder()
      const args = [join(root, 'src/cli.ts'), 'restore', folder, '--data', data]
      const child = spawn(process.execPath, args, { cwd: root, stdio: 'ignore' })
      const ended = once(child, 'exit')
      if (round % 2 === 0) await Promise.race([until(() => readdirSync(data).length > 0), ended])
      await new Promise((done) => setTimeout(done, random(0, round % 2 === 0 ? 40 : 400)))
      child.kill('SIGKILL')
      await ended
      const isThere = existsSync(join(data, 'tollbridge.db'))
      const isBegun = readdirSync(data).some((name) => name.includes('.restoring-'))
      states.add(isThere ? 'restored' : isBegun ? 'begun' : 'nothing')
      if (isBegun && !isThere) {
        const started = await startGateway({ data }).then(
          () => 'started',
          (error: Error) => error.message,
        )
        expect(started).toContain('A restore into this folder was cut off')
      }
      const again = await cli('restore', folder, '--data', data, ...(isThere ? ['--force'] : []), '--json')
      expect(again.code, again.talk).toBe(0)
      expect(JSON.parse(again.out).mark.records).toBeGreaterThanOrEqual(records)
      // A start makes a key before it looks at the store.
      const left = readdirSync(data).filter((name) => name !== 'secret.key' && !name.startsWith('replaced-'))
      expect(left).toEqual(['tollbridge.db'])
    }
    expect([...states]).toContain('begun')
  })

  test('with its key, made while the keys are replaced, opens with that key', async () => {
    const { data } = await stage()
    const gateway = await startGateway({ data })
    const state = { over: false }
    const rotating = (async () => {
      while (!state.over) await gateway.admin.ok('POST', '/api/v1/secrets/rotate', { compromised: false })
    })()
    const taken = []
    for (let round = 0; round < 4; round++) {
      const folder = join(newFolder(), 'backup')
      const made = await backUp(data, folder, '--with-secret-key').catch((error: Error) => error.message)
      if (typeof made === 'string') expect(made).toContain('The keys are being replaced')
      else taken.push(folder)
    }
    state.over = true
    await rotating
    const last = join(newFolder(), 'backup')
    await backUp(data, last, '--with-secret-key')
    for (const folder of [...taken, last]) {
      const target = newFolder()
      expect(await cli('restore', folder, '--data', target)).toMatchObject({ code: 0 })
      const restored = await startGateway({ data: target })
      expect((await restored.admin.ok('GET', '/api/v1/servers/stub')).auth.last4).toBe(sentinel.slice(-4))
      await restored.stop()
    }
  })

  test('has no secret and no key in its bytes, and the key only where it is asked for', async () => {
    const { data, folder } = await stage()
    const key = readFileSync(join(data, 'secret.key'), 'utf8').trim()
    expect(readdirSync(folder).toSorted()).toEqual(['manifest.json', 'tollbridge.db'])
    const keyless = newFolder()
    expect((await cli('restore', folder, '--data', keyless)).talk).toContain('The secret key is missing')
    await expect(startGateway({ data: keyless })).rejects.toThrow(/exited.*"code":1/s)
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
      const bytes = readFileSync(join(folder, name))
      for (const secret of [sentinel, key])
        for (const coding of ['utf8', 'base64', 'hex'] as const)
          expect(bytes.includes(Buffer.from(secret).toString(coding).replace(/.?=*$/, ''))).toBe(false)
      expect(bytes.includes(Buffer.from(key, 'hex'))).toBe(false)
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    const whole = join(newFolder(), 'deep', 'whole')
    expect(await cli('backup', whole, '--data', data, '--with-secret-key')).toMatchObject({ code: 0 })
    expect(statSync(join(whole, 'secret.key')).mode & 0o777).toBe(0o600)
    const target = join(newFolder(), 'new')
    expect(await cli('restore', whole, '--data', target)).toMatchObject({ code: 0 })
    expect(readFileSync(join(target, 'secret.key'), 'utf8').trim()).toBe(key)
    const gateway = await startGateway({ data: target })
    expect((await gateway.admin.ok('GET', '/api/v1/servers/stub')).auth.last4).toBe(sentinel.slice(-4))
  })

  test('takes no name that is taken, leaves nothing of one that failed, and needs a store', async () => {
    const { data } = await stage()
    const place = newFolder()
    mkdirSync(join(place, 'taken'))
    expect(await cli('backup', join(place, 'taken'), '--data', data)).toMatchObject({ code: 2 })
    expect(await cli('backup', join(place, 'none'), '--data', newFolder())).toMatchObject({
      code: 1,
      talk: expect.stringContaining('There is no store'),
    })
    const file = join(data, 'tollbridge.db')
    chmodSync(file, 0o600)
    const bytes = readFileSync(file)
    bytes.fill(0x5a, 4096, Math.min(bytes.length, 40_960))
    writeFileSync(file, bytes)
    expect((await cli('backup', join(place, 'broken'), '--data', data)).code).toBe(1)
    expect(readdirSync(place)).toEqual(['taken'])
    expect(existsSync(file)).toBe(true)
  })

  test.each([
    ['backup', 'pg_dump --format=custom'],
    ['restore', 'pg_restore --clean'],
  ])('of PostgreSQL is not made here: %s says what is, without the password', async (command, wanted) => {
    const url = 'postgres://gate:hunter2@db.example/tollbridge'
    const { code, talk } = await cli(command, join(newFolder(), 'x'), '--database-url', url)
    expect([code, talk]).toEqual([2, expect.stringContaining(wanted)])
    expect(talk).toContain('postgres://gate@db.example/tollbridge')
    expect(talk).not.toContain('hunter2')
  })
})
