// Who may reach what: every route of the published API, by every wrong way in and with every wrong owner.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { permissions } from '../../src/policy/roles.ts'
import { addServer, type ApiCaller } from '../harness/gateway.ts'
import {
  essence,
  jsonHeaders,
  legacyVersion,
  McpClient,
  modernHeaders,
  openStream,
  send,
  startBench,
  toolCall,
  type Bench,
  type RawAnswer,
} from './bench.ts'
import { until } from '../harness/until.ts'

interface Operation {
  readonly method: string
  readonly path: string
  readonly isPublic: boolean
  readonly permission: keyof typeof permissions | undefined
}

let bench: Bench
let operations: Operation[]
/** What belongs to B, by what stands for it in a path. */
let theirs: Record<string, string>
let operator: ApiCaller

const random: Record<string, string> = {
  user: `usr_${'0'.repeat(25)}1`,
  key: `key_${'0'.repeat(25)}1`,
  server: `srv_${'0'.repeat(25)}1`,
  bundle: `bnd_${'0'.repeat(25)}1`,
  session: `ses_${'0'.repeat(25)}1`,
  usage: `use_${'0'.repeat(25)}1`,
  rule: `rul_${'0'.repeat(25)}1`,
  draft: `drf_${'0'.repeat(25)}1`,
  account: `acc_${'0'.repeat(25)}1`,
  budget: `bud_${'0'.repeat(25)}1`,
  grant: `grt_${'0'.repeat(25)}1`,
  invoice: `inv_${'0'.repeat(25)}1`,
}

beforeAll(async () => {
  bench = await startBench()
  const { gateway, b } = bench
  const document = (await gateway.admin.ok('GET', '/openapi.json')) as {
    paths: Record<string, Record<string, { security?: unknown[]; 'x-permission'?: string }>>
  }
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      isPublic: operation.security?.length === 0,
      permission: operation['x-permission'] as Operation['permission'],
    })),
  )
  operator = await gateway.member('oskar', { roles: ['operator'] })
  const owner = await gateway.member('owner', { roles: ['operator'] })
  const transport = { type: 'streamable-http', url: bench.upstream.url }
  const server = await owner.ok('POST', '/api/v1/servers', { name: 'hidden', transport })
  const bundle = await owner.ok('POST', '/api/v1/bundles', {
    name: 'bundled',
    members: [{ server: 'hidden' }],
  })
  const session = await b.ok('POST', '/api/v1/servers/stub/sessions')
  const rule = await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'calls',
    currency: 'USD',
    match: { server: 'stub' },
    price: { perCall: '0.001' },
  })
  const budget = await gateway.admin.ok('POST', '/api/v1/billing/budgets', {
    scope: { account: b.accountId },
    amount: '1000',
    window: 'day',
  })
  const grants = `/api/v1/billing/accounts/${b.accountId}/grants`
  const grant = await gateway.admin.ok('POST', grants, { amount: '1' })
  const draft = await gateway.admin.ok('POST', '/api/v1/billing/drafts', { ruleId: rule.id, priority: 1 })
  const called = await bench.client(b).ask('modern', toolCall('work'))
  const invoices = '/api/v1/billing/invoices'
  const invoice = await gateway.admin.ok('POST', invoices, { accountId: b.accountId, month: '2025-01' })
  await gateway.admin.ok('POST', `${invoices}/${invoice.id}/finalize`)
  theirs = {
    draft: draft.id,
    user: b.userId,
    key: (await b.ok('POST', '/api/v1/keys', { name: 'his' })).id,
    server: server.id,
    bundle: bundle.id,
    session: session.id,
    usage: String(called.headers['tollbridge-call-id']),
    rule: rule.id,
    account: b.accountId,
    budget: budget.id,
    grant: grant.id,
    invoice: invoice.id,
  }
})
afterAll(() => bench.stop())

const kindOf = (path: string): string => {
  if (path.includes('{sessionId}') || path.includes('/sessions/{')) return 'session'
  return (
    /\/(user|key|server|bundle|rule|draft|account|budget|invoice)s\/\{/.exec(path)?.[1] ??
    (path.includes('/usage/{') ? 'usage' : '')
  )
}
const fill = (path: string, ids: Record<string, string>): string =>
  path
    .replace('{name}', 'stub')
    .replace('{grantId}', ids['grant'] ?? 'missing')
    .replace(/\{\w+\}/, ids[kindOf(path)] ?? 'missing')

/** A body that each route would take, so that nothing but the id is wrong. */
const bodies: Record<string, object> = {
  'PATCH /api/v1/users/{id}': { email: null },
  'PATCH /api/v1/keys/{id}': { suspended: true },
  'POST /api/v1/keys/{id}/rotate': {},
  'POST /api/v1/servers/{id}/definitions/approve': { tools: [{ tool: 'x', hash: '0'.repeat(64) }] },
  'POST /api/v1/servers/{id}/definitions/withdraw': { tools: ['x'] },
  'POST /api/v1/servers/{id}/tools/{tool}/call': { arguments: {} },
  'PATCH /api/v1/servers/{id}': { description: 'mine now' },
  'PUT /api/v1/servers/{id}/status': { status: 'inactive' },
  'PATCH /api/v1/bundles/{id}': { description: 'mine now' },
  'POST /api/v1/servers/{id}/sessions': {},
  'PATCH /api/v1/billing/rules/{id}': { name: 'mine now' },
  'PATCH /api/v1/billing/drafts/{id}': { name: 'mine now' },
  'POST /api/v1/billing/drafts/{id}/publish': { force: true },
  'PATCH /api/v1/billing/accounts/{id}': { name: 'mine now' },
  'POST /api/v1/billing/accounts/{id}/grants': { amount: '1000' },
  'POST /api/v1/billing/accounts/{id}/adjustments': { amount: '1000', reason: 'mine' },
  'PATCH /api/v1/billing/budgets/{id}': { amount: '1000000' },
  'POST /api/v1/billing/budgets/{id}/increase': { amount: '1000', until: '2999-01-01T00:00:00Z' },
  'PATCH /api/v1/billing/accounts/{id}/billing': { name: 'mine now' },
  'POST /api/v1/billing/invoices/{id}/finalize': {},
  'POST /api/v1/billing/invoices/{id}/pay': { reference: 'mine now' },
  'POST /api/v1/billing/invoices/{id}/void': { reason: 'mine now' },
  'POST /api/v1/billing/invoices/{id}/uncollectible': { reason: 'mine now' },
  'POST /api/v1/billing/invoices/{id}/credit-notes': { amount: '1', reason: 'mine now' },
}

function ask(
  caller: Pick<ApiCaller, 'url' | 'credential'>,
  method: string,
  path: string,
  body?: object,
): Promise<RawAnswer> {
  const headers: Record<string, string> = {
    ...(caller.credential !== undefined && { authorization: `Bearer ${caller.credential}` }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  const bytes = body === undefined ? {} : { body: JSON.stringify(body) }
  return send(caller.url, { method, path, headers, ...bytes })
}

describe('without a credential', () => {
  const refused = new Set([400, 401, 404, 405])
  const mcpPaths = (): string[] => [
    '/mcp',
    '/mcp/stub',
    '/mcp/hidden',
    '/mcp/none',
    `/api/v1/sessions/${theirs.session}/mcp`,
  ]
  const ways = (): { method: string; path: string }[] => [
    ...operations
      .filter(({ isPublic }) => !isPublic)
      .map(({ method, path }) => ({ method, path: fill(path, theirs) })),
    ...mcpPaths().flatMap((path) => ['POST', 'GET', 'DELETE'].map((method) => ({ method, path }))),
  ]

  test('every route that is not public answers 401 and tells how to log in', async () => {
    expect(ways().length).toBeGreaterThan(50)
    for (const { method, path } of ways()) {
      const answer = await send(bench.gateway.url, {
        method,
        path,
        headers: jsonHeaders,
        body: method === 'GET' ? '' : '{}',
      })
      expect([method, path, answer.status]).toEqual([method, path, 401])
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer /)
    }
  })

  test('no spelling of a route, and no header that names another method or path, gets past that', async () => {
    const spellings = (path: string): string[] => [
      `/${path}`,
      path.replace('/', '/./'),
      path.replaceAll('/', '//'),
      path.replace(/\/([^/]+)$/, '/./$1'),
      path.replace(/\/([^/]+)$/, '/x/../$1'),
      path.replace(/\/([^/]+)$/, '%2f$1'),
      path.replace(/\/([^/]+)$/, '%5c$1'),
      path.replace('/', '/%2e/'),
      `${path}/`,
      `${path};x`,
      `${path};x=/livez`,
      `${path}%00`,
      `${path}%20`,
      `${path}?/livez`,
      `${path}#/livez`,
      `${path}/..;/livez`,
      `/livez/..${path}`,
      `/livez%2f..${path}`,
      path.toUpperCase(),
      path.replace('a', '%61').replace('m', '%6d'),
      `http://127.0.0.1${path}`,
      `http://localhost${path}`,
    ]
    const overrides: Record<string, string>[] = [
      { 'x-http-method-override': 'OPTIONS' },
      { 'x-http-method': 'HEAD', 'x-method-override': 'HEAD' },
      { 'x-original-url': '/livez', 'x-rewrite-url': '/livez', 'x-forwarded-prefix': '/livez' },
    ]
    const asked = ways().flatMap(({ method, path }) => [
      ...spellings(path).map((spelled) => ({ method, path: spelled, headers: {} })),
      ...overrides.map((headers) => ({ method, path, headers })),
    ])
    const hits = await bench.hitsDuring(async () => {
      const next = asked.values()
      const work = async (): Promise<void> => {
        for (const { method, path, headers } of next) {
          const answer = await send(bench.gateway.url, {
            method,
            path,
            headers: { ...jsonHeaders, ...headers },
            body: method === 'GET' ? '' : '{}',
          })
          expect([method, path, headers, refused.has(answer.status) || answer.status]).toEqual([
            method,
            path,
            headers,
            true,
          ])
        }
      }
      await Promise.all(Array.from({ length: 16 }, work))
    })
    expect(hits).toEqual([])
  })

  test('no Host and no forwarded address makes a caller local or another', async () => {
    const { url } = bench.gateway
    const { port } = new URL(url)
    const plain = essence(await send(url, { path: '/api/v1/me' }))
    const spoofs: Record<string, string>[] = [
      { host: 'localhost' },
      { host: `localhost:${port}` },
      { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1', 'x-client-ip': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1;host=localhost;proto=https' },
      { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
    ]
    for (const headers of spoofs)
      expect(essence(await send(url, { path: '/api/v1/me', headers }))).toEqual(plain)
    for (const host of [
      'evil.example',
      '127.0.0.1.evil.example',
      '169.254.169.254',
      'localhost@evil',
      'localhost.',
    ])
      for (const path of ['/metrics', '/openapi.json', '/api/v1/me', '/mcp/stub', '/livez/../metrics'])
        expect([host, path, (await send(url, { path, headers: { host } })).status]).toEqual([host, path, 421])

    const client = bench.client(bench.a)
    const spoofed = {
      host: `localhost:${port}`,
      'x-forwarded-for': '203.0.113.9',
      forwarded: 'for=203.0.113.9;host=evil.example',
      'x-forwarded-host': 'evil.example',
    }
    const called = await client.ask('modern', toolCall('work'), spoofed)
    const record = await bench.a.ok(
      'GET',
      `/api/v1/billing/usage/${String(called.headers['tollbridge-call-id'])}`,
    )
    expect(record.clientIp).toBe('127.0.0.1')
    const session = await send(url, {
      method: 'POST',
      path: '/api/v1/servers/stub/sessions',
      headers: { ...client.own(), ...spoofed },
    })
    expect(session.json.endpoints.streamableHttp).toBe(`${url}/api/v1/sessions/${session.json.id}/mcp`)
    const challenged = await send(url, {
      method: 'POST',
      path: '/mcp/stub',
      headers: { ...jsonHeaders, ...spoofed },
      body: '{}',
    })
    expect(challenged.headers['www-authenticate']).toContain(`resource_metadata="${url}/`)
    expect(
      (await send(url, { path: '/.well-known/oauth-protected-resource/mcp/stub', headers: spoofed })).text,
    ).not.toMatch(/evil|localhost/)
  })
})

describe("somebody else's", () => {
  test('things answer on every route as things that do not exist', async () => {
    const withId = operations.filter(({ path, isPublic }) => path.includes('{') && !isPublic)
    expect(withId.length).toBeGreaterThan(20)
    for (const caller of [bench.a, operator])
      for (const { method, path } of withId)
        for (const asked of new Set([method, 'GET', 'PATCH', 'DELETE'])) {
          const name = `${asked} ${path}`
          const body = bodies[name]
          const real = await ask(caller, asked, fill(path, theirs), body)
          const made = await ask(caller, asked, fill(path, random), body)
          expect([name, real.status]).toEqual([
            name,
            asked === method && real.status !== 403 ? 404 : expect.toBeOneOf([403, 404, 405]),
          ])
          expect([name, essence(real, fill(path, theirs))]).toEqual([name, essence(made, fill(path, random))])
        }
    expect((await bench.b.ok('GET', `/api/v1/billing/accounts/${bench.b.accountId}`)).name).not.toBe(
      'mine now',
    )
    expect((await bench.b.ok('GET', `/api/v1/sessions/${theirs.session}`)).status).not.toBe('closed')
  })

  test('things are in none of the lists, streams and sums', async () => {
    const lists = operations.filter(
      ({ method, path, isPublic }) => method === 'GET' && !path.includes('{') && !isPublic,
    )
    expect(lists.length).toBeGreaterThan(8)
    const stream = await openStream(bench.gateway.url, {
      path: '/api/v1/billing/cost/stream',
      headers: bench.client(bench.a).own(),
    })
    const { headers } = await bench.client(bench.b).ask('modern', toolCall('work'))
    const own = await bench.client(bench.a).ask('modern', toolCall('work'))
    await until(
      () => stream.text().includes(String(own.headers['tollbridge-call-id'])),
      'the own call is in the stream',
    )
    expect(stream.text()).not.toContain(headers['tollbridge-call-id'])
    stream.close()
    const foreign = Object.entries(theirs).filter(([kind]) => kind !== 'rule' && kind !== 'draft')
    for (const { path } of lists) {
      if (path.endsWith('/stream')) continue
      for (const query of [
        '',
        `?user=${bench.b.userId}`,
        `?userId=${bench.b.userId}`,
        `?account=${bench.b.accountId}`,
      ]) {
        const { status, text } = await ask(bench.a, 'GET', path + query)
        expect([200, 400, 403, 404, 422]).toContain(status)
        if (status !== 200) continue
        for (const [kind, id] of foreign) {
          // An empty answer may repeat what was asked for.
          const rows = text.startsWith('{') ? (JSON.parse(text) as { items?: unknown[] }).items : undefined
          expect([path + query, kind, JSON.stringify(rows ?? text).includes(id)]).toEqual([
            path + query,
            kind,
            false,
          ])
        }
      }
    }
  })

  test('session is neither read, used nor ended, over either kind of session', async () => {
    const mine = bench.client(bench.a)
    await mine.open()
    const { id } = await bench.a.ok('POST', '/api/v1/servers/stub/sessions')
    const overRest = new McpClient(bench.a, `/api/v1/sessions/${id}/mcp`)
    await overRest.open()
    const stream = await mine.get()
    expect(stream.status).toBe(200)
    await until(
      () => bench.upstream.push({ jsonrpc: '2.0', method: 'notifications/first' }) > 0,
      'the stream is open',
    )
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...toolCall('work') })
    const tries = (path: string, session: string | undefined): Promise<RawAnswer[]> =>
      Promise.all(
        ['POST', 'GET', 'DELETE'].map((method) =>
          send(bench.gateway.url, {
            method,
            path,
            headers: {
              ...jsonHeaders,
              'mcp-protocol-version': legacyVersion,
              authorization: `Bearer ${bench.b.credential}`,
              ...(session !== undefined && { 'mcp-session-id': session }),
            },
            ...(method === 'POST' && { body }),
          }),
        ),
      )
    const seen: RawAnswer[] = []
    const hits = await bench.hitsDuring(async () => {
      const byHeader = await tries('/mcp/stub', mine.session)
      const byPath = await tries(overRest.path, undefined)
      const both = await tries(overRest.path, mine.session)
      seen.push(...byHeader, ...byPath, ...both)
      for (const answer of [...byHeader, ...byPath, ...both]) expect(answer.status).toBe(404)
      const guess = 'A'.repeat(mine.session?.length ?? 32)
      expect(byHeader.map((answer) => essence(answer))).toEqual(
        (await tries('/mcp/stub', guess)).map((answer) => essence(answer)),
      )
      const unknown = `/api/v1/sessions/${random.session}/mcp`
      expect(byPath.map((answer) => essence(answer))).toEqual(
        (await tries(unknown, undefined)).map((answer) => essence(answer)),
      )
    })
    expect(hits).toEqual([])
    expect(seen.map(({ text }) => text).join()).not.toContain(mine.session)
    const before = stream.text()
    bench.upstream.push({ jsonrpc: '2.0', method: 'notifications/second' })
    await until(() => stream.text().includes('notifications/second'), 'the owner still hears')
    expect(stream.text().slice(before.length)).not.toContain('work')
    expect((await mine.ask('legacy', toolCall('work'))).status).toBe(200)
    expect((await overRest.ask('legacy', toolCall('work'))).status).toBe(200)
    stream.close()
  })

  test("session is closed to its owner's other credentials once the one that opened it is gone", async () => {
    const { id, key } = await bench.a.ok('POST', '/api/v1/keys', { name: 'rotating' })
    const client = bench.client({ url: bench.gateway.url, credential: key })
    await client.open()
    const { key: next } = await bench.a.ok('POST', `/api/v1/keys/${id}/rotate`)
    const hits = await bench.hitsDuring(async () => {
      client.credential = next
      expect((await client.ask('legacy', toolCall('work'))).status).toBe(404)
      client.credential = bench.b.credential
      expect((await client.ask('legacy', toolCall('work'))).status).toBe(404)
    })
    expect(hits.filter(({ message }) => message?.method === 'tools/call')).toEqual([])
  })

  test('session of another server of the same owner is not found either', async () => {
    await addServer(bench.gateway, 'second', bench.upstream.url)
    const client = bench.client(bench.a)
    await client.open()
    const other = bench.client(bench.a, 'second')
    other.session = client.session
    const hits = await bench.hitsDuring(async () =>
      expect((await other.ask('legacy', toolCall('work'))).status).toBe(404),
    )
    expect(hits).toEqual([])
  })
})

describe('a member', () => {
  test('is refused by every route that needs a role, before anything happens', async () => {
    const needed = operations.filter(
      ({ permission }) =>
        permission !== undefined && !(permissions[permission] as readonly string[]).includes('member'),
    )
    expect(needed.length).toBeGreaterThan(12)
    const children = (): string =>
      readFileSync(`/proc/${bench.gateway.process.pid}/task/${bench.gateway.process.pid}/children`, 'utf8')
    const before = children()
    const hits = await bench.hitsDuring(async () => {
      for (const { method, path } of needed) {
        const answer = await ask(bench.a, method, fill(path, theirs), bodies[`${method} ${path}`] ?? {})
        expect([method, path, answer.status, answer.json.code]).toEqual([method, path, 403, 'forbidden'])
      }
      const stdio = { name: 'shell', transport: { type: 'stdio', command: process.execPath, args: ['-v'] } }
      expect((await ask(bench.a, 'POST', '/api/v1/servers', stdio)).status).toBe(403)
      expect((await ask(operator, 'POST', '/api/v1/servers', stdio)).status).toBe(403)
      expect((await ask(bench.a, 'POST', '/api/v1/servers/stub/test-connection')).status).toBe(403)
      expect((await ask(bench.a, 'PATCH', '/api/v1/servers/stub', { description: 'x' })).status).toBe(403)
      expect((await ask(bench.a, 'PUT', '/api/v1/servers/stub/status', { status: 'inactive' })).status).toBe(
        403,
      )
      for (const path of [
        '/api/v1/servers/import',
        '/api/v1/debug',
        '/debug/pprof',
        '/api/v1/admin',
        '/api/v1/heap-snapshot',
      ])
        for (const method of ['GET', 'POST'])
          expect((await ask(bench.a, method, path)).status).toBeOneOf([400, 404, 405])
    })
    expect(hits).toEqual([])
    expect(children()).toBe(before)
  })

  test('sets no field that is not its own, in any body', async () => {
    const claims = {
      role: 'admin',
      roles: ['admin'],
      tenantId: 'x',
      balance: '1000',
      ownerId: bench.a.userId,
      createdAt: '2020-01-01T00:00:00Z',
      id: 'x',
    }
    const routes: [ApiCaller, string, string, Record<string, unknown>][] = [
      [bench.a, 'POST', '/api/v1/keys', { name: 'k' }],
      [bench.a, 'POST', '/api/v1/auth/logout', {}],
      [bench.a, 'POST', '/api/v1/servers/stub/sessions', {}],
      [
        operator,
        'POST',
        '/api/v1/servers',
        { name: 'claimed', transport: { type: 'streamable-http', url: bench.upstream.url } },
      ],
      [bench.gateway.admin, 'PATCH', '/api/v1/servers/hidden', { description: 'x' }],
      [bench.gateway.admin, 'PATCH', `/api/v1/billing/accounts/${bench.a.accountId}`, { name: 'x' }],
      [bench.gateway.admin, 'PATCH', `/api/v1/billing/rules/${theirs.rule}`, { name: 'x' }],
      [bench.gateway.admin, 'PATCH', `/api/v1/users/${bench.a.userId}`, { email: null }],
    ]
    const read = async (): Promise<unknown[]> => [
      await bench.a.ok('GET', '/api/v1/me'),
      await bench.gateway.admin.ok('GET', '/api/v1/servers/hidden'),
      await bench.gateway.admin.all('/api/v1/servers'),
      await bench.a.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`),
      await bench.gateway.admin.ok('GET', `/api/v1/billing/rules/${theirs.rule}`),
    ]
    const before = await read()
    for (const [caller, method, path, body] of routes)
      for (const [field, value] of Object.entries(claims)) {
        // An administrator may set a user's roles.
        if (path.includes('/users/') && field === 'roles') continue
        const answer = await ask(caller, method, path, { ...body, [field]: value })
        expect([method, path, field, answer.status]).toEqual([method, path, field, 400])
        expect(JSON.stringify(answer.json.errors)).toContain(`"/${field}"`)
      }
    expect(await read()).toEqual(before)
    expect((await ask(bench.a, 'PATCH', '/api/v1/me', { roles: ['admin'] })).status).toBe(405)
  })
})

test('a header that names a public method does not open a protected one to a modern client', async () => {
  const headers = { ...modernHeaders('server/discover') }
  const hits = await bench.hitsDuring(async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...toolCall('work') })
    expect((await send(bench.gateway.url, { method: 'POST', path: '/mcp/stub', headers, body })).status).toBe(
      401,
    )
  })
  expect(hits).toEqual([])
})
