// Guarantees of handshakes and catalogues, against real MCP servers of both eras and against liars.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock, systemClock } from '../../src/base/clock.ts'
import type { Server } from '../../src/registry/server.ts'
import { Catalogues } from '../../src/upstreams/catalogue.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { shakeHands, type Handshake } from '../../src/upstreams/handshake.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import { startDualEra, type DualEra, type FixtureEra } from './dual-era.ts'
import { cleanUp, cleanups, serverAt, stub } from './http-stub.ts'
import { sseServerAt, sseStub } from './sse-stub.ts'
import { cleanUp as cleanUpFolders, newFolder, script, serverOf } from './stdio-stub.ts'
import { webSocketServerAt, webSocketStub } from './web-socket-stub.ts'

afterEach(async () => {
  await cleanUp()
  await cleanUpFolders()
})

const everything = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
)

function upstreams(allow = ['loopback']): Upstreams {
  const all = new Upstreams({ egress: new Egress(allow), clock: systemClock, environment: process.env })
  cleanups.push(() => all.closeAll())
  return all
}

async function visit(server: Server, maxMs = 10_000): Promise<Handshake> {
  const all = upstreams()
  const upstream = all.open(server)
  try {
    return await shakeHands(upstream, server, { clock: systemClock, version: '1.0.0', maxMs })
  } finally {
    await upstream.close()
  }
}

const patient = { connectMs: 2000, callMs: 20_000, idleMs: 1000 }
const atUrl = (url: string, more: Partial<Server> = {}): Server => ({
  ...serverAt(0, { timeouts: patient, ...more }),
  transport: { type: 'streamable-http', url },
})

describe('a real server', () => {
  const fixtures = new Map<FixtureEra, DualEra>()
  beforeAll(async () => {
    for (const era of ['both', 'legacy', 'modern'] as const) fixtures.set(era, await startDualEra({ era }))
  })
  afterAll(async () => {
    for (const fixture of fixtures.values()) await fixture.stop()
  })

  test.each([
    ['both', 'modern', '2026-07-28'],
    ['modern', 'modern', '2026-07-28'],
    ['legacy', 'legacy', '2025-11-25'],
  ] as const)('of era %s is found to be %s', async (fixture, era, protocolVersion) => {
    const shaken = await visit(atUrl(fixtures.get(fixture)?.url ?? ''))
    expect(shaken).toMatchObject({
      ok: true,
      era,
      protocolVersion,
      serverInfo: { name: 'dual-era-fixture', version: '1.0.0' },
    })
    expect(shaken.capabilities).toHaveProperty('tools')
    expect(shaken.tools.length).toBeGreaterThan(3)
    expect(shaken.tools[0]).toMatchObject({ name: expect.any(String), inputSchema: { type: 'object' } })
    expect(shaken.latencyMs).toBeGreaterThan(0)
  })

  test('over stdio (server-everything) lists its tools, and its process ends with the visit', async () => {
    const all = upstreams()
    const server = { ...serverOf(process.execPath, [everything]), timeouts: patient }
    const upstream = all.open(server)
    const shaken = await shakeHands(upstream, server, { clock: systemClock, version: '1.0.0' })
    expect(shaken).toMatchObject({ ok: true, era: 'legacy' })
    expect(shaken.tools.map(({ name }) => name)).toContain('echo')
    expect(all.counts().children).toBe(1)
    await upstream.close()
    expect(all.counts().children).toBe(0)
  })

  test('over HTTP (server-everything) is legacy', async () => {
    const free = createServer().listen(0)
    const { port } = free.address() as AddressInfo
    await new Promise((closed) => free.close(closed))
    const child = spawn(process.execPath, [everything, 'streamableHttp'], {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    cleanups.push(() => child.kill('SIGKILL'))
    await new Promise<void>((ready) =>
      child.stderr.on('data', (text: Buffer) => text.includes('listening') && ready()),
    )
    const shaken = await visit(atUrl(`http://127.0.0.1:${port}/mcp`))
    expect(shaken).toMatchObject({ ok: true, era: 'legacy', protocolVersion: '2025-11-25' })
    expect(shaken.tools.map(({ name }) => name)).toContain('echo')
  })
})

describe('a server on a connection', () => {
  /** A modern server of the official SDK on stdio, which refuses what is legacy. */
  function modernOnly(legacy: 'reject' | 'serve') {
    const file = join(newFolder(), 'server.mjs')
    const sdk = new URL('../../node_modules/@modelcontextprotocol/server/dist/', import.meta.url)
    writeFileSync(
      file,
      `import { McpServer } from '${new URL('index.mjs', sdk).href}'
      import { serveStdio } from '${new URL('stdio.mjs', sdk).href}'
      serveStdio(() => {
        const server = new McpServer({ name: 'pure', version: '2' })
        server.registerTool('echo', {}, () => ({ content: [] }))
        return server
      }, { legacy: '${legacy}' })`,
    )
    return { ...serverOf(process.execPath, [file]), timeouts: patient }
  }

  test('that is modern only is found to be modern over stdio, one of both eras is asked nothing more', async () => {
    expect(await visit(modernOnly('reject'))).toMatchObject({
      ok: true,
      era: 'modern',
      protocolVersion: '2026-07-28',
      serverInfo: { name: 'pure', version: '2' },
      tools: [{ name: 'echo' }],
    })
    expect(await visit(modernOnly('serve'))).toMatchObject({
      ok: true,
      era: 'legacy',
      tools: [{ name: 'echo' }],
    })
  })

  test('is greeted with initialize first, and asked for its discovery only if it refuses that', async () => {
    const methods: unknown[] = []
    const legacy = await webSocketStub({
      message: ({ id, method }, say) => {
        methods.push(method)
        if (method === 'initialize') say({ jsonrpc: '2.0', id, ...hello })
        if (method === 'tools/list') say({ jsonrpc: '2.0', id, result: { tools: [{ name: 't' }] } })
      },
    })
    const at = (port: number) => ({ ...webSocketServerAt(port), timeouts: patient })
    expect(await visit(at(legacy.port))).toMatchObject({ ok: true, era: 'legacy', tools: [{ name: 't' }] })
    expect(methods).toEqual(['initialize', 'notifications/initialized', 'tools/list'])
    const modern = await webSocketStub({
      message: ({ id, method }, say) => {
        const refused = {
          error: { code: -32022, message: 'Unsupported', data: { supported: ['2026-07-28'] } },
        }
        const found = { result: { supportedVersions: ['2026-07-28'], capabilities: {} } }
        say({ jsonrpc: '2.0', id, ...(method === 'server/discover' ? found : refused) })
      },
    })
    expect(await visit(at(modern.port))).toMatchObject({ ok: true, era: 'modern' })
    const neither = await webSocketStub({
      message: ({ id, method }, say) =>
        method === 'initialize' && say({ jsonrpc: '2.0', id, error: { code: -32000, message: 'not today' } }),
    })
    const shaken = await visit(at(neither.port))
    expect(shaken.error).toMatchObject({ stage: 'handshake', message: expect.stringContaining('not today') })
  })

  test('over HTTP+SSE (server-everything) lists its tools, and leaves nothing open', async () => {
    const free = createServer().listen(0)
    const { port } = free.address() as AddressInfo
    await new Promise((closed) => free.close(closed))
    const child = spawn(process.execPath, [everything, 'sse'], {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    cleanups.push(() => child.kill('SIGKILL'))
    await new Promise<void>((ready) =>
      child.stderr.on('data', (text: Buffer) => text.includes('running') && ready()),
    )
    const all = upstreams()
    const server = { ...sseServerAt(port), timeouts: patient }
    const upstream = all.open(server)
    const shaken = await shakeHands(upstream, server, { clock: systemClock, version: '1.0.0' })
    expect(shaken).toMatchObject({ ok: true, era: 'legacy', protocolVersion: '2025-11-25' })
    expect(shaken.tools.map(({ name }) => name)).toContain('echo')
    expect(all.counts()).toMatchObject({ connections: 1, streams: 1 })
    await upstream.close()
    expect(all.counts()).toMatchObject({ connections: 0, streams: 0 })
  })

  test('tells why it cannot be reached, by its stage', async () => {
    const named = await sseStub({ endpoint: 'http://10.0.0.1/' })
    expect((await visit(sseServerAt(named.port))).error).toMatchObject({
      stage: 'handshake',
      message: expect.stringContaining('another origin'),
    })
    const closed = await webSocketStub({ refuse: { status: 401 } })
    expect((await visit(webSocketServerAt(closed.port))).error).toMatchObject({
      stage: 'handshake',
      message: expect.stringContaining('credential'),
    })
    const nobody = await sseStub()
    nobody.server.close()
    expect((await visit(sseServerAt(nobody.port))).error?.stage).toBe('connect')
  })
})

/** A legacy server that answers by method; `undefined` answers nothing. */
async function liar(answers: Record<string, unknown>) {
  return stub((request, response, body) => {
    if (request.method !== 'POST') {
      response.writeHead(405).end()
      return
    }
    const { id, method } = JSON.parse(body) as { id?: number; method: string }
    const answer = answers[method]
    if (id === undefined) response.writeHead(202).end()
    else if (typeof answer === 'number') response.writeHead(answer).end()
    else if (answer !== undefined)
      response
        .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'sess' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
  })
}

const hello = {
  result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'x' } },
}
const refusal = { error: { code: -32601, message: 'no' } }

describe('a visit', () => {
  test('says hello, lists all pages, and ends the session that it opened', async () => {
    let page = 0
    const target = await liar({
      'server/discover': refusal,
      initialize: hello,
      get 'tools/list'() {
        page++
        return {
          result: {
            tools: [{ name: `tool${page}`, _meta: { own: 1 } }, { noName: true }],
            ...(page < 3 && { nextCursor: `c${page}` }),
          },
        }
      },
    })
    const shaken = await visit(serverAt(target.port, { timeouts: patient }))
    expect(shaken).toMatchObject({ ok: true, era: 'legacy', protocolVersion: '2025-06-18' })
    expect(shaken.tools).toEqual([1, 2, 3].map((n) => ({ name: `tool${n}`, _meta: { own: 1 } })))
    expect(target.requests.map(({ method, body }) => (body ? JSON.parse(body).method : method))).toEqual([
      'server/discover',
      'initialize',
      'notifications/initialized',
      'tools/list',
      'tools/list',
      'tools/list',
      'DELETE',
    ])
    expect(target.requests.at(-1)?.headers).toMatchObject({
      'mcp-session-id': 'sess',
      'mcp-protocol-version': '2025-06-18',
    })
    expect(JSON.parse(target.requests[4]?.body ?? '').params).toEqual({ cursor: 'c1' })
  })

  const failures: [string, Record<string, unknown>, string, RegExp][] = [
    ['that refuses the credential', { 'server/discover': 401 }, 'handshake', /credential/],
    ['that fails', { 'server/discover': 503 }, 'handshake', /503/],
    ['that is not there', { 'server/discover': 404, initialize: 404 }, 'handshake', /404/],
    [
      'that refuses',
      { 'server/discover': 400, initialize: { error: { code: 1, message: 'a\nb' } } },
      'handshake',
      /a b/,
    ],
    [
      'that is no MCP server',
      { 'server/discover': { x: 1 }, initialize: { x: 1 } },
      'handshake',
      /no MCP answer/,
    ],
    ['without a version', { 'server/discover': refusal, initialize: { result: {} } }, 'handshake', /version/],
    ['that redirects', { 'server/discover': 307 }, 'handshake', /redirect/],
    [
      'with endless pages',
      {
        'server/discover': refusal,
        initialize: hello,
        get 'tools/list'() {
          return { result: { tools: [], nextCursor: String(Math.random()) } }
        },
      },
      'handshake',
      /pages/,
    ],
  ]
  test.each(failures)('to a server %s tells why', async (_, answers, stage, message) => {
    const target = await liar(answers)
    const shaken = await visit(serverAt(target.port, { timeouts: patient }))
    expect(shaken).toMatchObject({ ok: false, tools: [], error: { stage } })
    expect(shaken.error?.message).toMatch(message)
  })

  test('to a server that never answers ends in time', async () => {
    const target = await liar({})
    const begin = performance.now()
    const shaken = await visit(serverAt(target.port, { timeouts: patient }), 200)
    expect(shaken.error).toMatchObject({ stage: 'handshake', message: expect.stringContaining('in time') })
    expect(performance.now() - begin).toBeLessThan(2000)
  })

  test('to nobody, and to a command that dies, tells the stage', async () => {
    const target = await stub(() => {})
    target.server.close()
    expect((await visit(serverAt(target.port))).error?.stage).toBe('connect')
    const child = await visit(script('console.error("no licence"); process.exit(1)'))
    expect(child.error).toMatchObject({ stage: 'process', message: expect.stringContaining('no licence') })
  })

  test('answers a ping of the server and refuses what else it asks', async () => {
    const shaken = await visit({
      ...script(`
        const replies = []
        listen((message) => {
          if (message.method === 'initialize') {
            say({ jsonrpc: '2.0', id: 'p', method: 'ping' })
            say({ jsonrpc: '2.0', id: 'r', method: 'roots/list' })
            var id = message.id
          }
          if (!message.method && replies.push(message) === 2)
            answer(1, { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', replies } })
        })`),
      timeouts: patient,
    })
    expect(shaken.serverInfo?.replies).toEqual([
      { jsonrpc: '2.0', id: 'p', result: {} },
      { jsonrpc: '2.0', id: 'r', error: { code: -32601, message: 'Method not found' } },
    ])
  })
})

describe('catalogues', () => {
  async function counted(answers: Record<string, unknown> = {}) {
    const target = await liar({
      'server/discover': refusal,
      initialize: hello,
      'tools/list': { result: { tools: [{ name: 't' }] } },
      ...answers,
    })
    const clock = new ManualClock()
    const seen: Handshake[] = []
    const catalogues = new Catalogues({
      upstreams: upstreams(),
      clock,
      version: '1',
    })
    catalogues.onHandshake((_, handshake) => void seen.push(handshake))
    return { server: serverAt(target.port, { timeouts: patient }), catalogues, clock, seen }
  }

  test('are fetched once for all who ask at once, and again after their time', async () => {
    const { server, catalogues, clock, seen } = await counted()
    const all = await Promise.all([1, 2, 3].map(() => catalogues.get(server)))
    expect(all.map(({ tools }) => tools.length)).toEqual([1, 1, 1])
    expect(seen).toHaveLength(1)
    clock.advance(59_000)
    await catalogues.get(server)
    expect(seen).toHaveLength(1)
    clock.advance(2000)
    await catalogues.get(server)
    expect(seen).toHaveLength(2)
  })

  test('are fetched again when the server changed, was forgotten, or is tested', async () => {
    const { server, catalogues, seen } = await counted()
    await catalogues.get(server)
    await catalogues.get({ ...server, revision: 2 })
    catalogues.invalidate(server.id)
    await catalogues.get({ ...server, revision: 2 })
    await catalogues.test({ ...server, revision: 2 })
    await catalogues.get({ ...server, revision: 2 })
    expect(seen).toHaveLength(4)
  })

  test('remember a failure only briefly', async () => {
    const { server, catalogues, clock, seen } = await counted({ 'server/discover': 500 })
    expect((await catalogues.get(server)).ok).toBe(false)
    expect((await catalogues.get(server)).ok).toBe(false)
    expect(seen).toHaveLength(1)
    clock.advance(3000)
    await catalogues.get(server)
    expect(seen).toHaveLength(2)
  })

  test('tell of an address that is not allowed as egress', async () => {
    const target = await stub(() => {})
    const catalogues = new Catalogues({ upstreams: upstreams([]), clock: systemClock, version: '1' })
    expect((await catalogues.get(serverAt(target.port))).error?.stage).toBe('egress')
    expect(target.requests).toEqual([])
  })
})
