// The launcher and the set-up on a bare clone: quiet where nothing is to do, and the same end as the program's.
import { spawn, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let root: string

/** A clone whose locked packages (none) are installed, and whose program says what it got. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tollbridge-clone-'))
  for (const folder of ['bin', 'src', 'node_modules/.bin']) mkdirSync(join(root, folder), { recursive: true })
  for (const name of ['setup.mjs', 'tollbridge.mjs']) copyFileSync(join('bin', name), join(root, 'bin', name))
  writeFileSync(join(root, 'package.json'), '{"name":"tollbridge","type":"module"}')
  writeFileSync(join(root, 'package-lock.json'), '{"lockfileVersion":3,"packages":{"":{}}}')
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{"packages":{}}')
  symlinkSync(process.execPath, join(root, 'node_modules', '.bin', 'node'))
  writeFileSync(
    join(root, 'src', 'cli.ts'),
    `const args: string[] = process.argv.slice(2)
console.log(JSON.stringify({ args, version: process.versions.node }))
if (args[0] === 'wait') {
  process.on('SIGTERM', () => process.exit(7))
  setInterval(() => {}, 1000)
} else process.exitCode = Number(args[0] ?? 0)`,
  )
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const run = (node: string, script: string, ...args: string[]) =>
  spawnSync(node, [join(root, 'bin', script), ...args], { encoding: 'utf8', cwd: tmpdir() })

/** A Node below 24 on this machine, where there is one. */
const oldNode = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'node'))
  .find((path) => existsSync(path) && /^v2[0-3]\./.test(spawnSync(path, ['-v'], { encoding: 'utf8' }).stdout))

describe('the set-up', () => {
  test('says nothing and remembers, where everything is installed', () => {
    expect(run(process.execPath, 'setup.mjs')).toMatchObject({ status: 0, stdout: '', stderr: '' })
    const stamp = readFileSync(join(root, 'node_modules', '.tollbridge-lock'), 'utf8')
    expect(stamp).toMatch(/^[0-9a-f]{64}$/)
    expect(run(process.execPath, 'setup.mjs')).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  test('says what to do where the pinned Node is too old', () => {
    rmSync(join(root, 'node_modules', '.bin', 'node'))
    writeFileSync(join(root, 'node_modules', '.bin', 'node'), '#!/bin/sh\necho v20.1.0\n', { mode: 0o755 })
    const { status, stdout, stderr } = run(process.execPath, 'setup.mjs')
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/version 20; run `npm rebuild node`/)
  })

  test('goes on where the process that held its lock is dead', () => {
    mkdirSync(join(root, '.tmp'))
    const dead = spawnSync(process.execPath, ['-e', '0'])
    writeFileSync(join(root, '.tmp', 'setup.lock'), String(dead.pid))
    expect(run(process.execPath, 'setup.mjs').status).toBe(0)
    expect(existsSync(join(root, '.tmp', 'setup.lock'))).toBe(false)
  })
})

const nodes = [
  { name: 'a new Node', node: process.execPath },
  ...(oldNode === undefined ? [] : [{ name: 'an old Node', node: oldNode }]),
]

describe.each(nodes)('the launcher on $name', ({ node }) => {
  test('runs the program on Node 24 with the same arguments, output and exit code', () => {
    const { status, stdout, stderr } = run(node, 'tollbridge.mjs', '3', 'a b', '--x=*')
    expect([status, stderr]).toEqual([3, ''])
    const seen = JSON.parse(stdout) as { args: string[]; version: string }
    expect(seen.args).toEqual(['3', 'a b', '--x=*'])
    expect(Number(seen.version.split('.')[0])).toBeGreaterThanOrEqual(24)
  })

  test('hands SIGTERM on and ends as the program does', async () => {
    const child = spawn(node, [join(root, 'bin', 'tollbridge.mjs'), 'wait'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const code = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    await new Promise((resolve) => setTimeout(resolve, 100))
    child.kill('SIGTERM')
    expect(await code).toBe(7)
  })
})
