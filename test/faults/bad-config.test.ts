// F35: a wrong configuration is refused as a whole, with the place of every fault, before anything is touched.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import type { Io } from '../../src/commands/io.ts'
import { cleanUp, newFolder } from './rig.ts'

afterEach(cleanUp)

const root = resolve(import.meta.dirname, '../..')

/** A broken file, and line:column of its fault. */
const broken: readonly (readonly [string, string])[] = [
  // Not YAML.
  ['port: [1', '1:9'],
  ['{', '1:2'],
  ['a: b: c', '1:4'],
  ['port: 1\n\thost: x', '2:1'],
  ['port: "1', '1:9'],
  ['port: 1\nport: 2', '2:1'],
  ['- port: 1\nport: 2', '2:1'],
  ['host: *nobody', '1:7'],
  ['host: @here', '1:7'],
  ['%YAML\n', '1:1'],
  [
    `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${Array(10).fill('*a').join()}]\nc: [${Array(20).fill('*b').join()}]`,
    '1:1',
  ],
  // No such key.
  ['prot: 1', '1:1'],
  ['port: 1\nhots: a', '2:1'],
  ['http:\n  maxBody: 1', '2:3'],
  ['sessions:\n  idle: 1', '2:3'],
  ['stdio:\n  alow: [sh]', '2:3'],
  ['accounts:\n  mode: prepaid', '2:3'],
  ['calls:\n  timeoutMs: 1000\n  timeout: 1', '3:3'],
  ['secretKey: aaaa', '1:1'],
  ['adminPassword: aaaa', '1:1'],
  ['metrics:\n  open: true', '2:3'],
  // Wrong kind.
  ['port: eighty', '1:1'],
  ['port: 80.5', '1:1'],
  ['port: [80]', '1:1'],
  ['port: true', '1:1'],
  ['host: 1', '1:1'],
  ['host: [a]', '1:1'],
  ['demo: maybe', '1:1'],
  ['http: 1', '1:1'],
  ['http: []', '1:1'],
  ['stdio:\n  allow: { a: sh }', '2:3'],
  ['stdio:\n  allow: [5]', '2:11'],
  ['http:\n  allowedOrigins: true', '2:3'],
  ['metrics:\n  token: 5', '2:3'],
  // Out of bounds.
  ['port: 65536', '1:1'],
  ['port: -1', '1:1'],
  ['http:\n  maxBodyBytes: 1', '2:3'],
  ['http:\n  maxDepth: 1001', '2:3'],
  ['http:\n  headersTimeoutMs: 0', '2:3'],
  ['http:\n  maxHeaders: 9', '2:3'],
  ['sessions:\n  maxTotal: 0', '2:3'],
  ['shutdown:\n  drainMs: -1', '2:3'],
  ['auth:\n  accessTokenMinutes: 1441', '2:3'],
  ['auth:\n  refreshTokenDays: 0', '2:3'],
  ['metrics:\n  token: short', '2:3'],
  // Not one of the words, or not a value of its kind.
  ['logLevel: loud', '1:1'],
  ['durability: ram', '1:1'],
  ['databaseUrl: mysql://x/y', '1:1'],
  ['publicUrl: ftp://x', '1:1'],
  ['egress:\n  allow: [10.0.0.0/99]', '2:11'],
  ['accounts:\n  timeZone: Mars/Base', '2:3'],
  ['accounts:\n  currency: GOLD', '2:3'],
  ['http:\n  allowedOrigins: [nowhere]', '2:20'],
  ['host: ${TOLLBRIDGE_TEST_UNSET}', '1:1'],
]

async function serve(file: string, data: string): Promise<{ code: number; talk: string }> {
  let talk = ''
  const io: Io = {
    out: (line) => (talk += `it went on: ${line}\n`),
    talk: (line) => (talk += `${line}\n`),
    env: {},
    interactive: false,
    ask: () => Promise.reject(new Error('nobody is there')),
    readInput: () => Promise.resolve(''),
  }
  const code = await runCli(['serve', '--config', file, '--data', data], io)
  return { code, talk }
}

describe('a broken configuration file', () => {
  test.each(broken)('%j is refused with exit 78 at %s', async (text, place) => {
    const file = join(newFolder(), 'broken.yaml')
    const data = join(newFolder(), 'data')
    writeFileSync(file, text)
    const { code, talk } = await serve(file, data)
    expect(talk).toContain(`${file}:${place}`)
    expect(code).toBe(78)
    expect(existsSync(data), 'nothing was made').toBe(false)
  })

  test('is one of at least 50', () => expect(broken.length).toBeGreaterThanOrEqual(50))

  test('keeps the real program from starting, and names every fault at once', () => {
    const file = join(newFolder(), 'broken.yaml')
    const data = join(newFolder(), 'data')
    writeFileSync(file, 'prot: 1\nhttp:\n  maxDepth: 1\nlogLevel: loud\n')
    const args = [join(root, 'src/cli.ts'), 'serve', '--config', file, '--data', data]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect([status, stdout]).toEqual([78, ''])
    for (const place of ['1:1', '3:3', '4:1']) expect(stderr).toContain(`${file}:${place}`)
    expect(existsSync(data)).toBe(false)
  })
})
