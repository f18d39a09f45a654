// Webhooks as docs/webhooks.md and the command line have them: its receiver takes what is genuine, and nothing else.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { newSigningSecret, signatureOf } from '../../src/outbox/signature.ts'
import { recordingIo } from '../harness/cli.ts'
import { startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { markedBlocks } from '../harness/markdown.ts'
import { answerWith, startReceiver } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-webhooks-'))
const secret = newSigningSecret()
let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The receiver of the document, in a process of its own. */
async function startExample() {
  const text = readFileSync(resolve(import.meta.dirname, '../../docs/webhooks.md'), 'utf8')
  const code = markedBlocks(text).find(({ mark }) => mark === 'receiver')?.text ?? ''
  const file = join(folder, 'receiver.mjs')
  writeFileSync(file, code)
  const env = { WEBHOOK_SECRET: secret, PORT: '0' }
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  await until(() => lines.length > 0, 'the receiver listens')
  const url = `http://127.0.0.1:${/\d+$/.exec(lines[0] ?? '')?.[0]}/`
  return { url, printed: () => lines.slice(1), stop: () => child.kill() }
}

async function cli(line: string, input = '') {
  const env = { TOLLBRIDGE_URL: gateway.url, TOLLBRIDGE_KEY: gateway.admin.credential, HOME: '/nonexistent' }
  const { io, out, talk } = recordingIo(env, { readInput: () => Promise.resolve(input) })
  const code = await runCli(line.split(' '), io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}

test('the receiver of the document takes genuine messages once, and no altered, old or unsigned one', async () => {
  const example = await startExample()
  try {
    const made = await cli(
      `webhook create ${example.url} --kind call.settled --name app --secret-file - --json`,
      secret,
    )
    expect(JSON.parse(made.out)).toMatchObject({ name: 'app', secret, active: true, format: 'standard' })
    expect(await cli('webhook test app')).toMatchObject({ code: 0 })
    await until(() => example.printed().length === 1, 'the sample arrives')
    expect(JSON.parse(example.printed()[0] ?? '')).toMatchObject({ type: 'webhook.test' })

    const send = async (ageS: number, change: (body: string) => string = (body) => body) => {
      const message = { id: 'evt_1', timestampS: Math.floor(Date.now() / 1000) - ageS, body: '{"a":1}' }
      const headers = {
        'webhook-id': message.id,
        'webhook-timestamp': String(message.timestampS),
        'webhook-signature': signatureOf(message, [newSigningSecret(), secret]),
      }
      return (await fetch(example.url, { method: 'POST', headers, body: change(message.body) })).status
    }
    expect(await send(0)).toBe(204)
    expect(await send(290)).toBe(204)
    expect(await send(301)).toBe(401)
    expect(await send(-301)).toBe(401)
    expect(await send(0, (body) => body.replace('1', '2'))).toBe(401)
    expect((await fetch(example.url, { method: 'POST', body: '{}' })).status).toBe(401)
    expect(example.printed().length).toBe(2)
  } finally {
    example.stop()
  }
})

test('the command line lists, pauses, rotates, shows deliveries, redelivers and removes', async () => {
  const bad = await startReceiver(answerWith(500))
  try {
    const made = await cli(
      `webhook create ${bad.url} --kind call.settled --kind invoice.paid --name bad --json`,
    )
    const { id, secret: first } = JSON.parse(made.out)
    expect((await cli('webhook ls')).out).toMatch(/bad +standard +call\.settled invoice\.paid +yes/)
    expect((await cli('webhook test bad')).code).toBe(1)
    expect(JSON.parse((await cli('webhook pause bad --json')).out).active).toBe(false)
    expect(JSON.parse((await cli(`webhook resume ${id} --json`)).out).active).toBe(true)
    expect(JSON.parse((await cli('webhook rotate bad --json')).out).secret).not.toBe(first)
    expect((await cli('webhook show bad')).out).not.toContain('whsec_')
    expect((await cli('webhook deliveries bad')).talk).toContain('Nothing')
    expect((await cli('webhook redeliver bad')).talk).toBe('0 deliveries are sent again.')
    expect((await cli('webhook delete bad --yes')).code).toBe(0)
    expect((await cli('webhook show bad')).code).toBe(1)
  } finally {
    await bad.stop()
  }
})
