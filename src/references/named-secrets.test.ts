// Named secrets: for the servers that they are named for alone, as they are now, and never in an error.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { until } from '../../test/harness/until.ts'
import { ManualClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { NamedSecrets } from './named-secrets.ts'
import { namedSecret } from './named-secret.ts'

const secret = 'S3nt1nel-77aa01'
let folder: string
let clock: ManualClock
let logged: string[]
let open: NamedSecrets[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-secret-'))
  clock = new ManualClock()
  logged = []
  open = []
})
afterEach(() => {
  for (const each of open) each.close()
  rmSync(folder, { recursive: true, force: true })
})

const path = (name: string): string => join(folder, name)
const note = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`)
const log: Log = { error: note, warn: note, info: note, debug: note }

function named(declared: object, variables: Record<string, string> = {}): NamedSecrets {
  const environment = { PATH: process.env['PATH'], HOME: folder }
  const secrets = { crm: namedSecret.parse({ servers: ['crm-*'], ...declared }) }
  const made = new NamedSecrets({ secrets, variables, environment, clock, log })
  open.push(made)
  return made
}
const get = (secrets: NamedSecrets): Promise<string> => secrets.get('crm', 'crm-eu')
const reason = (secrets: NamedSecrets): Promise<string> =>
  get(secrets).then(
    (value) => `no error, but ${value}`,
    (error: Error) => error.message,
  )

describe('a secret', () => {
  test('is for the servers that it is named for; for others it does not exist', async () => {
    const secrets = named({ env: 'CRM' }, { CRM: secret })
    expect(await get(secrets)).toBe(secret)
    expect(secrets.current('crm', 'crm-eu')).toBe(secret)
    expect(secrets.problem('crm', 'crm-eu')).toBeUndefined()
    expect(secrets.problem('crm', 'other')?.replace('crm', 'X')).toBe(
      secrets.problem('none', 'other')?.replace('none', 'X'),
    )
    expect(secrets.current('crm', 'other')).toBeUndefined()
    await expect(secrets.get('crm', 'other')).rejects.toThrow('There is no secret crm for this server.')
  })

  test.each([
    [{ env: 'A', file: '/b' }],
    [{}],
    [{ env: 'TOLLBRIDGE_SECRET_KEY' }],
    [{ file: 'relative' }],
    [{ command: [] }],
    [{ command: ['./relative'] }],
    [{ env: 'A', timeoutMs: 1000 }],
    [{ env: 'A', servers: [] }],
    [{ env: 'A', unknown: 1 }],
  ])('declared as %j is refused', (declared) => {
    expect(namedSecret.safeParse({ servers: ['*'], ...declared }).success).toBe(false)
  })
})

describe('a secret in a file', () => {
  test('is read again when another file takes its place, and when it is written over', async () => {
    writeFileSync(path('token'), `${secret}\n`, { mode: 0o600 })
    const secrets = named({ file: path('token') })
    expect(await get(secrets)).toBe(secret)
    writeFileSync(path('next'), 'second', { mode: 0o600 })
    renameSync(path('next'), path('token'))
    clock.advance(1000)
    expect(await get(secrets)).toBe('second')
    writeFileSync(path('token'), 'third one')
    clock.advance(1000)
    expect(await get(secrets)).toBe('third one')
    expect(logged).toEqual([])
  })

  test('is followed through links, as Kubernetes replaces a whole folder', async () => {
    for (const name of ['one', 'two']) mkdirSync(path(name))
    writeFileSync(path('one/token'), 'first', { mode: 0o600 })
    writeFileSync(path('two/token'), 'other', { mode: 0o600 })
    symlinkSync('one', path('..data'))
    symlinkSync('..data/token', path('token'))
    const secrets = named({ file: path('token') })
    expect(await get(secrets)).toBe('first')
    symlinkSync('two', path('..next'))
    renameSync(path('..next'), path('..data'))
    clock.advance(1000)
    expect(await get(secrets)).toBe('other')
  })

  test('that is gone is said to be, and found when it is back', async () => {
    const secrets = named({ file: path('token') })
    expect(await reason(secrets)).toBe('The secret crm cannot be read from its file (ENOENT).')
    writeFileSync(path('token'), secret, { mode: 0o600 })
    expect(await get(secrets)).toBe(secret)
    rmSync(path('token'))
    clock.advance(1000)
    expect(await reason(secrets)).not.toContain(folder)
    expect(secrets.current('crm', 'crm-eu')).toBeUndefined()
  })

  test('must be a regular file below 64 kB with text in it', async () => {
    const secrets = named({ file: path('token') })
    writeFileSync(path('token'), Buffer.alloc(65_537, 'x'), { mode: 0o600 })
    expect(await reason(secrets)).toContain('larger than 65536 bytes')
    writeFileSync(path('token'), '\n')
    expect(await reason(secrets)).toContain('is empty')
    writeFileSync(path('token'), Buffer.from([0xff, 0xfe]))
    expect(await reason(secrets)).toContain('no text in UTF-8')
    rmSync(path('token'))
    execFileSync('/bin/sh', ['-c', 'mkfifo "$0"', path('token')])
    expect(await reason(secrets)).toContain('not in a regular file')
    rmSync(path('token'))
    mkdirSync(path('token'))
    expect(await reason(secrets)).toContain('not in a regular file')
  })

  test('that others can read is worth one warning, which holds no secret', async () => {
    writeFileSync(path('token'), secret)
    chmodSync(path('token'), 0o644)
    const secrets = named({ file: path('token') })
    await get(secrets)
    clock.advance(1000)
    await get(secrets)
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('can be read by others')
    expect(logged.join()).not.toContain(secret)
  })
})

describe('a secret of a command', () => {
  const node = process.execPath
  const counting = (code: string): string[] => [
    node,
    '-e',
    `require('fs').appendFileSync(${JSON.stringify(path('runs'))}, '.'); ${code}`,
  ]
  const runs = (): number => (existsSync(path('runs')) ? readFileSync(path('runs'), 'utf8').length : 0)

  test('is asked for once by all who wait, and kept for as long as is said', async () => {
    const secrets = named({ command: counting(`console.log('${secret}')`), cacheSeconds: 60 })
    expect(await Promise.all(Array.from({ length: 50 }, () => get(secrets)))).toEqual(
      Array.from({ length: 50 }, () => secret),
    )
    expect(runs()).toBe(1)
    clock.advance(59_999)
    expect(secrets.current('crm', 'crm-eu')).toBe(secret)
    clock.advance(2)
    expect(await get(secrets)).toBe(secret)
    expect(runs()).toBe(2)
  })

  test('is run without a shell, and sees nothing of our environment but what children may', async () => {
    vi.stubEnv('MY_CLOUD_TOKEN', secret)
    try {
      const tell = 'console.log(JSON.stringify([process.argv.slice(1), Object.keys(process.env).sort()]))'
      const args = [`; touch ${path('trap')}`, '$(id)', '`id`']
      const secrets = named({ command: [node, '-e', tell, ...args] })
      expect(JSON.parse(await get(secrets))).toEqual([args, ['HOME', 'PATH']])
      expect(existsSync(path('trap'))).toBe(false)
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('that fails is not run again at once, says nothing of what it wrote, and heals', async () => {
    const code = `if (require('fs').existsSync('${path('well')}')) console.log('fine'); else { console.error('${secret}'); console.log('${secret}'); process.exit(3) }`
    const secrets = named({ command: counting(code), cacheSeconds: 0 })
    const said = await Promise.all([reason(secrets), reason(secrets), reason(secrets)])
    expect(new Set(said)).toEqual(
      new Set(['The secret crm was not told: its command ended with exit code 3.']),
    )
    await reason(secrets)
    expect(runs()).toBe(1)
    clock.advance(1001)
    await reason(secrets)
    clock.advance(1001)
    await reason(secrets)
    expect(runs()).toBe(2)
    expect(logged.join()).not.toContain(secret)
    writeFileSync(path('well'), '')
    clock.advance(1000)
    expect(await get(secrets)).toBe('fine')
  })

  test('that hangs is ended with what it started', async () => {
    const code = `const c = require('child_process').spawn('sleep', ['300']); require('fs').writeFileSync('${path('pid')}', String(c.pid)); setInterval(() => {}, 1000)`
    const secrets = named({ command: [node, '-e', code], timeoutMs: 1500 })
    expect(await reason(secrets)).toBe('The secret crm was not told by its command within 1500 ms.')
    const pid = Number(readFileSync(path('pid'), 'utf8'))
    await until(() => !/^State:\s+[^Z]/m.test(statusOf(pid)))
  })

  test('that writes without end, or does not exist, is said to', async () => {
    const flood = `const b = Buffer.alloc(65536, 'x'); const more = () => process.stdout.write(b, more); more()`
    expect(await reason(named({ command: [node, '-e', flood] }))).toContain('larger than 65536 bytes')
    expect(await reason(named({ command: ['no-such-program-here'] }))).toContain('cannot be started (ENOENT)')
  })
})

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}
