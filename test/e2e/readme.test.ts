// The README's five minutes: its blocks are run in one shell as a reader would, and print what it says they print.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { markedBlocks } from '../harness/markdown.ts'

const root = resolve(import.meta.dirname, '../..')
const blocks = markedBlocks(readFileSync(join(root, 'README.md'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'tollbridge-readme-'))
const data = join(folder, 'data')
const environment = {
  PATH: [join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
  HOME: folder,
  NO_COLOR: '1',
}

interface Running {
  readonly url: string
  readonly printed: string
  stop(): Promise<number | null>
}

/** The first step, on a free port and with a data folder of its own. */
async function startDemo(): Promise<Running> {
  const args = ['src/cli.ts', 'serve', '--demo', '--port', '0', '--data', data, '--log-level', 'warn']
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((done) => child.once('exit', done))
  let printed = ''
  for await (const line of createInterface(child.stdout)) {
    printed += `${line}\n`
    const url = /^ready .*?(http\S+)$/.exec(line)?.[1]
    if (url === undefined) continue
    const stop = async (): Promise<number | null> => {
      child.kill('SIGTERM')
      return ended
    }
    return { url, printed, stop }
  }
  throw new Error(`the gateway exited with ${await ended} before it was ready: ${printed}`)
}

/** The reader's second terminal, except that a password cannot be typed into it. */
function runShell(script: string, password: string): Promise<{ code: number | null; output: string }> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: root,
    env: { ...environment, PASSWORD: password },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((done) => child.once('close', (code) => done({ code, output })))
}

const squeezed = (text: string): string => text.replaceAll('\r', '').replaceAll(/[ \t]+/g, ' ')

/** A shown line as a pattern: `…` stands for anything. */
const patternOf = (line: string): RegExp =>
  new RegExp(
    squeezed(line)
      .trim()
      .split('…')
      .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('.*'),
  )

/** Every shown line is printed, in that order. */
function expectPrinted(shown: string, printed: string): void {
  const lines = squeezed(printed).split('\n')
  let next = 0
  for (const line of shown.split('\n').filter((text) => text.trim() !== '')) {
    const at = lines.findIndex((text, index) => index >= next && patternOf(line).test(text))
    expect(at, `"${line}" is not printed in:\n${printed}`).toBeGreaterThanOrEqual(0)
    next = at + 1
  }
}

describe('the walk of the README', () => {
  let gateway: Running
  let outputs: string[] = []
  const toHere = (text: string): string => text.replaceAll('8080', new URL(gateway.url).port)

  beforeAll(async () => {
    gateway = await startDemo()
    const password = /password (\S+)/.exec(gateway.printed)?.[1] ?? ''
    const steps = blocks
      .filter(({ mark }) => mark === 'walk')
      .map(({ text }) =>
        toHere(text)
          .replaceAll('data/demo-key', join(data, 'demo-key'))
          .replace('tollbridge login -u admin', 'tollbridge login -u admin --password-stdin <<< "$PASSWORD"'),
      )
    // What the walk takes for granted: the gateway is on the usual port.
    const script = [`export TOLLBRIDGE_URL=${gateway.url}`, steps.join('\necho "==="\n')].join('\n')
    const { code, output } = await runShell(script, password)
    expect(code, output).toBe(0)
    outputs = output.split('===\n')
  }, 120_000)

  afterAll(async () => {
    const code = await gateway?.stop()
    rmSync(folder, { recursive: true, force: true })
    expect(code).toBe(0)
  })

  test('the start prints what is shown', () => {
    const shown = blocks.filter(({ mark }) => mark === 'start prints')
    expect(shown).toHaveLength(1)
    for (const { text } of shown) expectPrinted(toHere(text), gateway.printed)
  })

  test('every step prints what is shown', () => {
    const shown = blocks.filter(({ mark }) => mark === 'prints')
    expect(outputs).toHaveLength(shown.length)
    for (const [index, { text }] of shown.entries()) expectPrinted(toHere(text), outputs[index] ?? '')
  })
})

test('a shown price that is not the printed one would be noticed', () => {
  expectPrinted('cost: 0.002', 'call: a\ncost:  0.002\n')
  expect(() => expectPrinted('cost: 0.003', 'call: a\ncost:  0.002\n')).toThrow(/not printed/)
})
