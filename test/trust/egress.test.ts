// Where the gateway may be sent to: inner addresses in every spelling, names that move, redirects, and doubtful URLs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addServer, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { cleanUp } from '../upstreams/http-stub.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'
import { redirect } from '../upstreams/replies.ts'
import { sseStub } from '../upstreams/sse-stub.ts'
import { eras, McpClient, sentinel, toolCall } from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-hosts-'))
const hosts = join(folder, 'hosts.json')
const setHosts = (entries: Record<string, string[]>): void => writeFileSync(hosts, JSON.stringify(entries))

let upstream: Recorder
/** Another origin, which nobody has registered. */
let canary: Recorder
/** As on a public address: no inner address is allowed. */
let strict: TestGateway
/** As on loopback: only loopback is allowed. */
let local: TestGateway
/** Everything is allowed that can be. */
let lax: TestGateway

beforeAll(async () => {
  setHosts({})
  const resolver = `--import=${resolve(import.meta.dirname, 'stub-resolver.ts')}`
  const env = { STUB_HOSTS: hosts, NODE_OPTIONS: resolver }
  const allowAll = 'loopback,private,0.0.0.0/0,::/0'
  ;[upstream, canary, strict, local, lax] = await Promise.all([
    startRecorder(),
    startRecorder(),
    startTestGateway({ env: { ...env, TOLLBRIDGE_EGRESS_ALLOW: '' } }),
    startTestGateway({ env }),
    startTestGateway({ env: { ...env, TOLLBRIDGE_EGRESS_ALLOW: allowAll } }),
  ])
})
afterAll(async () => {
  await Promise.all([strict, local, lax].map((gateway) => gateway.stop()))
  await Promise.all([upstream, canary].map((recorder) => recorder.stop()))
  rmSync(folder, { recursive: true, force: true })
})

const port = (): string => new URL(upstream.url).port
const register = (gateway: TestGateway, name: string, url: string) =>
  gateway.admin.call('POST', '/api/v1/servers', {
    name,
    access: 'authenticated',
    transport: { type: 'streamable-http', url },
  })

const loopbacks = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f.1',
  '0x7f000001',
  '0177.0.0.1',
  '127.0.0.1.',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'x.localhost',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '127.255.255.254',
]
const privates = ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '[fd00::1]', '[fc00::1]']
const others = [
  '100.64.0.1',
  '198.18.0.1',
  '192.0.2.1',
  '240.0.0.1',
  '[2002:7f00:1::]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::7f00:1]',
  '[::127.0.0.1]',
  '[2001:0:0:0:0:0:80ff:fffe]',
  '[fe00::1]',
  '[100::1]',
]
const never = [
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '[::ffff:169.254.169.254]',
  '[64:ff9b::a9fe:a9fe]',
  '[2002:a9fe:a9fe::]',
  '0.0.0.0',
  '0',
  '[::]',
  '100.100.100.200',
  '168.63.129.16',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fec0::1]',
  '224.0.0.1',
  '[ff02::1]',
  '255.255.255.255',
]

describe('a server at an inner address', () => {
  test.each([...loopbacks, ...privates, ...others, ...never])('%s cannot be registered', async (host) => {
    const before = upstream.hits.length
    const answer = await register(strict, 'inner', `http://${host}:${port()}/mcp`)
    expect([answer.status, answer.json.code]).toEqual([422, 'egress_denied'])
    expect(upstream.hits.length).toBe(before)
  })

  test('cannot be reached by changing one that is outside', async () => {
    expect((await register(strict, 'moving', 'https://mcp.example.com/mcp')).status).toBe(201)
    for (const host of ['127.0.0.1', '[::ffff:7f00:1]', '169.254.169.254']) {
      const transport = { url: `http://${host}:${port()}/mcp` }
      const answer = await strict.admin.call('PATCH', '/api/v1/servers/moving', { transport })
      expect([host, answer.status, answer.json.code]).toEqual([host, 422, 'egress_denied'])
    }
    expect((await strict.admin.ok('GET', '/api/v1/servers/moving')).transport.url).toBe(
      'https://mcp.example.com/mcp',
    )
  })

  test.each([...privates, ...never])('%s stays denied where only loopback is allowed', async (host) => {
    expect((await register(local, 'inner', `http://${host}/mcp`)).json.code).toBe('egress_denied')
  })

  test.each(never)('%s stays denied even where everything is allowed', async (host) => {
    expect((await register(lax, 'metadata', `http://${host}/latest/meta-data`)).json.code).toBe(
      'egress_denied',
    )
  })

  test('is taken where it is allowed, so the refusals above are those of the list', async () => {
    expect((await register(local, 'allowed', upstream.url)).status).toBe(201)
    expect((await register(lax, 'allowed', 'http://10.1.2.3/mcp')).status).toBe(201)
  })
})

describe('a name', () => {
  test('that was outside when it was registered and is inside when it is called gets no byte', async () => {
    setHosts({ 'moving.test': ['93.184.215.14'] })
    const url = `http://moving.test:${port()}/mcp`
    for (const gateway of [strict, local]) expect((await register(gateway, 'rebound', url)).status).toBe(201)
    // The same name and the same calls do arrive where loopback is allowed, so it is the filter that stops them.
    setHosts({ 'moving.test': ['127.0.0.1'] })
    const before = upstream.hits.length
    for (const era of eras) {
      const client = new McpClient(strict.admin, '/mcp/rebound')
      const { text } = await (era === 'modern' ? client.ask(era, toolCall('work')) : client.open())
      expect(text).toContain('upstream_unavailable')
    }
    const tried = await strict.admin.ok('POST', '/api/v1/servers/rebound/test-connection')
    expect(tried).toMatchObject({ ok: false, error: { stage: 'egress' } })
    expect((await strict.admin.call('GET', '/api/v1/servers/rebound/tools')).status).toBe(502)
    expect(upstream.hits.length).toBe(before)
    expect(
      (await new McpClient(local.admin, '/mcp/rebound').ask('modern', toolCall('work'))).json.result.isError,
    ).toBeUndefined()
    expect(upstream.hits.length).toBeGreaterThan(before)
  })

  test.each([
    ['a metadata address', ['169.254.169.254']],
    ['one inner address among outer ones', ['93.184.215.14', '10.0.0.1']],
    ['an inner address in an IPv6 spelling', ['::ffff:10.0.0.1']],
    ['a NAT64 address of a metadata service', ['64:ff9b::a9fe:a9fe']],
  ])('that resolves to %s is not connected to', async (_, addresses) => {
    setHosts({ 'mixed.test': addresses })
    await register(local, 'mixed', `http://mixed.test:${port()}/mcp`)
    const tried = await local.admin.ok('POST', '/api/v1/servers/mixed/test-connection')
    expect(tried).toMatchObject({ ok: false, error: { stage: 'egress' } })
    expect(JSON.stringify(tried)).not.toContain(addresses.at(-1))
  })
})

describe('the endpoint event of an HTTP+SSE server', () => {
  test('leads to no other origin, not even to an allowed one, and the credential goes nowhere', async () => {
    for (const [n, endpoint] of [
      canary.url,
      'http://169.254.169.254/latest/meta-data',
      '//127.0.0.1:1/',
    ].entries()) {
      const target = await sseStub({ endpoint })
      try {
        const name = `endpoint-${n}`
        const body = {
          name,
          access: 'authenticated',
          transport: { type: 'sse', url: `http://127.0.0.1:${target.port}/sse` },
          auth: { type: 'bearer', token: sentinel },
        }
        await local.admin.ok('POST', '/api/v1/servers', body)
        const opened = await new McpClient(local.admin, `/mcp/${name}`).open()
        expect([endpoint, opened.status, opened.headers['mcp-session-id']]).toEqual([
          endpoint,
          502,
          undefined,
        ])
        const tried = await local.admin.ok('POST', `/api/v1/servers/${name}/test-connection`)
        expect(tried).toMatchObject({ ok: false })
        expect(target.posts()).toEqual([])
        expect(canary.hits).toEqual([])
      } finally {
        await cleanUp()
      }
    }
  })

  test('and a WebSocket lead to no inner address: none can be registered', async () => {
    const transports = [
      { type: 'sse', url: `http://127.0.0.1:${port()}/sse` },
      { type: 'sse', url: 'https://public.example/sse', messageUrl: 'http://169.254.169.254/' },
      { type: 'websocket', url: `ws://127.1:${port()}/` },
      { type: 'websocket', url: 'wss://[::ffff:7f00:1]/' },
    ]
    for (const transport of transports) {
      const answer = await strict.admin.call('POST', '/api/v1/servers', { name: 'inner', transport })
      expect([transport, answer.status, answer.json.code]).toEqual([transport, 422, 'egress_denied'])
    }
  })
})

describe('a redirect', () => {
  const targets: Record<string, (stub: Recorder) => string> = {
    'another origin': () => canary.url,
    'another path of the same origin': (stub) => stub.url.replace('/mcp', '/other'),
    'a metadata address': () => 'http://169.254.169.254/latest/meta-data',
  }
  test.each(Object.entries(targets))(
    'to %s is not followed, and the credential goes nowhere',
    async (name, target) => {
      const server = `redirects-${Object.keys(targets).indexOf(name)}`
      const stub = await startRecorder()
      try {
        await addServer(local, server, stub.url, { auth: { type: 'bearer', token: sentinel } })
        for (const status of [301, 302, 303, 307, 308])
          for (const era of eras) {
            const client = new McpClient(local.admin, `/mcp/${server}`)
            if (era === 'legacy') await client.open()
            stub.once(redirect(target(stub), status))
            const before = stub.calls().length
            const answer = await client.ask(era, toolCall('work'))
            expect([status, era, answer.text.includes('upstream_unavailable')]).toEqual([status, era, true])
            expect(answer.headers.location).toBeUndefined()
            expect(answer.text).not.toContain('169.254')
            expect(stub.calls().length).toBe(before + 1)
          }
        for (const method of ['initialize', 'server/discover', 'GET'])
          stub.on(method, redirect(target(stub), 307))
        const opened = await new McpClient(local.admin, `/mcp/${server}`).open()
        expect([opened.status, opened.headers['mcp-session-id']]).toEqual([502, undefined])
        expect((await local.admin.ok('POST', `/api/v1/servers/${server}/test-connection`)).ok).toBe(false)
        expect(stub.hits.filter(({ path }) => path !== '/mcp')).toEqual([])
        expect(stub.hits.every(({ headers }) => headers.authorization === `Bearer ${sentinel}`)).toBe(true)
        expect(canary.hits).toEqual([])
      } finally {
        await stub.stop()
      }
    },
  )
})

test.each([
  'https://ok@evil.example/mcp',
  'https://user:secret@evil.example/mcp',
  'https://ok.example//evil.example',
  'https://ok.example/mcp?x=1',
  'https://ok.example/mcp#x',
  'https://ok.example/..%2fadmin',
  'https://ok.example/a/../admin',
  'https://ok.example/a/%2e%2e/admin',
  'https://ok.example/%5cevil.example',
  'https://ok.example\\@evil.example/',
  'https://ok.example/a\\b',
  'https://ok.example/a b',
  'https://ok.example/a\r\nX-Evil: 1',
  ' https://ok.example/mcp',
  'https:/ok.example/mcp',
  'https:ok.example',
  '//ok.example/mcp',
  '/mcp',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'ftp://ok.example/mcp',
  'gopher://ok.example/',
  'unix:/var/run/docker.sock',
  'https://',
  'https://:443/',
  'https://ok.example:99999/',
  'https://ok%2eexample@evil.example/',
  'https://ok.example/%00',
  'https://[::1/',
  'https://ok.exa mple/',
])('the URL %j is refused', async (url) => {
  for (const gateway of [strict, lax]) {
    const answer = await register(gateway, 'doubtful', url)
    expect([answer.status, answer.json.errors?.[0]?.field]).toEqual([422, '/transport/url'])
    expect(answer.text).not.toContain('secret')
  }
})
