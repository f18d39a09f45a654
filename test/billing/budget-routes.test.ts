// Guarantees of the routes of accounts, grants, budgets and events: shapes of the contract, who sees what, what is refused.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApi, type TestApi } from '../harness/api.ts'
import type { CallOrigin } from '../../src/sessions/charge.ts'
import type { ApiCaller } from '../harness/gateway.ts'
import { payOnce } from '../harness/metering.ts'

const billing = '/api/v1/billing'
let api: TestApi
let admin: ApiCaller
let auditor: ApiCaller
let ann: ApiCaller
let bob: ApiCaller

beforeAll(async () => {
  api = await startApi()
  admin = await api.user('root', 'admin')
  auditor = await api.user('eye', 'auditor')
  ann = await api.user('ann')
  bob = await api.user('bob')
  await admin.ok('POST', `${billing}/rules`, { name: 'all', currency: 'USD', price: { perCall: '1' } })
})
afterAll(() => api.stop())

/** One call of a member that costs 1; resolves once it is durable. */
const pay = ({ accountId, userId }: ApiCaller, more: Partial<CallOrigin> = {}) =>
  payOnce(api.metering, { accountId, userId, ...more })

const create = (body: object) => admin.ok('POST', `${billing}/budgets`, body)
const fieldsOf = ({ json }: { json: { errors: { field: string }[] } }) =>
  json.errors.map(({ field }) => field)

describe('accounts', () => {
  test('form a tree in the order of their kinds, and are listed by their parent', async () => {
    const org = await admin.ok('POST', `${billing}/accounts`, { kind: 'organisation', name: 'acme' })
    expect(org).toMatchObject({ kind: 'organisation', name: 'acme', mode: 'postpaid', currency: 'USD' })
    const team = await admin.ok('POST', `${billing}/accounts`, {
      kind: 'team',
      name: 'eng',
      parentId: org.id,
      mode: 'prepaid',
      timeZone: 'Europe/Berlin',
    })
    expect(team).toMatchObject({ parentId: org.id, mode: 'prepaid', timeZone: 'Europe/Berlin' })
    const moved = await admin.ok('PATCH', `${billing}/accounts/${bob.accountId}`, { parentId: team.id })
    expect(moved.parentId).toBe(team.id)
    expect((await admin.all(`${billing}/accounts?parent=${team.id}`)).map(({ id }) => id)).toEqual([
      bob.accountId,
    ])
    for (const [id, parentId] of [
      [org.id, team.id],
      [org.id, org.id],
      [team.id, bob.accountId],
      [team.id, 'acc_none'],
    ]) {
      const refused = await admin.call('PATCH', `${billing}/accounts/${id}`, { parentId })
      expect([refused.status, fieldsOf(refused)]).toEqual([400, ['/parentId']])
    }
    const root = await admin.ok('PATCH', `${billing}/accounts/${bob.accountId}`, { parentId: null })
    expect(root.parentId).toBeUndefined()
    expect((await api.ledger.reload(), api.ledger.findAccount(bob.accountId))).not.toHaveProperty('parentId')
  })

  test('below one with budgets have its currency', async () => {
    const make = (body: object) => admin.ok('POST', `${billing}/accounts`, body)
    const org = await make({ kind: 'organisation', name: 'yen', currency: 'JPY' })
    const euro = await make({ kind: 'team', name: 'euro', currency: 'EUR', parentId: org.id })
    const scope = { account: org.id }
    const refused = await admin.call('POST', `${billing}/budgets`, { scope, amount: '5', window: 'day' })
    expect([refused.status, fieldsOf(refused)]).toEqual([400, ['/scope/account']])
    await admin.ok('PATCH', `${billing}/accounts/${euro.id}`, { parentId: null })
    expect(await create({ scope, amount: '5', window: 'day' })).toMatchObject({ currency: 'JPY' })
    const back = await admin.call('PATCH', `${billing}/accounts/${euro.id}`, { parentId: org.id })
    expect([back.status, fieldsOf(back)]).toEqual([400, ['/parentId']])
    const dollars = { scope: { account: org.id }, amount: '5', window: 'day', currency: 'USD' }
    expect(fieldsOf(await admin.call('POST', `${billing}/budgets`, dollars))).toEqual(['/currency'])
  })
})

describe('grants', () => {
  test('are scheduled, shown with what is left, and taken back', async () => {
    const grants = `${billing}/accounts/${ann.accountId}/grants`
    const startsAt = new Date(api.clock.now() + 60_000).toISOString()
    const made = await admin.ok('POST', grants, { amount: '5', startsAt })
    expect(made).toMatchObject({ state: 'scheduled', remaining: '5', startsAt })
    const before = new Date(api.clock.now() + 30_000).toISOString()
    const wrong = await admin.call('POST', grants, { amount: '5', startsAt, expiresAt: before })
    expect([wrong.status, fieldsOf(wrong)]).toEqual([400, ['/expiresAt']])
    const voided = await admin.ok('POST', `${grants}/${made.id}/void`)
    expect(voided).toMatchObject({ state: 'voided', remaining: '0' })
    expect(await admin.ok('POST', `${grants}/${made.id}/void`)).toEqual(voided)
    expect((await ann.ok('GET', grants)).items).toEqual([voided])
    expect((await ann.call('POST', `${grants}/${made.id}/void`)).status).toBe(403)
    const others = `${billing}/accounts/${bob.accountId}/grants/${made.id}/void`
    expect((await admin.call('POST', others)).status).toBe(404)
    const account = await ann.ok('GET', `${billing}/accounts/${ann.accountId}`)
    expect(account).toMatchObject({ balance: '0', granted: '5', voided: '5', scheduled: '0' })
    const kinds = (await ann.ok('GET', `${billing}/accounts/${ann.accountId}/ledger`)).items
    expect(kinds.map(({ kind }: { kind: string }) => kind)).toEqual(['void', 'grant'])
  })
})

describe('budgets', () => {
  test.each([
    [{ scope: {} }, '/scope'],
    [{ scope: { user: 'ann', server: '*' } }, '/scope'],
    [{ scope: { account: '*' } }, '/scope/account'],
    [{ scope: { user: 'nobody' } }, '/scope/user'],
    [{ scope: { session: 'ses_1' } }, '/scope/session'],
    [{ amount: '0' }, '/amount'],
    [{ amount: 5 }, '/amount'],
    [{ window: 'year' }, '/window'],
    [{ window: { rollingSeconds: 59 } }, '/window/rollingSeconds'],
    [{ thresholds: ['1.1'] }, '/thresholds/0'],
    [{ thresholds: ['0.5', 0] }, '/thresholds/1'],
    [{ timeZone: 'Mars/Olympus' }, '/timeZone'],
    [{ currency: 'XYZ' }, '/currency'],
    [{ mode: 'harder' }, '/mode'],
  ])('%j is refused and named', async (wrong, field) => {
    const body = { scope: { user: 'ann' }, amount: '1', window: 'day', ...wrong }
    const refused = await admin.call('POST', `${billing}/budgets`, body)
    expect(refused.status).toBe(400)
    expect(fieldsOf(refused).some((name) => name.startsWith(field))).toBe(true)
  })

  test('are seen by those whose account they are, and by auditors', async () => {
    const made = await create({ name: "ann's", scope: { user: 'ann' }, amount: '12.50', window: 'week' })
    expect(made).toMatchObject({
      scope: { user: ann.userId },
      amount: '12.5',
      limit: '12.5',
      remaining: '12.5',
      mode: 'hard',
      thresholds: ['0.5', '0.8', '1'],
      timeZone: 'UTC',
      state: 'ok',
    })
    expect(new Date(made.windowStart).getUTCDay()).toBe(1)
    const path = `${billing}/budgets/${made.id}`
    for (const caller of [ann, admin, auditor]) expect((await caller.call('GET', path)).status).toBe(200)
    expect((await bob.call('GET', path)).status).toBe(404)
    expect((await bob.all(`${billing}/budgets`)).map(({ id }) => id)).not.toContain(made.id)
    expect((await ann.all(`${billing}/budgets`)).map(({ id }) => id)).toContain(made.id)
    for (const [caller, status] of [
      [ann, 403],
      [auditor, 403],
      [admin, 204],
    ] as const)
      expect((await caller.call('DELETE', path)).status).toBe(status)
    expect((await admin.call('GET', path)).status).toBe(404)
  })

  test('count what was spent before, stop at the amount, and go on with an increase until it ends', async () => {
    for (let n = 0; n < 3; n++) expect(await pay(bob)).toBeUndefined()
    const made = await create({
      scope: { account: 'bob' },
      amount: '4',
      window: 'month',
      thresholds: [0.75, '1'],
    })
    expect(made).toMatchObject({ spent: '3', remaining: '1', state: 'warning', thresholds: ['0.75', '1'] })
    expect([await pay(bob), await pay(bob)]).toEqual([undefined, 'budget_exhausted'])
    const path = `${billing}/budgets/${made.id}`
    expect(await admin.ok('GET', path)).toMatchObject({ spent: '4', remaining: '0', state: 'exhausted' })
    const until = new Date(api.clock.now() + 60_000).toISOString()
    const raised = await admin.ok('POST', `${path}/increase`, { amount: '1', until })
    expect(raised).toMatchObject({
      amount: '4',
      limit: '5',
      remaining: '1',
      increases: [{ amount: '1', until }],
    })
    expect([await pay(bob), await pay(bob)]).toEqual([undefined, 'budget_exhausted'])
    api.clock.advance(60_001)
    expect(await admin.ok('GET', path)).toMatchObject({
      limit: '4',
      spent: '5',
      remaining: '0',
      increases: [],
    })
    const soft = await admin.ok('PATCH', path, { mode: 'soft', name: 'watched' })
    expect(soft).toMatchObject({ mode: 'soft', name: 'watched' })
    expect(await pay(bob)).toBeUndefined()
    const past = { amount: '1', until: new Date(api.clock.now()).toISOString() }
    expect(fieldsOf(await admin.call('POST', `${path}/increase`, past))).toEqual(['/until'])
    const events = (await bob.all(`${billing}/events`)).filter(({ data }) => data.budget === made.id)
    expect(events.map(({ kind, data }) => `${kind} ${data.threshold ?? ''}`).sort()).toEqual([
      'budget.exhausted ',
      'budget.threshold 0.75',
      'budget.threshold 1',
    ])
    expect(events.every(({ accountId }) => accountId === bob.accountId)).toBe(true)
    expect((await ann.all(`${billing}/events`)).filter(({ data }) => data.budget === made.id)).toEqual([])
    expect(await ann.all(`${billing}/events?account=${bob.accountId}`)).toEqual([])
    expect((await auditor.all(`${billing}/events?account=${bob.accountId}`)).length).toBeGreaterThanOrEqual(3)
    await admin.ok('DELETE', path).catch(() => {})
  })

  test('of calls have whole numbers and no currency, and bound accounts of any', async () => {
    const org = await admin.ok('POST', `${billing}/accounts`, { kind: 'organisation', name: 'quotas' })
    const euro = await admin.ok('POST', `${billing}/accounts`, {
      kind: 'team',
      name: 'euro-quotas',
      currency: 'EUR',
      parentId: org.id,
    })
    const body = { scope: { account: org.id }, amount: '3', unit: 'calls', window: 'day' }
    const made = await create(body)
    expect(made).toMatchObject({ unit: 'calls', amount: '3', spent: '0', remaining: '3', state: 'ok' })
    expect(made).not.toHaveProperty('currency')
    const path = `${billing}/budgets/${made.id}`
    const faulty = [
      { ...body, amount: '2.5' },
      { ...body, currency: 'USD' },
      { ...body, unit: 'bytes' },
    ]
    for (const [n, field] of ['/amount', '/currency', '/unit'].entries())
      expect(fieldsOf(await admin.call('POST', `${billing}/budgets`, faulty[n]))).toEqual([field])
    expect(fieldsOf(await admin.call('PATCH', path, { amount: '1.5' }))).toEqual(['/amount'])
    const until = new Date(Date.now() + 60_000).toISOString()
    expect(fieldsOf(await admin.call('POST', `${path}/increase`, { amount: '0.5', until }))).toEqual([
      '/amount',
    ])
    await admin.ok('POST', `${path}/increase`, { amount: '2', until })
    expect(await admin.ok('PATCH', path, { amount: '4' })).toMatchObject({ amount: '4', limit: '6' })
    // One in money would want all accounts below to have its currency.
    const money = await admin.call('POST', `${billing}/budgets`, { ...body, unit: 'money' })
    expect([money.status, fieldsOf(money)]).toEqual([400, ['/scope/account']])
    await admin.ok('DELETE', path)
    await admin.ok('PATCH', `${billing}/accounts/${euro.id}`, { parentId: null })
  })

  test('for each show whoever has used most, or whom one asks for', async () => {
    const made = await create({ scope: { server: '*' }, amount: '100', window: 'lifetime', mode: 'shadow' })
    await pay(ann, { serverId: 'srv_2' })
    expect(made).toMatchObject({ subject: 'srv_1' })
    const path = `${billing}/budgets/${made.id}`
    expect(await admin.ok('GET', `${path}?subject=srv_2`)).toMatchObject({ subject: 'srv_2', spent: '1' })
    expect(await admin.ok('GET', `${path}?subject=srv_3`)).toMatchObject({ subject: 'srv_3', spent: '0' })
  })

  test('of a key are made with it, shown on it, and go with it', async () => {
    const budget = { amount: '2', window: { rollingSeconds: 3600 } }
    const key = await ann.ok('POST', '/api/v1/keys', { name: 'agent', budget })
    expect(key.budget).toMatchObject({ scope: { key: key.id }, amount: '2', mode: 'hard', name: 'agent' })
    const calls = [await pay(ann, { keyId: key.id }), await pay(ann, { keyId: key.id })]
    expect([...calls, await pay(ann, { keyId: key.id })]).toEqual([undefined, undefined, 'budget_exhausted'])
    expect(await pay(ann)).toBeUndefined()
    const [shown] = (await ann.ok('GET', '/api/v1/keys')).items
    expect(shown.budget).toMatchObject({ id: key.budget.id, spent: '2', remaining: '0', state: 'exhausted' })
    await ann.ok('DELETE', `/api/v1/keys/${key.id}`).catch(() => {})
    expect((await admin.call('GET', `${billing}/budgets/${key.budget.id}`)).status).toBe(404)
    const wrong = await ann.call('POST', '/api/v1/keys', {
      name: 'x',
      budget: { amount: '-1', window: 'day' },
    })
    expect([wrong.status, fieldsOf(wrong)]).toEqual([400, ['/budget/amount']])
  })
})
