// References to secrets: only those that the configuration names for a server, read late, and stored nowhere.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { addServer, startTestGateway, type Answer, type TestGateway } from '../harness/gateway.ts'
import { recordingIo } from '../harness/cli.ts'
import { until } from '../harness/until.ts'
import { cleanUp as cleanUpStubs } from '../upstreams/http-stub.ts'
import { startProtectedServer, type ProtectedServer } from '../upstreams/protected-server.ts'
import type { StubMessage } from '../upstreams/recorder.ts'
import { sseStub } from '../upstreams/sse-stub.ts'
import { webSocketStub } from '../upstreams/web-socket-stub.ts'
import { eras, startBench, toolCall, type Bench, type RawAnswer } from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-references-'))
const node = process.execPath
const file = (name: string): string => join(folder, name)
const secrets = {
  fixed: 'env-Sentinel-90ac1',
  rolled: 'file-Sentinel-11bd7',
  told: 'command-Sentinel-5e0f2',
} as const
const childScript = file('child.cjs')

/** Tells its variable. */
writeFileSync(
  childScript,
  `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line)
    const say = (result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
    if (id === undefined) return
    if (method === 'initialize') return say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'c', version: '1' } })
    say(method === 'tools/call' ? { content: [{ type: 'text', text: String(process.env.TOKEN) }] } : { tools: [] })
  })`,
)

const configFile = file('tollbridge.yaml')
function configure(more: object = {}): void {
  const count = `require('fs').appendFileSync(${JSON.stringify(file('runs'))}, '.')`
  const tell = `${count}; if (!require('fs').existsSync(${JSON.stringify(file('told'))})) { console.error('${secrets.told}'); process.exit(4) } console.log(require('fs').readFileSync(${JSON.stringify(file('told'))}, 'utf8'))`
  const declared = {
    fixed: { env: 'CRM_TOKEN', servers: ['**'] },
    rolled: { file: file('rolled'), servers: ['by-*', 'renamed'] },
    told: { command: [node, '-e', tell], cacheSeconds: 3600, servers: ['**'] },
    narrow: { env: 'CRM_TOKEN', servers: ['narrow'] },
    split: { file: file('split'), servers: ['**'] },
    ...more,
  }
  // JSON is YAML; a $ in quotes that begins no variable stays.
  writeFileSync(configFile, JSON.stringify({ secrets: declared }))
}

let bench: Bench
let oauth: ProtectedServer
const gatewayOptions = {
  args: ['--config', configFile],
  env: {
    CRM_TOKEN: secrets.fixed,
    TOLLBRIDGE_STDIO_ALLOW: node,
    TOLLBRIDGE_BREAKER_FAILURES: '1000000',
  },
}
beforeAll(async () => {
  configure()
  writeFileSync(file('rolled'), `${secrets.rolled}\n`, { mode: 0o600 })
  writeFileSync(file('told'), secrets.told)
  writeFileSync(file('split'), 'a\r\nX-Evil: 1', { mode: 0o600 })
  bench = await startBench(gatewayOptions)
  oauth = await startProtectedServer()
})
afterAll(async () => {
  await bench.stop()
  await oauth.stop()
  await cleanUpStubs()
  rmSync(folder, { recursive: true, force: true })
})

let made = 0
const freshName = (prefix = 'by'): string => `${prefix}-${++made}`
const http = (more: object = {}) => ({ type: 'streamable-http', url: bench.upstream.url, ...more })
const register = (body: object, name = freshName()): Promise<Answer> =>
  bench.gateway.admin.call('POST', '/api/v1/servers', { name, access: 'authenticated', ...body })

/** What reached the server with one call of a fresh server. */
async function sent(body: object, era: (typeof eras)[number] = 'modern') {
  const name = freshName()
  const { status, text } = await register({ transport: http(), ...body }, name)
  expect([status, text]).toEqual([201, text])
  let answer: RawAnswer | undefined
  const hits = await bench.hitsDuring(async () => {
    answer = await bench.client(bench.a, name).ask(era, toolCall('work'))
  })
  return { name, answer, hit: hits.at(-1), hits }
}

describe.each(eras)('a %s call', (era) => {
  test('carries the value, from wherever it comes, to where the registration wants it', async () => {
    const bearer = await sent({ auth: { type: 'bearer', token: '${secret:fixed}' } }, era)
    expect(bearer.hits.map(({ headers }) => headers.authorization)).toEqual(
      bearer.hits.map(() => `Bearer ${secrets.fixed}`),
    )
    const password = { type: 'basic', username: 'us', password: '${secret:rolled}' }
    const basic = `Basic ${Buffer.from(`us:${secrets.rolled}`).toString('base64')}`
    expect((await sent({ auth: password }, era)).hit?.headers.authorization).toBe(basic)
    const inQuery = { type: 'api-key', in: 'query', name: 'k', value: '${secret:told}' }
    expect((await sent({ auth: inQuery }, era)).hit?.path).toBe(`/mcp?k=${secrets.told}`)
    const inHeader = { type: 'api-key', in: 'header', name: 'X-Key', value: '${secret:told}' }
    expect((await sent({ auth: inHeader }, era)).hit?.headers['x-key']).toBe(secrets.told)
    const headers = { 'X-One': '${secret:fixed}', Authorization: 'Bearer ${secret:rolled}' }
    const both = await sent({ transport: http({ headers }) }, era)
    expect(both.hit?.headers).toMatchObject({
      'x-one': secrets.fixed,
      authorization: `Bearer ${secrets.rolled}`,
    })
    for (const { answer } of [bearer, both]) expect(answer?.json.result.isError).not.toBe(true)
  })

  test('uses the value of a file as it is by then, over the same registration', async () => {
    const name = freshName()
    await register({ transport: http(), auth: { type: 'bearer', token: '${secret:rolled}' } }, name)
    const client = bench.client(bench.a, name)
    const seen = async (): Promise<string | undefined> => {
      const hits = await bench.hitsDuring(() => client.ask(era, toolCall('work')))
      return hits.at(-1)?.headers.authorization
    }
    expect(await seen()).toBe(`Bearer ${secrets.rolled}`)
    writeFileSync(file('next'), 'rolled-over', { mode: 0o600 })
    renameSync(file('next'), file('rolled'))
    await until(async () => (await seen()) === 'Bearer rolled-over')
    rmSync(file('rolled'))
    await until(async () => {
      const { json } = await client.ask(era, toolCall('work'))
      return json.result?.structuredContent?.code === 'upstream_unavailable'
    })
    writeFileSync(file('rolled'), secrets.rolled, { mode: 0o600 })
    await until(async () => (await seen()) === `Bearer ${secrets.rolled}`)
  })
})

describe('a reference works', () => {
  test('in the variables of a command', async () => {
    const name = freshName()
    const env = { TOKEN: '${secret:rolled}' }
    const transport = { type: 'stdio', command: node, args: [childScript], env }
    expect((await register({ transport }, name)).status).toBe(201)
    for (const era of eras) {
      const { json } = await bench.client(bench.a, name).ask(era, toolCall('tell'))
      expect(json.result.content[0].text).toBe(secrets.rolled)
    }
  })

  test('over HTTP+SSE and WebSocket, for every request of the connection', async () => {
    const reply = ({ id, method, params }: StubMessage, say: (message: unknown) => void): void => {
      if (id === undefined) return
      const result = {
        protocolVersion: params?.['protocolVersion'],
        capabilities: { tools: {} },
        serverInfo: { name: 's', version: '1' },
      }
      say({ jsonrpc: '2.0', id, result: method === 'initialize' ? result : { content: [] } })
    }
    const sse = await sseStub({ post: reply })
    const socket = await webSocketStub({ message: reply })
    const auth = { type: 'bearer', token: '${secret:told}' }
    const inQuery = { type: 'api-key', in: 'query', name: 'k', value: '${secret:told}' }
    const names = { sse: freshName(), ws: freshName(), query: freshName() }
    const sseUrl = { type: 'sse', url: `http://127.0.0.1:${sse.port}/sse` }
    await register({ transport: sseUrl, auth }, names.sse)
    await register({ transport: sseUrl, auth: inQuery }, names.query)
    await register(
      { transport: { type: 'websocket', url: `ws://127.0.0.1:${socket.port}/ws` }, auth },
      names.ws,
    )
    for (const name of Object.values(names)) {
      const { json } = await bench.client(bench.a, name).ask('legacy', toolCall('work'))
      expect([name, json.result?.isError]).toEqual([name, undefined])
    }
    const wanted = sse.hits.map(
      ({ headers, url }) => headers.authorization ?? new URL(url, 'http://x').searchParams.get('k'),
    )
    expect(new Set(wanted)).toEqual(new Set([`Bearer ${secrets.told}`, secrets.told]))
    expect(socket.handshakes.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${secrets.told}`])
  })

  test('as the secret of an OAuth client', async () => {
    const name = freshName()
    const auth = {
      type: 'oauth2',
      grant: 'client-credentials',
      clientId: 'gateway',
      method: 'post',
      clientSecret: '${secret:told}',
    }
    expect(
      (await register({ transport: { type: 'streamable-http', url: oauth.url }, auth }, name)).status,
    ).toBe(201)
    const { json } = await bench.client(bench.a, name).ask('modern', toolCall('work'))
    expect(json.result.isError).not.toBe(true)
    expect(oauth.tokenRequests[0]?.form).toMatchObject({ client_secret: secrets.told })
  })

  test('from the command line', async () => {
    const { url, admin } = bench.gateway
    const name = freshName()
    const env = { TOLLBRIDGE_URL: url, TOLLBRIDGE_KEY: admin.credential, HOME: '/nonexistent' }
    const { io, out, talk } = recordingIo(env)
    const args = ['server', 'add', name, bench.upstream.url, '--bearer', '${secret:fixed}', '--json']
    expect([await runCli(args, io), talk]).toEqual([0, talk])
    expect(JSON.parse(out.join('\n')).auth).toEqual({ type: 'bearer', reference: 'fixed' })
  })
})

describe('a registration may refer to nothing else', () => {
  test.each([
    '${secret:**}',
    '${secret:other}',
    '${secret:narrow}',
    '${secret:}',
    '${secret:fixed}x',
    '${secret:fixed}${secret:fixed}',
    '${ secret:fixed }',
    '${SECRET:fixed}',
    '${env:CRM_TOKEN}',
    '${file:/etc/passwd}',
    '${command:id}',
    '${env:X} ${secret:fixed}',
    'x${secret:fixed}',
    'a b ${secret:fixed}',
  ])('%s is refused in every field', async (reference) => {
    const stdio = { type: 'stdio', command: node }
    const oauth2 = { type: 'oauth2', grant: 'client-credentials', clientId: 'c' }
    for (const body of [
      { transport: http(), auth: { type: 'bearer', token: reference } },
      { transport: http(), auth: { type: 'basic', username: 'u', password: reference } },
      { transport: http(), auth: { type: 'api-key', in: 'header', name: 'X-K', value: reference } },
      { transport: http(), auth: { type: 'api-key', in: 'query', name: 'k', value: reference } },
      { transport: http(), auth: { ...oauth2, clientSecret: reference } },
      { transport: http(), auth: { ...oauth2, privateKey: reference } },
      { transport: http({ headers: { 'X-K': reference } }) },
      { transport: { ...stdio, env: { TOKEN: reference } } },
    ]) {
      const { status, json } = await register(body)
      expect([JSON.stringify(body), status, json.code]).toEqual([JSON.stringify(body), 422, 'unprocessable'])
    }
  })

  test('and a good reference is refused where no secret belongs, or with a prefix outside of headers', async () => {
    const reference = '${secret:fixed}'
    const stdio = { type: 'stdio', command: node }
    for (const body of [
      { transport: { ...stdio, args: [reference] } },
      { transport: { ...stdio, cwd: `/${reference}` } },
      { transport: { ...stdio, env: { TOKEN: `Bearer ${reference}` } } },
      { transport: { ...http(), url: `${bench.upstream.url}/${reference}` } },
      {
        transport: http(),
        auth: { type: 'basic', username: reference.replace(':', ''), password: `x ${reference}` },
      },
      { transport: http(), auth: { type: 'bearer', token: `Bearer ${reference}` } },
      { transport: http(), auth: { type: 'api-key', in: 'query', name: 'k', value: `x ${reference}` } },
      {
        transport: http(),
        auth: { type: 'oauth2', grant: 'client-credentials', clientId: reference, clientSecret: 'x' },
      },
    ]) {
      const { status } = await register(body)
      expect([JSON.stringify(body), status]).toEqual([JSON.stringify(body), 422])
    }
  })

  test('a secret that is for other servers looks like one that does not exist, and a rename is checked too', async () => {
    const auth = (name: string) => ({ type: 'bearer', token: `\${secret:${name}}` })
    const other = await register({ transport: http(), auth: auth('narrow') })
    const none = await register({ transport: http(), auth: auth('nothing') })
    expect(other.json.detail.replaceAll('narrow', 'X')).toBe(none.json.detail.replaceAll('nothing', 'X'))
    const allowed = await register({ transport: http(), auth: auth('narrow') }, 'narrow')
    expect(allowed.status).toBe(201)
    const { admin } = bench.gateway
    expect((await admin.call('PATCH', '/api/v1/servers/narrow', { name: 'broad' })).status).toBe(422)
    expect((await admin.call('GET', '/api/v1/servers/narrow')).status).toBe(200)
    expect((await admin.call('PATCH', '/api/v1/servers/narrow', { description: 'x' })).status).toBe(200)
  })
})

describe('a secret', () => {
  test('is shown as the reference that it is, and stands nowhere in the data folder, the log or an answer', async () => {
    const headers = { 'X-One': '${secret:fixed}', Authorization: 'Bearer ${secret:rolled}' }
    const { name } = await sent({ transport: http({ headers }) })
    const { admin, data } = bench.gateway
    const { transport } = await admin.ok('GET', `/api/v1/servers/${name}`)
    expect(transport.headers).toEqual({
      'X-One': { reference: 'fixed' },
      Authorization: { reference: 'rolled', prefix: 'Bearer ' },
    })
    const basic = await register({
      transport: http(),
      auth: { type: 'basic', username: 'u', password: '${secret:told}' },
    })
    expect(basic.json.auth).toEqual({ type: 'basic', username: 'u', reference: 'told' })
    const all = `${bench.gateway.log()}${JSON.stringify(await admin.all('/api/v1/servers'))}`
    for (const value of Object.values(secrets)) {
      expect(all).not.toContain(value)
      for (const entry of readdirSync(data, { recursive: true, withFileTypes: true }))
        if (entry.isFile())
          expect(readFileSync(join(entry.parentPath, entry.name)).includes(value)).toBe(false)
    }
  })

  test('with a line end in it becomes no header of its own', async () => {
    const { answer, hits, name } = await sent({ auth: { type: 'bearer', token: '${secret:split}' } })
    expect(hits).toEqual([])
    expect(answer?.json.result.structuredContent.code).toBe('upstream_unavailable')
    expect((await bench.gateway.admin.ok('GET', `/api/v1/servers/${name}/status`)).lastFailure.message).toBe(
      'The secret split holds characters that cannot be sent in a header.',
    )
  })

  test('whose command fails fails its own calls alone, unbilled, and says nothing of what the command wrote', async () => {
    rmSync(file('told'))
    configure({
      other: { command: [node, '-e', `console.error('${secrets.told}'); process.exit(4)`], servers: ['**'] },
    })
    const gateway = await startTestGateway(gatewayOptions)
    try {
      await addServer(gateway, 'by-fixed', bench.upstream.url, {
        auth: { type: 'bearer', token: '${secret:fixed}' },
      })
      await addServer(gateway, 'by-other', bench.upstream.url, {
        auth: { type: 'bearer', token: '${secret:other}' },
      })
      const member = await gateway.member('ada')
      const ask = (name: string) => bench.client(member, name).ask('modern', toolCall('work'))
      const [bad, good] = await Promise.all([ask('by-other'), ask('by-fixed')])
      expect(bad.json.result.structuredContent.code).toBe('upstream_unavailable')
      expect(good.json.result.isError).not.toBe(true)
      const view = await gateway.admin.ok('GET', '/api/v1/servers/by-other/status')
      expect(view).toMatchObject({
        status: 'error',
        lastFailure: {
          stage: 'connect',
          message: 'The secret other was not told: its command ended with exit code 4.',
        },
      })
      expect(`${bad.text}${JSON.stringify(view)}${gateway.log()}`).not.toContain(secrets.told)
      const { items } = await gateway.admin.ok('GET', '/api/v1/billing/usage?outcome=error')
      expect(items.map(({ cost }: { cost: string }) => Number(cost))).toEqual(items.map(() => 0))
    } finally {
      await gateway.stop()
      configure()
      writeFileSync(file('told'), secrets.told)
    }
  })

  test('of a command is told once, however many calls and servers want it', async () => {
    const before = existsSync(file('runs')) ? readFileSync(file('runs'), 'utf8').length : 0
    const names = [freshName(), freshName()]
    for (const name of names)
      await register({ transport: http(), auth: { type: 'bearer', token: '${secret:told}' } }, name)
    const calls = Array.from({ length: 40 }, (_, index) =>
      bench.client(bench.a, names[index % 2]).ask('modern', toolCall('work')),
    )
    for (const { json } of await Promise.all(calls)) expect(json.result.isError).not.toBe(true)
    // The bench's gateway has it from an earlier test, or asks once.
    expect(readFileSync(file('runs'), 'utf8').length - before).toBeLessThanOrEqual(1)
  })

  test('that the configuration takes back puts its server, and no other, into error at the next start', async () => {
    const data = mkdtempSync(join(folder, 'data-'))
    const use = async (work: (gateway: TestGateway) => Promise<void>): Promise<void> => {
      const gateway = await startTestGateway({ ...gatewayOptions, data })
      try {
        await work(gateway)
      } finally {
        await gateway.stop()
      }
    }
    await use(async (gateway) => {
      await addServer(gateway, 'by-file', bench.upstream.url, {
        auth: { type: 'bearer', token: '${secret:rolled}' },
      })
      await addServer(gateway, 'by-env', bench.upstream.url, {
        auth: { type: 'bearer', token: '${secret:fixed}' },
      })
    })
    configure({ rolled: { file: file('rolled'), servers: ['renamed'] } })
    await use(async (gateway) => {
      const status = await gateway.admin.ok('GET', '/api/v1/servers/by-file/status')
      expect(status.status).toBe('error')
      expect(status.lastFailure.message).toContain('there is no secret rolled for this server')
      const ask = async (name: string) =>
        (await bench.client(gateway.admin, name).ask('modern', toolCall('work'))).json.result
      const hits = await bench.hitsDuring(async () => {
        expect((await ask('by-file')).structuredContent.code).toBe('upstream_unavailable')
      })
      expect(hits).toEqual([])
      expect((await ask('by-env')).isError).not.toBe(true)
      expect((await gateway.admin.ok('GET', '/api/v1/servers/by-env/status')).status).toBe('active')
    })
    configure()
    await use(async (gateway) => {
      const { json } = await bench.client(gateway.admin, 'by-file').ask('modern', toolCall('work'))
      expect(json.result.isError).not.toBe(true)
    })
  })
})
