// Sessions over HTTP: opening one is recorded and charged, and nobody reaches a session of somebody else.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { newId, parseCallId } from '../../src/base/id.ts'
import { parseDecimal, ledgerScale } from '../../src/base/money.ts'
import { publicUrl, refusalOf, startApi, type TestApi } from '../harness/api.ts'
import { ApiCaller } from '../harness/gateway.ts'

let api: TestApi
let admin: ApiCaller
let auditor: ApiCaller
let alice: ApiCaller
let bob: ApiCaller

beforeAll(async () => {
  api = await startApi()
  admin = await api.user('root', 'admin')
  auditor = await api.user('auditor', 'auditor')
  alice = await api.user('alice')
  bob = await api.user('bob')
  for (const [name, access] of [
    ['shared', 'authenticated'],
    ['other', 'authenticated'],
    ['private', 'private'],
  ])
    await admin.ok('POST', '/api/v1/servers', {
      name,
      access,
      transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' },
    })
})
afterAll(() => api.stop())
afterEach(() => api.sessions.closeWhere(() => true))

const open = (caller: ApiCaller, server = 'shared') =>
  caller.call('POST', `/api/v1/servers/${server}/sessions`)

describe('opening a session', () => {
  test('answers its view and the id of its record', async () => {
    const answer = await alice.call('POST', '/api/v1/servers/shared/sessions', {
      transport: 'streamable-http',
    })
    const { id } = answer.json
    expect(answer.status).toBe(201)
    expect(answer.json).toEqual({
      id: expect.stringMatching(/^ses_/),
      serverId: api.registry.findByName('shared')?.id,
      userId: alice.userId,
      transport: 'streamable-http',
      status: 'created',
      endpoints: {
        streamableHttp: `${publicUrl}/api/v1/sessions/${id}/mcp`,
        sse: `${publicUrl}/api/v1/sessions/${id}/sse`,
        message: `${publicUrl}/api/v1/sessions/${id}/message`,
        websocket: `${publicUrl.replace('http', 'ws')}/api/v1/sessions/${id}/ws`,
      },
      createdAt: expect.stringMatching(/Z$/),
      lastActiveAt: expect.stringMatching(/Z$/),
      expiresAt: expect.stringMatching(/Z$/),
    })
    expect(answer.headers.get('location')).toBe(`/api/v1/sessions/${id}`)
    expect(parseCallId(answer.headers.get('tollbridge-call-id') ?? '')).toBeTypeOf('bigint')
    expect(await alice.ok('GET', `/api/v1/sessions/${id}`)).toEqual(answer.json)
    expect(Object.keys(await alice.ok('GET', `/api/v1/sessions/${id}/status`)).toSorted()).toEqual([
      'expiresAt',
      'id',
      'lastActiveAt',
      'status',
    ])
  })

  test('twice with one idempotency key opens one, with the same record', async () => {
    const send = () =>
      alice.call('POST', '/api/v1/servers/shared/sessions', {}, { 'idempotency-key': 'once' })
    const [first, second] = [await send(), await send()]
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.json).toEqual(first.json)
    const header = 'tollbridge-call-id'
    expect(second.headers.get(header)).toBe(first.headers.get(header))
    expect(api.sessions.count).toBe(1)
  })

  test.each(['sse', 'websocket', 'stdio'])(
    'can be meant for %s; another word is refused',
    async (transport) => {
      const opened = await alice.ok('POST', '/api/v1/servers/shared/sessions', { transport })
      expect(opened.transport).toBe(transport)
      const answer = await alice.call('POST', '/api/v1/servers/shared/sessions', { transport: 'pigeon' })
      expect([answer.status, answer.json.errors[0].field]).toEqual([400, '/transport'])
    },
  )

  test('is refused beyond the limit per user, until one is closed', async () => {
    const opened = []
    for (let count = 0; count < 5; count++) opened.push((await open(alice)).json.id)
    const refused = await open(alice)
    expect([refused.status, refused.json.code]).toEqual([429, 'too_many_sessions'])
    await alice.ok('DELETE', `/api/v1/sessions/${opened[0]}`)
    expect((await open(alice)).status).toBe(201)
  })

  test('that cannot be paid is refused with its record, and leaves no session', async () => {
    const poor = await api.user('poor')
    await api.ledger.changeAccount(poor.accountId, { mode: 'prepaid' })
    const rule = await api.rules.create({
      name: 'sessions',
      currency: 'USD',
      match: { method: 'session/create', user: poor.userId },
      price: { perCall: '1' },
    })
    const refused = await open(poor)
    expect([refused.status, refused.json.code]).toEqual([402, 'balance_exhausted'])
    expect(parseCallId(refused.headers.get('tollbridge-call-id') ?? '')).toBeTypeOf('bigint')
    expect(api.sessions.count).toBe(0)
    expect((await poor.all('/api/v1/sessions')).map(({ status }) => status)).toEqual(['closed'])
    const amount = parseDecimal('1', ledgerScale) ?? 0n
    await api.ledger.grant(poor.accountId, { amount, priority: 0, createdBy: 'test' })
    expect((await open(poor)).status).toBe(201)
    expect(api.ledger.totals(poor.accountId)).toMatchObject({ balance: 0n, held: 0n })
    expect((await open(poor)).status).toBe(402)
    await api.rules.retire(rule.ruleId)
  })

  test('with a server that an auditor sees but may not use is refused', async () => {
    expect((await open(auditor, 'private')).status).toBe(403)
    expect((await open(alice, 'private')).status).toBe(404)
  })
})

describe('a session', () => {
  test('of somebody else is answered as one that never was', async () => {
    const { id } = (await open(alice)).json
    for (const [method, suffix] of [
      ['GET', ''],
      ['GET', '/status'],
      ['DELETE', ''],
    ] as const) {
      const foreign = await bob.call(method, `/api/v1/sessions/${id}${suffix}`)
      expect(foreign.status).toBe(404)
      for (const none of [newId('ses'), 'x', '%00']) {
        const answer = await bob.call(method, `/api/v1/sessions/${none}${suffix}`)
        expect(refusalOf(answer)).toEqual(refusalOf(foreign))
      }
    }
    expect(await bob.all('/api/v1/sessions')).toEqual([])
    expect((await bob.call('GET', `/api/v1/sessions?user=${alice.userId}`)).status).toBe(403)
    expect((await alice.ok('GET', `/api/v1/sessions/${id}`)).status).toBe('created')
  })

  test('is read by auditors and ended by administrators', async () => {
    const { id } = (await open(alice)).json
    const path = `/api/v1/sessions/${id}`
    for (const caller of [auditor, admin]) {
      expect((await caller.ok('GET', path)).userId).toBe(alice.userId)
      expect((await caller.all('/api/v1/sessions')).map((session) => session.id)).toContain(id)
      const hers = await caller.all(`/api/v1/sessions?user=${alice.userId}`)
      expect(hers.every(({ userId }) => userId === alice.userId)).toBe(true)
    }
    expect((await auditor.call('DELETE', path)).status).toBe(403)
    expect((await admin.call('DELETE', path)).status).toBe(204)
    expect((await alice.ok('GET', path)).status).toBe('closed')
  })

  test('stays readable after its end, and ends only once', async () => {
    const { id } = (await open(alice)).json
    const path = `/api/v1/sessions/${id}`
    expect((await alice.call('DELETE', path)).status).toBe(204)
    expect((await alice.ok('GET', `${path}/status`)).status).toBe('closed')
    expect((await alice.call('DELETE', path)).status).toBe(204)
  })

  test('is out of reach of a key that is limited to other servers', async () => {
    const [shared, other] = [(await open(alice)).json.id, (await open(alice, 'other')).json.id]
    const { key } = await alice.ok('POST', '/api/v1/keys', { name: 'limited', servers: ['other'] })
    const limited = new ApiCaller(api.url, key)
    const live = (await limited.all('/api/v1/sessions')).filter(({ status }) => status === 'created')
    expect(live.map(({ id }) => id)).toEqual([other])
    const hidden = await limited.call('DELETE', `/api/v1/sessions/${shared}`)
    expect(refusalOf(hidden)).toEqual(
      refusalOf(await limited.call('DELETE', `/api/v1/sessions/${newId('ses')}`)),
    )
    expect((await limited.call('DELETE', `/api/v1/sessions/${other}`)).status).toBe(204)
    expect((await alice.ok('GET', `/api/v1/sessions/${shared}`)).status).toBe('created')
  })
})

test('sessions come in pages, newest first, each once, live ones as they stand', async () => {
  const carol = await api.user('carol')
  const opened: string[] = []
  for (let count = 0; count < 5; count++) {
    opened.unshift((await open(carol)).json.id)
    api.clock.advance(1)
  }
  api.sessions.findById(opened[0] ?? '')?.advance('connected')
  const seen: { id: string; status: string }[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await carol.ok('GET', `/api/v1/sessions?limit=2${cursor && `&cursor=${cursor}`}`)
    seen.push(...page.items)
    cursor = page.nextCursor
  }
  expect(seen.map(({ id }) => id)).toEqual(opened)
  expect(seen[0]?.status).toBe('connected')
})
