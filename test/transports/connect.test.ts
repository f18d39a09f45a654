// `tollbridge connect`: a stdio server that is the gateway's, for clients that start processes; through restarts and to the end.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { addServer, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'
import { startRecorder } from '../upstreams/recorder.ts'
import { hang } from '../upstreams/replies.ts'
import { cancelled, initialize, initialized, meta, startRig, toolCall, type Json, type Rig } from './rig.ts'

const cli = resolve(import.meta.dirname, '../../src/cli.ts')

let rig: Rig
let key: string
beforeAll(async () => {
  rig = await startRig()
  key = (await rig.ann.ok('POST', '/api/v1/keys', { name: 'desktop' })).key
})
afterAll(() => rig.stop())

interface Desktop {
  readonly child: ChildProcess
  /** Every line of standard output; what is no JSON throws. */
  readonly heard: () => Json[]
  readonly talk: () => string
  say(...messages: unknown[]): void
  answer(id: unknown, deadlineMs?: number): Promise<Json>
  end(): Promise<{ code: number | null; ms: number }>
  readonly exited: Promise<number | null>
}

const desktops: ChildProcess[] = []
afterEach(() => {
  for (const child of desktops.splice(0)) child.kill('SIGKILL')
})

function start(args: string[], env: Record<string, string> = {}): Desktop {
  const child = spawn(process.execPath, [cli, 'connect', ...args], {
    env: { ...process.env, XDG_CONFIG_HOME: '/nonexistent', ...env },
  })
  desktops.push(child)
  let out = ''
  let talk = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (talk += chunk.toString()))
  child.stdin.on('error', () => {})
  const exited = new Promise<number | null>((done) => child.once('close', (code) => done(code)))
  const heard = (): Json[] =>
    out
      .slice(0, out.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  const find = (id: unknown): Json =>
    heard()
      .flat()
      .find((message) => message.id === id && message.method === undefined)
  return {
    child,
    heard,
    talk: () => talk,
    say: (...messages) => messages.forEach((message) => child.stdin.write(`${JSON.stringify(message)}\n`)),
    answer: async (id, deadlineMs = 8000) => {
      await until(() => find(id) !== undefined, `answer ${String(id)}`, deadlineMs)
      return find(id)
    },
    end: async () => {
      const began = performance.now()
      child.stdin.end()
      return { code: await exited, ms: performance.now() - began }
    },
    exited,
  }
}

const connect = (name: string) => start([name, '--url', rig.gateway.url, '--key', key])

describe('a client over stdio', () => {
  test('SDK 1.32 lists, calls, is asked and answers; the record says stdio', async () => {
    const client = new Client({ name: 'desktop', version: '1' }, { capabilities: { elicitation: {} } })
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: 'accept',
      content: { username: 'ada', email: 'a@b.c' },
    }))
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [cli, 'connect', 'fixture'],
      env: { PATH: '', TOLLBRIDGE_URL: rig.gateway.url, TOLLBRIDGE_KEY: key },
    })
    await client.connect(transport)
    expect((await client.listTools()).tools.length).toBeGreaterThan(5)
    const answer = await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } })
    expect(JSON.stringify(answer.content)).toContain('action=accept')
    await client.close()
    await until(async () => (await rig.openSessions()) === 0, 'the end of the session')
    expect((await rig.records('&method=tools/call'))[0]).toMatchObject({
      transport: 'stdio',
      tool: 'test_elicitation',
      clientInfo: 'desktop/1',
      outcome: 'success',
    })
  })

  test('a stdio server at the other end answers too, and its child ends with the client', async () => {
    const desktop = connect('everything')
    desktop.say(initialize(), initialized, toolCall(1, 'echo', { arguments: { message: 'there and back' } }))
    expect(JSON.stringify(await desktop.answer(1))).toContain('there and back')
    expect((await desktop.end()).code).toBe(0)
    await until(async () => (await rig.openSessions()) === 0, 'the end of the session')
  })

  test('of the modern era needs no handshake, and its cancellation reaches the server', async () => {
    const desktop = connect('recorder')
    desktop.say(toolCall(1, 'work', { _meta: meta }))
    expect((await desktop.answer(1)).result.resultType).toBe('complete')
    rig.recorder.once(hang())
    desktop.say(toolCall(2, 'hung', { _meta: meta }))
    await until(() => rig.recorder.calls('hung').length === 1, 'the call')
    desktop.say(cancelled(2))
    await until(() => rig.recorder.calls('hung')[0]?.aborted === true, 'its end')
    expect((await desktop.end()).code).toBe(0)
    expect(desktop.heard().map(({ id }) => id)).toEqual([1])
  })

  test('may write all at once and end its input: everything is answered, the handshake first, then the process ends', async () => {
    const desktop = connect('recorder')
    desktop.say(initialize(), initialized, toolCall(1), toolCall(2))
    const { code } = await desktop.end()
    expect([code, desktop.talk()]).toEqual([0, ''])
    // Requests run side by side, so their answers come in any order.
    const [first, ...others] = desktop.heard().map(({ id }) => id)
    expect([first, new Set(others)]).toEqual(['init', new Set([1, 2])])
  })

  test('that says nothing ends with its input, quickly', async () => {
    const desktop = connect('recorder')
    const { code, ms } = await desktop.end()
    expect([code, desktop.heard(), ms < 3000]).toEqual([0, [], true])
  })

  test('that is no longer there to read is no reason to crash', async () => {
    const desktop = connect('recorder')
    desktop.say(initialize())
    await desktop.answer('init')
    desktop.child.stdout?.destroy()
    desktop.say(initialized, toolCall(1), toolCall(2))
    expect([await desktop.exited, desktop.talk()]).toEqual([0, ''])
  })

  test('that writes what is no JSON is told so, and goes on', async () => {
    const desktop = connect('recorder')
    desktop.child.stdin?.write('hello\n')
    desktop.say(initialize())
    await desktop.answer('init')
    expect(desktop.heard()[0]).toMatchObject({ id: null, error: { code: -32700 } })
    await desktop.end()
  })
})

describe('where there is no way to the server', () => {
  test.each([
    ['a wrong key', ['recorder', '--key', 'tb_wrong'], 1, 'does not take this credential'],
    ['no key at all', ['recorder'], 1, 'does not take this credential'],
    ['an unknown name', ['nobody', '--key', 'KEY'], 1, 'has no server "nobody"'],
    [
      'no gateway',
      ['recorder', '--key', 'KEY', '--url', 'http://127.0.0.1:9'],
      1,
      'No gateway answers at http://127.0.0.1:9',
    ],
  ])(
    '%s: the waiting client gets an error, people a sentence, and the process ends',
    async (_, args, code, sentence) => {
      const own = args.includes('--url') ? args : [...args, '--url', rig.gateway.url]
      const desktop = start(
        own.map((arg) => (arg === 'KEY' ? key : arg)),
        { TOLLBRIDGE_KEY: '' },
      )
      desktop.say(initialize())
      expect((await desktop.answer('init')).error.message).toContain(sentence)
      expect(await desktop.exited).toBe(code)
      expect(desktop.talk()).toContain(sentence)
      expect(desktop.heard().length).toBe(1)
    },
  )

  test('a name that is none is wrong use', async () => {
    const desktop = connect('No Name')
    expect([await desktop.exited, desktop.heard()]).toEqual([2, []])
    expect(desktop.talk()).toContain('no name of a server')
  })

  test('a revoked key ends the process, with an error for whoever waits', async () => {
    const own = await rig.ann.ok('POST', '/api/v1/keys', { name: 'lost' })
    const desktop = start(['recorder', '--url', rig.gateway.url, '--key', own.key])
    desktop.say(initialize(), initialized)
    await desktop.answer('init')
    rig.recorder.once(hang())
    desktop.say(toolCall('hung', 'revoked'))
    await until(() => rig.recorder.calls('revoked').length === 1, 'the call')
    await rig.ann.ok('DELETE', `/api/v1/keys/${own.id}`)
    expect((await desktop.answer('hung')).error ?? (await desktop.answer('hung')).result.isError).toBeTruthy()
    expect(await desktop.exited).toBe(1)
    expect(desktop.talk()).toContain('does not take this credential')
  })
})

describe('when the gateway restarts', () => {
  const data = mkdtempSync(join(tmpdir(), 'tollbridge-connect-'))
  afterAll(() => rmSync(data, { recursive: true, force: true }))

  test('the client stays: its handshake is repeated unseen, its waiting calls run once, its lost ones are told', async () => {
    const recorder = await startRecorder()
    let gateway: TestGateway = await startTestGateway({ data })
    try {
      await addServer(gateway, 'recorder', recorder.url)
      const own = await gateway.admin.ok('POST', '/api/v1/keys', { name: 'desktop' })
      const desktop = start(['recorder', '--url', gateway.url, '--key', own.key])
      desktop.say(initialize(), initialized, toolCall(1))
      await desktop.answer(1)
      recorder.once(hang())
      desktop.say(toolCall('lost', 'lost'))
      await until(() => recorder.calls('lost').length === 1, 'the call')
      await gateway.stop('SIGKILL')
      expect((await desktop.answer('lost')).error).toMatchObject({
        message: expect.stringContaining('may have run'),
        data: { mayHaveRun: true },
      })
      desktop.say(toolCall('waiting', 'waiting'))
      const { port } = new URL(gateway.url)
      gateway = await startTestGateway({ data, args: ['--port', port] })
      expect((await desktop.answer('waiting', 15_000)).result).toBeDefined()
      desktop.say(toolCall(2))
      await desktop.answer(2)
      expect(desktop.heard().map(({ id }) => id)).toEqual(['init', 1, 'lost', 'waiting', 2])
      expect([recorder.calls('lost').length, recorder.calls('waiting').length]).toEqual([1, 1])
      expect(recorder.hits.filter(({ message }) => message?.method === 'initialize').length).toBe(2)
      expect(desktop.talk()).toMatch(/broke off; connecting again\n[^]*connected to [^]* again\n$/)
      expect((await desktop.end()).code).toBe(0)
    } finally {
      await gateway.stop()
      await recorder.stop()
    }
  }, 40_000)
})
