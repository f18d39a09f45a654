// Servers over HTTP: who registers, sees and manages them, what is shown to whom, their tools and their prices.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/base/id.ts'
import { refusalOf, startApi, type TestApi } from '../harness/api.ts'
import { ApiCaller } from '../harness/gateway.ts'
import { startDualEra, type DualEra } from '../upstreams/dual-era.ts'

let api: TestApi
let fixture: DualEra
let admin: ApiCaller
let auditor: ApiCaller
let operator: ApiCaller
let member: ApiCaller
let limited: ApiCaller
let ids: { shared: string; secret: string; child: string }

const deadUrl = 'http://127.0.0.1:9/mcp'
const http = (name: string, more: object = {}) => ({
  name,
  transport: { type: 'streamable-http', url: fixture.url },
  ...more,
})

beforeAll(async () => {
  api = await startApi({ stdioAllow: ['node'] })
  fixture = await startDualEra()
  admin = await api.user('root', 'admin')
  auditor = await api.user('auditor', 'auditor')
  operator = await api.user('operator', 'operator')
  member = await api.user('member')
  const shared = http('shared', {
    description: 'for all',
    access: 'authenticated',
    transport: { type: 'streamable-http', url: fixture.url, headers: { 'X-Team': 'header-secret' } },
    auth: { type: 'bearer', token: 'token-secret-4242' },
  })
  const secret = http('secret', { transport: { type: 'streamable-http', url: deadUrl } })
  const child = {
    name: 'child',
    access: 'authenticated',
    transport: { type: 'stdio', command: 'node', args: ['arg-secret'], env: { KEY: 'variable-secret' } },
  }
  ids = {
    shared: (await operator.ok('POST', '/api/v1/servers', shared)).id,
    secret: (await operator.ok('POST', '/api/v1/servers', secret)).id,
    child: (await admin.ok('POST', '/api/v1/servers', child)).id,
  }
  const key = await operator.ok('POST', '/api/v1/keys', { name: 'limited', servers: ['shared'] })
  limited = new ApiCaller(api.url, key.key)
})
afterAll(async () => {
  await api.stop()
  await fixture.stop()
})

const namesFor = async (caller: ApiCaller): Promise<string[]> =>
  (await caller.all('/api/v1/servers')).map(({ name }: { name: string }) => name).toSorted()

describe('a registration', () => {
  test('is answered with its defaults, its place, and no secret', async () => {
    const answer = await operator.call(
      'POST',
      '/api/v1/servers',
      http('fresh', { auth: { type: 'bearer', token: 'token-secret-4242' } }),
    )
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/api/v1/servers/${answer.json.id}`)
    expect(answer.json).toMatchObject({
      id: expect.stringMatching(/^srv_/),
      ownerId: operator.userId,
      status: 'registered',
      access: 'private',
      auth: { type: 'bearer', hasSecret: true, last4: '4242' },
      transport: { type: 'streamable-http', url: fixture.url },
    })
    expect(answer.text).not.toContain('token-secret')
    expect(await operator.ok('GET', `/api/v1/servers/${answer.json.id}`)).toEqual(answer.json)
    expect((await operator.call('DELETE', '/api/v1/servers/fresh')).status).toBe(204)
  })

  test('says nothing of owner, id, status or times: an unknown field is refused by name', async () => {
    for (const field of ['id', 'ownerId', 'createdAt', 'status', 'tenantId', '__proto__']) {
      const text = `{${JSON.stringify(field)}:"x",${JSON.stringify(http('smuggled')).slice(1)}`
      const post = await operator.call('POST', '/api/v1/servers', text)
      expect([post.status, post.json.errors[0].field]).toEqual([400, `/${field}`])
      const patch = await operator.call('PATCH', '/api/v1/servers/shared', `{${JSON.stringify(field)}:"x"}`)
      expect([patch.status, patch.json.errors[0].field]).toEqual([400, `/${field}`])
    }
    const deep = await operator.call('PATCH', '/api/v1/servers/shared', { limits: { cpus: 1 } })
    expect([deep.status, deep.json.errors[0].field]).toEqual([400, '/limits/cpus'])
  })

  test.each([
    ['a transport that there is not', { transport: { type: 'gopher', url: deadUrl } }, 400],
    [
      'an address that upstreams may not have',
      { transport: { type: 'streamable-http', url: 'http://10.0.0.1/' } },
      422,
    ],
    ['a name that is taken', { name: 'shared' }, 409],
    ['a command from an operator', { transport: { type: 'stdio', command: 'node' } }, 403],
  ])('is refused: %s', async (_what, more, status) => {
    expect((await operator.call('POST', '/api/v1/servers', { ...http('refused'), ...more })).status).toBe(
      status,
    )
    expect(await namesFor(admin)).not.toContain('refused')
  })

  test('cannot make somebody else pay', async () => {
    const open = { access: 'public', account: member.accountId }
    expect((await operator.call('POST', '/api/v1/servers', http('open', open))).status).toBe(403)
    expect((await operator.call('PATCH', '/api/v1/servers/shared', open)).status).toBe(403)
    const own = await operator.ok(
      'POST',
      '/api/v1/servers',
      http('open', { ...open, account: operator.accountId }),
    )
    expect(own.account).toBe(operator.accountId)
    const byAdmin = await admin.ok('PATCH', '/api/v1/servers/open', open)
    expect(byAdmin.account).toBe(member.accountId)
    // What an administrator has set stays when the owner changes something else.
    const patched = await operator.ok('PATCH', '/api/v1/servers/open', { ...open, description: 'x' })
    expect(patched).toMatchObject({ account: member.accountId, description: 'x' })
    await operator.ok('DELETE', '/api/v1/servers/open')
  })
})

describe('what is seen of a server', () => {
  test('is all of it for its owner, administrators and auditors, by id and by name', async () => {
    for (const caller of [operator, admin, auditor]) {
      const byId = await caller.call('GET', `/api/v1/servers/${ids.shared}`)
      expect(byId.json).toMatchObject({
        transport: { url: fixture.url, headers: { 'X-Team': { hasSecret: true } } },
        auth: { type: 'bearer', hasSecret: true },
        limits: {},
      })
      expect(byId.text).not.toMatch(/header-secret|token-secret/)
      expect((await caller.ok('GET', '/api/v1/servers/shared')).id).toBe(ids.shared)
    }
    const child = await admin.call('GET', '/api/v1/servers/child')
    expect(child.json.transport).toMatchObject({ command: 'node', args: ['arg-secret'] })
    expect(child.text).not.toContain('variable-secret')
  })

  test('is only the outside for those who use it', async () => {
    for (const [caller, name, type] of [
      [member, 'shared', 'streamable-http'],
      [member, 'child', 'stdio'],
      [operator, 'child', 'stdio'],
    ] as const) {
      const shown = await caller.ok('GET', `/api/v1/servers/${name}`)
      expect(shown.transport).toEqual({ type })
      expect(Object.keys(shown).toSorted()).toEqual(
        ['access', 'createdAt', 'eras', 'id', 'name', 'status', 'transport', 'updatedAt']
          .concat(shown.description === undefined ? [] : ['description'])
          .toSorted(),
      )
      const listed = (await caller.all('/api/v1/servers')).find((server) => server.name === name)
      expect(listed).toEqual(shown)
    }
  })

  test('is nothing for those who may not use it, and their lists do not hold it', async () => {
    expect(await namesFor(member)).toEqual(['child', 'shared'])
    expect(await namesFor(operator)).toEqual(['child', 'secret', 'shared'])
    expect(await namesFor(auditor)).toEqual(['child', 'secret', 'shared'])
    expect(await namesFor(limited)).toEqual(['shared'])
  })

  test('comes in pages that skip what is hidden', async () => {
    const names: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await member.ok('GET', `/api/v1/servers?limit=1${cursor && `&cursor=${cursor}`}`)
      expect(page.items).toHaveLength(1)
      names.push(page.items[0].name)
      cursor = page.nextCursor
    }
    expect(names.toSorted()).toEqual(['child', 'shared'])
  })

  test('is hidden exactly as what does not exist, on every route', async () => {
    const requests = [
      ['GET', '', undefined],
      ['PATCH', '', { description: 'mine' }],
      ['DELETE', '', undefined],
      ['POST', '/test-connection', undefined],
      ['GET', '/status', undefined],
      ['PUT', '/status', { status: 'inactive' }],
      ['GET', '/tools', undefined],
      ['POST', '/sessions', undefined],
    ] as const
    for (const [method, suffix, body] of requests)
      for (const [caller, hidden] of [
        [member, ids.secret],
        [member, 'secret'],
        [limited, ids.secret],
        [limited, 'secret'],
        [limited, 'child'],
      ] as const) {
        const none = hidden.startsWith('srv_') ? newId('srv') : 'absent'
        const [found, missing] = [
          await caller.call(method, `/api/v1/servers/${hidden}${suffix}`, body),
          await caller.call(method, `/api/v1/servers/${none}${suffix}`, body),
        ]
        expect([method, suffix, found.status]).toEqual([method, suffix, 404])
        expect(refusalOf(found)).toEqual(refusalOf(missing))
      }
    expect((await operator.ok('GET', '/api/v1/servers/secret')).description).toBeUndefined()
    expect((await operator.ok('GET', '/api/v1/servers/secret/status')).status).not.toBe('inactive')
  })
})

describe('managing a server', () => {
  test('is for its owner and administrators; who only sees it is told so', async () => {
    for (const caller of [member, auditor])
      for (const [method, suffix, body] of [
        ['PATCH', '', { description: 'mine' }],
        ['DELETE', '', undefined],
        ['POST', '/test-connection', undefined],
        ['PUT', '/status', { status: 'inactive' }],
      ] as const) {
        const answer = await caller.call(method, `/api/v1/servers/shared${suffix}`, body)
        expect([method, suffix, answer.status]).toEqual([method, suffix, 403])
      }
    const changed = await operator.ok('PATCH', '/api/v1/servers/shared', { description: 'changed' })
    expect(changed).toMatchObject({ description: 'changed', revision: 2, auth: { last4: '4242' } })
    expect(
      (await admin.ok('PATCH', '/api/v1/servers/shared', { description: null })).description,
    ).toBeUndefined()
  })

  test('by a key limited to servers ends at their names', async () => {
    expect((await limited.call('POST', '/api/v1/servers', http('beyond'))).status).toBe(403)
    expect((await limited.call('PATCH', '/api/v1/servers/shared', { name: 'beyond' })).status).toBe(403)
    expect((await limited.call('PATCH', '/api/v1/servers/shared', { description: 'by key' })).status).toBe(
      200,
    )
  })

  test('switches it off and on; nobody sets a status that only the gateway knows', async () => {
    const path = '/api/v1/servers/shared/status'
    expect(await operator.ok('PUT', path, { status: 'inactive' })).toEqual({
      id: ids.shared,
      name: 'shared',
      status: 'inactive',
    })
    expect((await member.ok('GET', path)).status).toBe('inactive')
    for (const [method, suffix] of [
      ['GET', '/tools'],
      ['POST', '/sessions'],
    ] as const) {
      const refused = await member.call(method, `/api/v1/servers/shared${suffix}`)
      expect([refused.status, refused.json.code]).toEqual([503, 'server_inactive'])
    }
    expect((await operator.ok('PUT', path, { status: 'active' })).status).toBe('active')
    for (const status of ['error', 'registered', 'on'])
      expect((await operator.call('PUT', path, { status })).status).toBe(400)
  })

  test('removes it, with its sessions', async () => {
    const { id } = await operator.ok('POST', '/api/v1/servers', http('brief', { access: 'authenticated' }))
    const session = await member.ok('POST', '/api/v1/servers/brief/sessions')
    expect((await operator.call('DELETE', `/api/v1/servers/${id}`)).status).toBe(204)
    for (const name of [id, 'brief'])
      expect((await operator.call('GET', `/api/v1/servers/${name}`)).status).toBe(404)
    expect((await member.ok('GET', `/api/v1/sessions/${session.id}`)).status).toBe('closed')
  })
})

describe('asking a server', () => {
  test('test-connection is a real handshake, and the status follows it', async () => {
    const answer = await operator.ok('POST', '/api/v1/servers/shared/test-connection')
    expect(answer).toMatchObject({
      ok: true,
      era: 'modern',
      protocolVersion: '2026-07-28',
      serverInfo: { name: 'dual-era-fixture' },
      capabilities: { tools: {} },
      latencyMs: expect.any(Number),
    })
    expect(answer.tools.length).toBeGreaterThan(5)
    expect((await member.ok('GET', '/api/v1/servers/shared/status')).status).toBe('active')
  })

  test('a server that does not answer is an answer too, and why is for those who manage it', async () => {
    const open = http('dead', {
      access: 'authenticated',
      transport: { type: 'streamable-http', url: deadUrl },
    })
    await operator.ok('POST', '/api/v1/servers', open)
    const answer = await operator.ok('POST', '/api/v1/servers/dead/test-connection')
    expect(answer).toMatchObject({
      ok: false,
      tools: [],
      error: { stage: 'connect', message: expect.any(String) },
    })
    const status = '/api/v1/servers/dead/status'
    expect(await operator.ok('GET', status)).toMatchObject({
      status: 'error',
      lastFailure: {
        stage: 'connect',
        message: expect.any(String),
        at: expect.any(String),
        since: expect.any(String),
      },
    })
    expect(Object.keys(await member.ok('GET', status)).toSorted()).toEqual(['id', 'name', 'status'])
    const tools = await member.call('GET', '/api/v1/servers/dead/tools')
    expect([tools.status, tools.json.code]).toEqual([502, 'upstream_unavailable'])
    expect(tools.text).not.toContain('127.0.0.1')
    await operator.ok('DELETE', '/api/v1/servers/dead')
  })

  test('tools come with the price that this caller would pay now, and null where there is none', async () => {
    const tools = await member.all('/api/v1/servers/shared/tools')
    const [first, second, third] = tools.map(({ name }: { name: string }) => name)
    expect(tools.every(({ price }: { price: unknown }) => price === null)).toBe(true)
    const rule = (name: string, match: object, perCall: string) =>
      api.rules.create({ name, currency: 'USD', match: { server: 'shared', ...match }, price: { perCall } })
    const one = await rule('one tool', { tool: first, method: 'tools/call' }, '0.01')
    await rule('for one user', { tool: second, user: member.userId }, '0.02')
    await rule('other method', { tool: third, method: 'prompts/get' }, '0.03')
    const priceOf = async (caller: ApiCaller, name: unknown) =>
      (await caller.all('/api/v1/servers/shared/tools')).find((tool) => tool.name === name)?.price
    expect(await priceOf(member, first)).toEqual({
      ruleId: one.ruleId,
      version: 1,
      name: 'one tool',
      currency: 'USD',
      price: { perCall: '0.01' },
      billOn: ['success'],
      text: '0.01 USD per call',
    })
    expect(await priceOf(member, second)).toMatchObject({ price: { perCall: '0.02' } })
    expect(await priceOf(auditor, second)).toBeNull()
    expect(await priceOf(member, third)).toBeNull()
    await api.rules.change(one.ruleId, { price: { perCall: '0.05' } })
    expect(await priceOf(member, first)).toMatchObject({ version: 2, price: { perCall: '0.05' } })
  })

  test('tools come in pages, each once and in the order of the server', async () => {
    const all = (await member.all('/api/v1/servers/shared/tools')).map(({ name }) => name)
    const names: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await member.ok(
        'GET',
        `/api/v1/servers/shared/tools?limit=4${cursor && `&cursor=${cursor}`}`,
      )
      names.push(...page.items.map(({ name }: { name: string }) => name))
      cursor = page.nextCursor
    }
    expect(names).toEqual(all)
    expect(new Set(names).size).toBe(names.length)
  })
})
