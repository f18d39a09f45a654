// Guarantees of the billing API, over a socket: shapes of the contract, who sees what, and live costs.
import { clientAddresses } from '../../src/http/client-address.ts'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildTopUps } from '../../src/assembly/top-ups.ts'
import { ManualClock } from '../../src/base/clock.ts'
import { formatCallId } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { verify } from '../../src/billing/verify.ts'
import { createApi, type Api } from '../../src/http/api/api.ts'
import { billingRoutes } from '../../src/http/api/billing/routes.ts'
import { documentOf } from '../../src/http/api/routes.ts'
import { looseBodies } from '../../src/http/openapi.ts'
import { StoredIdempotency } from '../../src/idempotency/store.ts'
import type { Principal, Role } from '../../src/identity/principal.ts'
import { Revocations } from '../../src/identity/revocations.ts'
import { openInvoices } from '../harness/invoices.ts'
import { memoryAudit } from '../harness/audit.ts'
import { openOutbox } from '../harness/outbox.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'

let money: Money
let api: Api
let base: string
let closeServer: () => void
const revocations = new Revocations(silentLog)
const callers = new Map<string, Principal>()
const store = { ready: true, droppedBeforeMs: 0 }

/** `ses_NAME` is the session of the caller NAME. */
function sessionOf(id: string) {
  const accountId = callers.get(id.slice('ses_'.length))?.accountId
  return accountId === undefined
    ? undefined
    : { accountId, createdAtMs: 0, expiresAtMs: Date.UTC(2030, 0, 1) }
}

beforeAll(async () => {
  money = await openMoney({ startMs: Date.UTC(2026, 6, 31, 23, 30) })
  const { rules, drafts, books, ledger, budgets, accounts, events, queries, clock, audited, settled } = money
  for (const [name, role] of [
    ['ann', 'member'],
    ['bob', 'member'],
    ['root', 'admin'],
    ['eye', 'auditor'],
  ] as const)
    callers.set(name, await caller(name, role))
  const routes = billingRoutes({
    ...openInvoices(money),
    rules,
    drafts,
    books,
    registry: { all: () => [] },
    catalogues: { get: () => Promise.reject(new Error('there is no server')) },
    ledger,
    budgets,
    accounts,
    events,
    queries,
    clock,
    ...openOutbox(money),
    ...buildTopUps({ config: { billing: {} }, db: money.db, clock, ledger }),
    revocations,
    findSubjects: async () => [],
    onSettled: (listener) => settled.listen(listener),
    findAccountId: async (userId) => [...callers.values()].find((each) => each.userId === userId)?.accountId,
    verify: (signal) => verify({ ...audited, rules, signal }),
    isStoreReady: () => store.ready,
    isDropped: (timeMs) => timeMs < store.droppedBeforeMs,
    sessionStore: { find: async (id) => sessionOf(id) },
    publicUrl: () => 'http://gateway.test',
    adminUrl: () => 'http://gateway.test',
    costStreams: { keepAliveMs: 20, maxStreams: 2, maxQueued: 3 },
  })
  expect(looseBodies(documentOf(routes))).toEqual([])
  const keyring = new Keyring(derivedKeys(Buffer.alloc(32, 7)))
  api = await createApi({
    clientAddress: clientAddresses([]),
    routes,
    log: silentLog,
    idempotency: new StoredIdempotency(money.db, {
      seal: keyring,
      mac: (text) => keyring.fingerprintMac(text),
      clock: new ManualClock(),
    }),
    audit: memoryAudit(),
    maxBodyBytes: 100_000,
    maxDepth: 20,
    authenticate: (request) => callers.get(String(request.headers['x-api-key'])),
    authenticateBrowser: () => undefined,
    publicUrl: () => 'http://gateway.test',
    checkAnswers: true,
  })
  const server = createServer((request, response) => api.handle(request, response))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/billing`
  closeServer = () => {
    server.close()
    server.closeAllConnections()
  }
})
afterAll(async () => {
  api.endStreams()
  closeServer()
  await api.close()
  await money.close()
})

async function caller(name: string, role: Role): Promise<Principal> {
  const userId = `usr_${name}`
  return { userId, username: name, roles: [role], accountId: await money.addAccount(userId), via: 'token' }
}

interface Reply {
  status: number
  headers: Headers
  body: any // oxlint-disable-line typescript/no-explicit-any
}

async function ask(who: string | undefined, target: string, body?: unknown, method?: string): Promise<Reply> {
  const response = await fetch(base + target, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(who !== undefined && { 'x-api-key': who }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  }
}

const accountOf = (name: string): string => callers.get(name)?.accountId ?? ''
const callAs = (name: string, more: object = {}) =>
  money.call({ userId: `usr_${name}`, accountId: accountOf(name), ...more })

describe('rules', () => {
  test('an administrator makes, changes and retires a rule; its versions stay', async () => {
    const made = await ask('root', '/rules', {
      name: 'weather',
      currency: 'USD',
      match: { server: 'weather', method: 'tools/call' },
      price: { perCall: '0.01', perKb: '0.002' },
    })
    expect(made).toMatchObject({
      status: 201,
      body: { version: 1, active: true, billOn: ['success'], priority: 0 },
    })
    const target = `/rules/${made.body.id}`
    expect(made.headers.get('location')).toBe(`/api/v1/billing${target}`)
    const other = await ask('root', '/rules', {
      name: 'off',
      currency: 'USD',
      active: false,
      price: { perCall: '9' },
    })
    const changed = await ask('root', target, { price: { perCall: '0.02' } }, 'PATCH')
    expect(changed.body).toMatchObject({ version: 2, price: { perCall: '0.02' } })
    await ask('root', target, { price: { perCall: '0.01', perKb: '0.002' } }, 'PATCH')
    expect(
      (await ask('eye', `${target}/versions?limit=2`)).body.items.map(
        (rule: { price: object }) => rule.price,
      ),
    ).toEqual([{ perCall: '0.01', perKb: '0.002' }, { perCall: '0.02' }])
    expect(await ask('root', `/rules/${other.body.id}`, undefined, 'DELETE')).toMatchObject({ status: 204 })
    expect(await ask('root', `/rules/${other.body.id}`)).toMatchObject({ status: 404 })
    expect((await ask('root', `/rules/${other.body.id}/versions`)).body.items).toHaveLength(1)
    expect((await ask('root', '/rules')).body.items.map(({ id }: { id: string }) => id)).toEqual([
      made.body.id,
    ])
  })

  test('a member neither reads nor makes rules', async () => {
    for (const answer of [
      await ask('ann', '/rules'),
      await ask('ann', '/rules', { name: 'x', currency: 'USD', price: { perCall: '0' } }),
      await ask('ann', '/rules/rul_01h00000000000000000000000', undefined, 'DELETE'),
    ])
      expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  })

  test.each([
    [{ name: 'x', currency: 'USD', price: { perCall: 0.01 } }, '/price/perCall'],
    [{ name: 'x', currency: 'USD', price: { perCall: '1', perMile: '1' } }, '/price/perMile'],
    [{ name: 'x', currency: 'usd', price: { perCall: '1' } }, '/currency'],
    [{ name: 'x', currency: 'USD', price: { perCall: '1' }, surprise: 1 }, '/surprise'],
  ])('the rule %j is refused, naming the field', async (body, field) => {
    const { status, body: problem } = await ask('root', '/rules', body)
    expect(status).toBe(400)
    expect(problem.errors.map((error: { field: string }) => error.field)).toContain(field)
  })

  test('a price whose steps do not add up is refused where the fault is', async () => {
    const step = (upTo: string | null) => ({ upTo, unitPrice: '1' })
    const tiers = { mode: 'graduated', unit: 'call', period: 'month', steps: [step('2'), step('3')] }
    const faulty = await ask('root', '/rules', { name: 'x', currency: 'USD', price: { tiers } })
    expect([faulty.status, faulty.body.errors]).toEqual([
      400,
      [{ field: '/price/tiers/steps/1/upTo', message: expect.stringMatching(/last step/) }],
    ])
    const misspelt = await ask('root', '/rules', { name: 'x', currency: 'USD', price: { teirs: tiers } })
    expect(misspelt.body.errors).toEqual([{ field: '/price/teirs', message: 'unknown field' }])
  })

  test('a quote is exact and unrounded', async () => {
    const { body } = await ask('ann', '/quote', {
      price: { perCall: '.001'.padStart(5, '0'), perKb: '0.0005', perSecond: '0.01' },
      usage: { calls: '1', kb: '2', seconds: '0.25' },
    })
    expect(body).toMatchObject({ amount: '0.0045', currency: 'USD' })
    expect(body.lines.map((line: { amount: string }) => line.amount)).toEqual(['0.001', '0.001', '0.0025'])
  })

  test('the choice of a rule is explained, to a member without the prices of others', async () => {
    const special = await ask('root', '/rules', {
      name: 'only bob',
      currency: 'USD',
      match: { user: 'usr_bob' },
      price: { perCall: '0.5' },
    })
    const call = { server: 'weather', method: 'tools/call', tool: 'forecast' }
    const own = await ask('ann', '/explain', call)
    expect(own.body.rule).toMatchObject({ name: 'weather', version: 3 })
    expect(own.body.price).toEqual({ perCall: '0.01', perKb: '0.002' })
    expect(own.body.candidates.map((one: { name: string }) => one.name)).toEqual(['weather'])
    const asAdmin = await ask('root', '/explain', { ...call, userId: 'usr_ann' })
    expect(asAdmin.body.candidates).toMatchObject([{ name: 'weather' }, { name: 'only bob', matched: false }])
    expect(
      (await ask('root', '/explain', { ...call, userId: 'usr_bob', server: 'none' })).body.rule.name,
    ).toBe('only bob')
    expect((await ask('ann', '/explain', { ...call, at: '2020-01-01T00:00:00Z' })).body).toEqual({
      candidates: [],
    })
    const [stranger, nobody] = [
      await ask('ann', '/explain', { ...call, userId: 'usr_bob' }),
      await ask('ann', '/explain', { ...call, userId: 'usr_nobody' }),
    ]
    expect(withoutId(stranger)).toEqual(withoutId(nobody))
    expect(stranger.status).toBe(404)
    await ask('root', `/rules/${special.body.id}`, undefined, 'DELETE')
  })
})

const withoutId = ({ status, body }: Reply): unknown => ({ status, body: { ...body, requestId: '' } })

describe('usage', () => {
  test('a record has every field of the contract, and alone its price and how the cost was made', async () => {
    const { record } = await callAs('ann', {
      keyId: 'key_1',
      sessionId: 'ses_ann',
      responseBytes: 824,
      durationMs: 12.5,
      idempotencyKey: 'k1',
    })
    const { body } = await ask('ann', `/usage/${formatCallId(record.id)}`)
    expect(body).toEqual({
      id: formatCallId(record.id),
      time: '2026-07-31T23:30:00.000Z',
      userId: 'usr_ann',
      accountId: accountOf('ann'),
      keyId: 'key_1',
      sessionId: 'ses_ann',
      serverId: 'srv_1',
      server: 'weather',
      method: 'tools/call',
      tool: 'forecast',
      transport: 'streamable-http',
      upstreamTransport: 'streamable-http',
      era: 'modern',
      upstreamEra: 'modern',
      outcome: 'success',
      statusCode: 200,
      requestBytes: 200,
      responseBytes: 824,
      durationMs: 12.5,
      cost: '0.012',
      currency: 'USD',
      ruleId: record.ruleId,
      ruleVersion: 3,
      priced: true,
      clientIp: '127.0.0.1',
      userAgent: 'test/1',
      clientInfo: 'probe/2',
      idempotencyKey: 'k1',
      price: { perCall: '0.01', perKb: '0.002' },
      breakdown: [
        { component: 'perCall', quantity: '1', unitPrice: '0.01', amount: '0.01' },
        { component: 'perKb', quantity: '1', unitPrice: '0.002', amount: '0.002' },
      ],
    })
  })

  test('a record that is no longer kept says so, whoever asks and whether or not it ever was', async () => {
    const [known, unknown] = ['use_0000000000000', formatCallId(77n)]
    store.droppedBeforeMs = Date.UTC(2024, 0, 2)
    for (const who of ['ann', 'eye'])
      for (const id of [known, unknown]) {
        const { status, body } = await ask(who, `/usage/${id}`)
        expect(status).toBe(404)
        expect(body.detail).toMatch(/no longer kept/)
      }
    store.droppedBeforeMs = 0
    expect((await ask('ann', `/usage/${known}`)).body.detail).not.toMatch(/no longer kept/)
  })

  test('a caller sees its own calls only, an auditor all; a stranger looks as if nothing were there', async () => {
    const bobs = await callAs('bob', { sessionId: 'ses_bob', outcome: 'tool_error' })
    const list = async (who: string, query = ''): Promise<string[]> =>
      (await ask(who, `/usage?${query}`)).body.items.map((item: { userId: string }) => item.userId)
    expect(await list('ann')).toEqual(['usr_ann'])
    expect(await list('ann', 'user=usr_bob')).toEqual([])
    expect(await list('ann', `account=${accountOf('bob')}`)).toEqual([])
    expect(await list('eye')).toEqual(['usr_bob', 'usr_ann'])
    expect(await list('root', 'user=usr_bob')).toEqual(['usr_bob'])
    const id = formatCallId(bobs.record.id)
    expect(withoutId(await ask('ann', `/usage/${id}`))).toEqual(
      withoutId(await ask('ann', '/usage/use_0000000000000')),
    )
    expect(await ask('ann', `/usage/${id}`)).toMatchObject({ status: 404 })
    expect((await ask('eye', `/usage/${id}`)).body).toMatchObject({
      cost: '0',
      breakdown: [],
      outcome: 'tool_error',
    })
    const [stranger, unknown] = [
      await ask('ann', '/usage/session/ses_bob'),
      await ask('ann', '/usage/session/ses_x'),
    ]
    expect(stranger.status).toBe(404)
    expect(withoutId(stranger)).toEqual(withoutId(unknown))
    expect((await ask('bob', '/usage/session/ses_bob')).body).toMatchObject({
      sessionId: 'ses_bob',
      items: [{ id }],
      totals: { totalCalls: 1, failedCalls: 1, totalCost: '0' },
    })
    const summary = await ask('ann', `/usage/summary?groupBy=user&account=${accountOf('bob')}`)
    expect(summary.body).toMatchObject({ totalCalls: 0, totalCost: '0', groups: [] })
  })

  test('pages go on by their cursor, and a wrong one is refused', async () => {
    const first = await ask('root', '/usage?limit=1')
    const second = await ask('root', `/usage?limit=1&cursor=${first.body.nextCursor}`)
    expect([first.body.items[0].userId, second.body.items[0].userId]).toEqual(['usr_bob', 'usr_ann'])
    expect(second.body.nextCursor).toBeNull()
    const wrong = Buffer.from('["1 or 1=1"]').toString('base64url')
    expect(await ask('root', `/usage?cursor=${wrong}`)).toMatchObject({ status: 400 })
  })

  test('a summary has the totals and the groups that were asked for', async () => {
    const { body } = await ask('eye', '/usage/summary?groupBy=user,day,outcome&timeZone=Europe/Berlin')
    expect(body).toMatchObject({
      periodStart: '2026-07-31T23:30:00.000Z',
      totalCalls: 2,
      successfulCalls: 1,
      failedCalls: 1,
      totalCost: '0.012',
      averageCostPerCall: '0.006',
      currency: 'USD',
      requestBytes: 400,
    })
    expect(body.groups).toMatchObject([
      { user: 'usr_ann', day: '2026-08-01', outcome: 'success', calls: 1, failedCalls: 0, cost: '0.012' },
      { user: 'usr_bob', day: '2026-08-01', outcome: 'tool_error', calls: 1, failedCalls: 1, cost: '0' },
    ])
  })

  test.each([
    'groupBy=colour',
    'timeZone=Mars',
    'from=yesterday',
    'outcome=great',
    'surprise=1',
    'from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z',
  ])('a summary with %s is refused', async (query) => {
    expect(await ask('eye', `/usage/summary?${query}`)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    })
  })
})

describe('accounts', () => {
  test('credit is granted, spent, and seen in balance, grants and ledger', async () => {
    const target = `/accounts/${accountOf('ann')}`
    expect(
      (await ask('root', target, { mode: 'prepaid', timeZone: 'Europe/Berlin' }, 'PATCH')).body,
    ).toMatchObject({
      mode: 'prepaid',
      timeZone: 'Europe/Berlin',
    })
    const grant = await ask('root', `${target}/grants`, { amount: '25.00', reason: 'welcome' })
    expect(grant).toMatchObject({
      status: 201,
      body: { amount: '25', currency: 'USD', createdBy: 'usr_root' },
    })
    await callAs('ann', { responseBytes: 824 })
    expect((await ask('ann', target)).body).toMatchObject({
      ownerId: 'usr_ann',
      kind: 'user',
      balance: '24.976',
      held: '0',
      granted: '25',
      spent: '0.024',
      expired: '0',
    })
    expect((await ask('ann', `${target}/grants`)).body.items).toMatchObject([{ id: grant.body.id }])
    const first = (await ask('ann', `${target}/ledger?limit=2`)).body
    expect(first.items).toMatchObject([
      { kind: 'charge', amount: '0.012' },
      { kind: 'grant', amount: '25' },
    ])
    const rest = (await ask('ann', `${target}/ledger?limit=2&cursor=${first.nextCursor}`)).body
    expect(rest.items).toMatchObject([{ kind: 'charge', amount: '0.012' }])
    const call = await ask('ann', `/usage/${first.items[0].callId}`)
    expect(call.body.cost).toBe('0.012')
  })

  test.each([
    [{ amount: 25 }, '/amount'],
    [{ amount: '0' }, '/amount'],
    [{ amount: '-5' }, '/amount'],
    [{ amount: '1.0000000001' }, '/amount'],
    [{ amount: '1e3' }, '/amount'],
    [{ amount: '100000000.1' }, '/amount'],
    [{ amount: '1', expiresAt: '2026-07-31T23:00:00Z' }, '/expiresAt'],
    [{ amount: '1', colour: 'red' }, '/colour'],
    [{}, '/amount'],
  ])('the grant %j is refused, naming the field', async (body, field) => {
    const before = await ask('root', `/accounts/${accountOf('bob')}`)
    const { status, body: problem } = await ask('root', `/accounts/${accountOf('bob')}/grants`, body)
    expect(status).toBe(400)
    expect(problem.errors).toMatchObject([{ field }])
    expect((await ask('root', `/accounts/${accountOf('bob')}`)).body).toEqual(before.body)
  })

  test('a correction is shown in the ledger with its reason and the record that it puts right', async () => {
    const target = `/accounts/${accountOf('bob')}`
    const { record } = await callAs('bob', { responseBytes: 824 })
    const callId = formatCallId(record.id)
    const input = { amount: '0.002', reason: 'the answer was wrong', record: callId }
    expect((await ask('bob', `${target}/adjustments`, input)).status).toBe(403)
    const { status, body } = await ask('root', `${target}/adjustments`, input)
    expect({ status, body }).toMatchObject({ status: 201, body: { ...input, createdBy: 'usr_root' } })
    const [newest] = (await ask('bob', `${target}/ledger?limit=1`)).body.items
    expect(newest).toMatchObject({
      kind: 'adjustment',
      amount: '0.002',
      reason: input.reason,
      adjustmentId: body.id,
      callId,
    })
    for (const [wrong, field] of [
      [{ ...input, amount: '0' }, '/amount'],
      [{ amount: '1' }, '/reason'],
      [{ ...input, record: 'use_0000000000000' }, '/record'],
    ] as const)
      expect(await ask('root', `${target}/adjustments`, wrong)).toMatchObject({
        status: 400,
        body: { errors: [{ field }] },
      })
  })

  test('a member reads its own account only, and changes none: not even its own way of paying', async () => {
    expect((await ask('bob', '/accounts')).body.items.map(({ id }: { id: string }) => id)).toEqual([
      accountOf('bob'),
    ])
    expect((await ask('eye', '/accounts?limit=3')).body.items).toHaveLength(3)
    for (const part of ['', '/grants', '/ledger']) {
      const [stranger, unknown] = [
        await ask('bob', `/accounts/${accountOf('ann')}${part}`),
        await ask('bob', `/accounts/acc_00000000000000000000000000${part}`),
      ]
      expect(stranger.status).toBe(404)
      expect(withoutId(stranger)).toEqual(withoutId(unknown))
    }
    expect(await ask('bob', `/accounts/${accountOf('bob')}`, { mode: 'postpaid' }, 'PATCH')).toMatchObject({
      status: 403,
    })
    expect(await ask('bob', `/accounts/${accountOf('bob')}/grants`, { amount: '5' })).toMatchObject({
      status: 403,
    })
    expect(await ask('eye', `/accounts/${accountOf('bob')}/grants`, { amount: '5' })).toMatchObject({
      status: 403,
    })
    expect(await ask(undefined, '/accounts')).toMatchObject({ status: 401 })
  })
})

describe('costs', () => {
  test("the current cost is that of the month in the account's time zone", async () => {
    // Half past eleven in UTC is August in Berlin already, so all calls are of that month.
    const own = await ask('ann', '/cost/current')
    expect(own.body).toMatchObject({
      userId: 'usr_ann',
      accountId: accountOf('ann'),
      currentCost: '0.024',
      currency: 'USD',
      period: { start: '2026-07-31T22:00:00.000Z', end: '2026-08-31T22:00:00.000Z' },
      balance: '24.976',
      held: '0',
    })
    expect((await ask('eye', '/cost/current?userId=usr_ann')).body).toEqual(own.body)
    const [stranger, unknown] = [
      await ask('bob', '/cost/current?userId=usr_ann'),
      await ask('bob', '/cost/current?userId=usr_nobody'),
    ]
    expect(stranger.status).toBe(404)
    expect(withoutId(stranger)).toEqual(withoutId(unknown))
  })

  /** Reads a stream until the text matches. */
  async function listen(who: string, query = '') {
    const abort = new AbortController()
    const headers = { 'x-api-key': who }
    const response = await fetch(`${base}/cost/stream${query}`, { headers, signal: abort.signal })
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    return {
      until: async (pattern: RegExp): Promise<string> => {
        while (!pattern.test(text)) {
          const { done, value } = (await reader?.read()) ?? { done: true }
          if (done) return `${text}<end>`
          text += value
        }
        return text
      },
      close: () => abort.abort(),
    }
  }

  test('a stream tells of each own call with the new balance, and keeps the connection alive', async () => {
    const stream = await listen('ann')
    await stream.until(/: connected/)
    await callAs('bob')
    const { record } = await callAs('ann', { responseBytes: 824 })
    const text = await stream.until(/event: call\n[^]*\n\n/)
    const data = JSON.parse(/data: (.*)/.exec(text)?.[1] ?? '')
    expect(data).toMatchObject({
      id: formatCallId(record.id),
      cost: '0.012',
      balance: '24.964',
      userId: 'usr_ann',
    })
    expect(text.match(/event: call/g)).toHaveLength(1)
    await stream.until(/: keep-alive/)
    stream.close()
  })

  test('an auditor hears of all; a revoked caller hears no more; there is room for so many and no more', async () => {
    const all = await listen('eye')
    await all.until(/: connected/)
    await callAs('bob')
    expect(await all.until(/usr_bob/)).toContain('usr_bob')
    const second = await listen('bob')
    await second.until(/: connected/)
    expect(await ask('ann', '/cost/stream')).toMatchObject({ status: 503, body: { code: 'overloaded' } })
    revocations.publish({ userId: 'usr_eye' })
    expect(await all.until(/never/)).toContain('<end>')
    second.close()
    expect(await ask('bob', '/cost/stream?userId=usr_ann')).toMatchObject({ status: 404 })
  })
})

describe('state', () => {
  test('the audit is for administrators and auditors, and finds nothing', async () => {
    const answers = await Promise.all([ask('root', '/verify'), ask('eye', '/verify')])
    for (const { body } of answers)
      expect(body).toMatchObject({ ok: true, differenceCount: 0, differences: [] })
    expect(answers[0]?.body.checked).toBe(7)
    expect(await ask('ann', '/verify')).toMatchObject({ status: 403 })
  })

  test('health says whether usage can be written', async () => {
    expect(await ask(undefined, '/health')).toMatchObject({
      status: 200,
      body: { status: 'ok', store: 'ok' },
    })
    store.ready = false
    expect(await ask(undefined, '/health')).toMatchObject({ status: 503, body: { store: 'unavailable' } })
    store.ready = true
  })
})
