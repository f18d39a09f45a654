// What the audit log hears of the API: every change before its answer, every refusal, and of neither a value that was sent.
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PlainSql } from '../../src/db/plain-sql.ts'
import { auditAction } from '../../src/http/api/audited.ts'
import { password, startApi, type TestApi } from '../harness/api.ts'
import { ApiCaller } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'

let api: TestApi
let admin: ApiCaller
let auditor: ApiCaller
let member: ApiCaller
beforeAll(async () => {
  api = await startApi()
  admin = await api.user('root', 'admin')
  auditor = await api.user('vera', 'auditor')
  member = await api.user('mia', 'member')
})
afterAll(() => api.stop())

// oxlint-disable-next-line typescript/no-explicit-any
const newest = async (query = ''): Promise<any> =>
  (await auditor.ok('GET', `/api/v1/audit?limit=1${query}`)).items[0]
/** The newest event of an action; what nobody waits for may come a moment later. */
const heard = (action: string, outcome: string) =>
  until(async () => {
    const event = await newest(`&action=${action}`)
    return event?.outcome === outcome ? event : undefined
  }, `${action} ${outcome}`)

test('every route that changes something has an action of nouns and a verb, and reading has none', () => {
  for (const route of api.routes) {
    const action = auditAction(route)
    // A browser that comes back from elsewhere can only get.
    if (/[/-]callback$/.test(route.path)) expect(action).toMatch(/\.create$/)
    // What was asked and answered is nobody's business unless they say so.
    else if (route.path.endsWith('/payload')) expect(action).toBe('usage.payload.read')
    else if (route.method === 'GET') expect([route.path, action]).toEqual([route.path, undefined])
    else if (action !== undefined) expect(action).toMatch(/^[a-z-]+(\.[a-z-]+)+$/)
  }
  const silent = api.routes.filter((route) => route.method !== 'GET' && auditAction(route) === undefined)
  expect(silent.map(({ path }) => path).sort()).toEqual([
    '/api/v1/access-rules/explain',
    '/api/v1/auth/passkey/options',
    '/api/v1/billing/explain',
    '/api/v1/billing/lint',
    '/api/v1/billing/quote',
    '/api/v1/billing/simulate',
    '/api/v1/me/passkeys/options',
    '/api/v1/servers/{id}/tools/{tool}/call',
    '/oauth/introspect',
  ])
})

describe('a change', () => {
  test('is in the log when its answer is there: who, what, on what, from where, and names of fields alone', async () => {
    const secret = 'S3nt1nel-in-a-body'
    const made = await admin.call('POST', '/api/v1/servers', {
      name: 'audited',
      transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp', headers: { 'X-Secret': secret } },
      auth: { type: 'bearer', token: secret },
    })
    const { id } = made.json
    const event = await newest()
    expect(event).toMatchObject({
      action: 'servers.create',
      actor: { userId: admin.userId, username: 'root', roles: ['admin'], via: 'token' },
      resource: { type: 'servers', id },
      outcome: 'success',
      status: 201,
      ip: '127.0.0.1',
      requestId: made.headers.get('x-request-id'),
      fields: ['name', 'transport', 'auth'],
      count: 1,
    })
    await admin.ok('PATCH', '/api/v1/servers/audited', { description: secret })
    expect(await newest()).toMatchObject({
      action: 'servers.update',
      resource: { type: 'servers', id },
      fields: ['description'],
    })
    await admin.ok('PUT', `/api/v1/servers/${id}/status`, { status: 'inactive' })
    expect(await newest()).toMatchObject({ action: 'servers.status.set', resource: { id } })
    await admin.ok('DELETE', `/api/v1/servers/${id}`)
    expect(await newest()).toMatchObject({ action: 'servers.delete', resource: { id }, status: 204 })
    expect(JSON.stringify(await auditor.all('/api/v1/audit'))).not.toContain(secret)
  })

  test('of a key is told from its making to its end, and what the key itself did names the key', async () => {
    const { id, key } = await admin.ok('POST', '/api/v1/keys', { name: 'ci' })
    expect(await newest()).toMatchObject({ action: 'keys.create', resource: { type: 'keys', id } })
    const byKey = new ApiCaller(api.url, key)
    const limit = await byKey.ok('POST', '/api/v1/limits', { name: 'by-key', concurrent: 5 })
    expect(await newest()).toMatchObject({
      action: 'limits.create',
      actor: { userId: admin.userId, via: 'key', keyId: id },
      resource: { type: 'limits', id: limit.id },
    })
    const rotated = await admin.ok('POST', `/api/v1/keys/${id}/rotate`, {})
    expect(await newest()).toMatchObject({ action: 'keys.rotate', resource: { type: 'keys', id } })
    await admin.ok('DELETE', `/api/v1/keys/${rotated.id}`)
    expect(await newest()).toMatchObject({ action: 'keys.delete', resource: { id: rotated.id } })
    const text = JSON.stringify(await auditor.all('/api/v1/audit'))
    for (const secret of [key, rotated.key, admin.credential]) expect(text).not.toContain(secret)
  })

  test('of what belongs to something names both', async () => {
    const grants = `/api/v1/billing/accounts/${member.accountId}/grants`
    const grant = await admin.ok('POST', grants, { amount: '5' })
    expect(await newest()).toMatchObject({
      action: 'billing.accounts.grants.create',
      resource: { type: 'accounts', id: member.accountId },
      made: grant.id,
    })
  })

  test('is told once, however often its answer is given again', async () => {
    const ask = () =>
      admin.ok('POST', '/api/v1/limits', { name: 'once', concurrent: 5 }, { 'idempotency-key': 'once' })
    const [one, two] = [await ask(), await ask()]
    expect(two).toEqual(one)
    const told = await auditor.all(`/api/v1/audit?action=limits.create&resource=${one.id}`)
    expect(told).toHaveLength(1)
  })

  test('that reads only is not told', async () => {
    const before = (await newest()).seq
    await admin.ok('POST', '/api/v1/billing/quote', { price: { perCall: '1' }, usage: { calls: '1' } })
    await admin.ok('GET', '/api/v1/users')
    expect((await newest()).seq).toBe(before)
  })
})

describe('a login', () => {
  const login = (username: string, given: string) =>
    api.anonymous.call('POST', '/api/v1/auth/authenticate', { username, password: given })

  test('is told, good or bad; a name that nobody has is not kept, since it may be a password', async () => {
    await api.user('lena', 'member')
    const good = await heard('auth.authenticate', 'success')
    expect(good).toMatchObject({ actor: { username: 'lena', userId: expect.stringMatching(/^usr_/) } })
    expect((await login('lena', 'wrong-S3nt1nel')).status).toBe(401)
    expect(await heard('auth.authenticate', 'refused')).toMatchObject({
      actor: { username: 'lena', userId: good.actor.userId },
      status: 401,
      code: 'unauthorized',
      ip: '127.0.0.1',
    })
    expect((await login('S3nt1nel-typed-too-early', 'x')).status).toBe(401)
    const events = await until(async () => {
      const found = await auditor.all('/api/v1/audit?action=auth.authenticate')
      return found.some(({ actor, outcome }) => outcome === 'refused' && !actor.userId) && found
    })
    expect(JSON.stringify(events)).not.toContain('S3nt1nel')
  })

  test('that ends is told', async () => {
    const caller = await api.user('olga', 'member')
    await caller.ok('POST', '/api/v1/auth/logout')
    expect(await newest()).toMatchObject({ action: 'auth.logout', actor: { username: 'olga' } })
    const text = JSON.stringify(await auditor.all('/api/v1/audit'))
    expect(text).not.toContain(password)
  })
})

describe('a refusal', () => {
  test('of a role is told with who it was, and of a credential with the address alone', async () => {
    expect((await member.call('POST', '/api/v1/users', { username: 'x' })).status).toBe(403)
    expect(await heard('users.create', 'refused')).toMatchObject({
      actor: { userId: member.userId, username: 'mia' },
      code: 'forbidden',
      status: 403,
    })
    expect((await member.call('GET', '/api/v1/audit')).status).toBe(403)
    expect(await heard('audit.read', 'refused')).toMatchObject({ actor: { username: 'mia' } })
    const stranger = new ApiCaller(api.url, `tb_${'0'.repeat(26)}_${'S3nt1nel'.repeat(5)}abc`)
    expect((await stranger.call('DELETE', '/api/v1/servers/anything')).status).toBe(401)
    expect(await heard('servers.delete', 'refused')).toMatchObject({
      actor: {},
      ip: '127.0.0.1',
      status: 401,
    })
  })

  test('keeps of a path what can be an id or a name, and of a body nothing', async () => {
    const secret = 'S3nt1nel_in_a_path'
    expect((await admin.call('PATCH', `/api/v1/limits/${secret}`, { name: secret })).status).toBe(404)
    expect((await admin.call('POST', '/api/v1/limits', { [secret]: secret })).status).toBe(400)
    await heard('limits.update', 'refused')
    await heard('limits.create', 'refused')
    expect(JSON.stringify(await auditor.all('/api/v1/audit'))).not.toContain(secret)
  })

  test('that comes often is summed up by caller', async () => {
    const loud = await api.user('loud', 'member')
    for (let n = 0; n < 30; n++)
      expect((await loud.call('POST', '/api/v1/secrets/rotate', {})).status).toBe(403)
    api.audit.refusals.flush()
    await api.audit.log.flush()
    const told = await auditor.all(`/api/v1/audit?actor=${loud.userId}&action=secrets.rotate`)
    expect(told.map(({ count }) => count)).toEqual([29, 1])
    expect(told[0].since).toBeDefined()
  })
})

describe('the list', () => {
  test('goes by time, actor, action and resource, in pages without gap or repetition', async () => {
    const all = await auditor.all('/api/v1/audit')
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, place) => all.length - place))
    const own = await auditor.all(`/api/v1/audit?actor=${admin.userId}&action=limits.*`)
    expect(own.length).toBeGreaterThan(1)
    for (const { actor, action } of own)
      expect([actor.userId, action.split('.')[0]]).toEqual([admin.userId, 'limits'])
    const now = new Date(api.clock.now()).toISOString()
    expect(await auditor.all(`/api/v1/audit?to=${now}`)).toEqual([])
    expect((await auditor.all(`/api/v1/audit?from=${now}`)).length).toBe(all.length)
    expect(await auditor.all('/api/v1/audit?resourceType=nothing')).toEqual([])
    for (const query of ['cursor=x', 'cursor=WyJ4Il0', 'action=%25', 'from=yesterday', 'who=me'])
      expect((await auditor.call('GET', `/api/v1/audit?${query}`)).status).toBe(400)
  })
})

describe('a log that cannot be written', () => {
  const hide = (on: boolean) =>
    new PlainSql(api.db).write(
      on
        ? sql`ALTER TABLE audit_event RENAME TO audit_hidden`
        : sql`ALTER TABLE audit_hidden RENAME TO audit_event`,
    )

  test('lets the change that is made be told as such, and no other be made until it is written down', async () => {
    await hide(true)
    const key = { 'idempotency-key': 'while-hidden' }
    const body = { name: 'told-late', concurrent: 3 }
    const first = await admin.call('POST', '/api/v1/limits', body, key)
    expect(first.status).toBe(503)
    expect(first.json).toMatchObject({
      code: 'audit_unavailable',
      detail: expect.stringContaining('was done'),
    })
    expect((await admin.ok('GET', '/api/v1/limits/told-late')).concurrent).toBe(3)
    const second = await admin.call('POST', '/api/v1/limits', { name: 'never', concurrent: 3 })
    expect(second.status).toBe(503)
    expect(second.json).toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining('nothing was done'),
    })
    expect((await admin.call('GET', '/api/v1/limits/never')).status).toBe(404)
    await hide(false)
    // Whoever repeats it gets the answer that it had, and it is in the log once.
    const again = await admin.ok('POST', '/api/v1/limits', body, key)
    const told = await auditor.all(`/api/v1/audit?resource=${again.id}`)
    expect(told.map(({ action }) => action)).toEqual(['limits.create'])
    expect((await admin.call('POST', '/api/v1/limits', { name: 'never', concurrent: 3 })).status).toBe(201)
  })
})

test('the log is verified by route, and a change of it is named', async () => {
  const verified = await auditor.ok('GET', '/api/v1/audit/verify')
  expect(verified).toMatchObject({ ok: true, differenceCount: 0, differences: [], first: 1 })
  expect(verified.last).toBe(verified.events)
  await admin.ok('POST', '/api/v1/limits', { name: 'after', concurrent: 3 })
  expect((await auditor.ok('GET', `/api/v1/audit/verify?expect=${verified.head}`)).ok).toBe(true)
  const other = verified.head.replace(/:./, ':_')
  const unlike = await auditor.ok('GET', `/api/v1/audit/verify?expect=${other}`)
  expect(unlike.differences.map(({ kind }: { kind: string }) => kind)).toEqual(['expected'])
  expect((await auditor.call('GET', '/api/v1/audit/verify?expect=1:x')).status).toBe(400)
  await new PlainSql(api.db).write(sql`UPDATE audit_event SET actor_id = 'usr_x' WHERE seq = 3`)
  const found = await auditor.ok('GET', '/api/v1/audit/verify')
  expect(found).toMatchObject({ ok: false, differences: [{ kind: 'changed', seq: 3 }] })
})
