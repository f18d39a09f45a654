// The matrix of roles and routes: every resource route, asked by everybody, answers what the table of roles says.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { password, startApi, type TestApi } from '../harness/api.ts'
import { ApiCaller } from '../harness/gateway.ts'

const callers = ['nobody', 'member', 'auditor', 'operator', 'admin', 'key of admin'] as const
type Caller = (typeof callers)[number]

let api: TestApi
const as: Partial<Record<Caller, ApiCaller>> = {}
let victim: ApiCaller
let victimKey: string
let victimSession: string
let victimInvoice: string
let webhook: string

beforeAll(async () => {
  api = await startApi()
  for (const role of ['member', 'auditor', 'operator', 'admin'] as const)
    as[role] = await api.user(role, role)
  const made = await as.admin?.ok('POST', '/api/v1/keys', { name: 'key' })
  as['key of admin'] = new ApiCaller(api.url, made.key)
  as.nobody = api.anonymous
  victim = await api.user('victim', 'operator')
  const transport = { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' }
  await victim.ok('POST', '/api/v1/servers', { name: 'open', access: 'authenticated', transport })
  await victim.ok('POST', '/api/v1/servers', { name: 'hidden', transport })
  const members = [{ server: 'open' }]
  await victim.ok('POST', '/api/v1/bundles', { name: 'open-bundle', access: 'authenticated', members })
  await victim.ok('POST', '/api/v1/bundles', { name: 'hidden-bundle', members })
  victimKey = (await victim.ok('POST', '/api/v1/keys', { name: 'his' })).id
  const month = { accountId: victim.accountId, month: '2025-01' }
  const draft = await as.admin?.ok('POST', '/api/v1/billing/invoices', month)
  victimInvoice = draft.id
  const told = await as.admin?.ok('POST', '/api/v1/billing/webhooks', newWebhook())
  webhook = told.id
  await as.admin?.ok('POST', '/api/v1/access-rules', { name: 'there', effect: 'deny', server: 'nowhere' })
  await as.admin?.ok('POST', '/api/v1/limits', { name: 'there', concurrent: 1 })
  victimSession = (await victim.ok('POST', '/api/v1/servers/open/sessions')).id
})
afterAll(() => api.stop())

interface Row {
  readonly ask: readonly [method: string, path: string, body?: () => unknown]
  /** Statuses in the order of `callers`. */
  readonly status: readonly number[]
}

let made = 0
const newUser = () => ({ username: `made-${++made}`, password })
const newServer = () => ({
  name: `made-${++made}`,
  transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' },
})
let months = 0
const newInvoice = () => ({ accountId: victim.accountId, month: `2024-${String(++months).padStart(2, '0')}` })
const newWebhook = () => ({ url: 'http://127.0.0.1:9/', kinds: ['call.settled'] })
const newAccessRule = () => ({ name: `made-${++made}`, effect: 'deny', server: 'nowhere' })
const explained = () => ({ user: victim.userId, server: 'open', item: 'x' })
const newLimit = () => ({ name: `made-${++made}`, concurrent: 1 })
const newBundle = () => ({ name: `made-${++made}`, members: [{ server: 'open' }] })
/** Names of the victim's things in a path, by what they stand for. */
const pathOf = (template: string): string =>
  template
    .replace(/^(?!\/[./])/, '/api/v1')
    .replace(/^\/\//, '/')
    .replace('{user}', victim.userId)
    .replace('{key}', victimKey)
    .replace('{session}', victimSession)
    .replace('{invoice}', victimInvoice)
    .replace('{webhook}', webhook)
    .replace('{account}', victim.accountId)

const rows: Row[] = [
  { ask: ['GET', '/settings'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['GET', '/access-rules'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', '/access-rules', newAccessRule], status: [401, 403, 403, 403, 201, 403] },
  { ask: ['POST', '/access-rules/explain', explained], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['GET', '/access-rules/there'], status: [401, 403, 200, 403, 200, 200] },
  {
    ask: ['PATCH', '/access-rules/there', () => ({ active: false })],
    status: [401, 403, 403, 403, 200, 403],
  },
  { ask: ['DELETE', '/access-rules/missing'], status: [401, 403, 403, 403, 404, 403] },
  { ask: ['GET', '/limits'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', '/limits', newLimit], status: [401, 403, 403, 403, 201, 201] },
  { ask: ['GET', '/limits/there'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['PATCH', '/limits/there', () => ({ active: false })], status: [401, 403, 403, 403, 200, 200] },
  { ask: ['DELETE', '/limits/missing'], status: [401, 403, 403, 403, 404, 404] },
  { ask: ['GET', '/secrets'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', '/secrets/rotate', () => ({})], status: [401, 403, 403, 403, 200, 403] },
  { ask: ['GET', '/audit'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['GET', '/audit/verify'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['GET', '/auth/session'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', '/me/passkeys'], status: [401, 200, 200, 200, 200, 200] },
  {
    ask: ['POST', '/me/passkeys/options', () => ({ password: 'x' })],
    status: [401, 400, 400, 400, 400, 403],
  },
  {
    ask: ['POST', '/me/passkeys', () => ({ state: 'x', response: {}, name: 'x' })],
    status: [401, 400, 400, 400, 400, 403],
  },
  { ask: ['DELETE', `/me/passkeys/psk_${'0'.repeat(26)}`], status: [401, 404, 404, 404, 404, 403] },
  { ask: ['GET', '/me'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', '/users'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', '/users', newUser], status: [401, 403, 403, 403, 201, 403] },
  { ask: ['GET', '/users/{user}'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['PATCH', '/users/{user}', () => ({ email: null })], status: [401, 403, 403, 403, 200, 403] },
  { ask: ['POST', '/keys', () => ({ name: 'k' })], status: [401, 201, 201, 201, 201, 403] },
  { ask: ['GET', '/keys'], status: [401, 200, 200, 200, 200, 403] },
  { ask: ['GET', '/keys?user=*'], status: [401, 403, 403, 403, 200, 403] },
  { ask: ['PATCH', '/keys/{key}', () => ({ suspended: false })], status: [401, 404, 404, 404, 200, 403] },
  { ask: ['POST', '/keys/{key}/rotate'], status: [401, 404, 404, 404, 404, 403] },
  { ask: ['GET', '/oauth/grants'], status: [401, 200, 200, 200, 200, 403] },
  { ask: ['GET', '/oauth/grants?user=*'], status: [401, 403, 403, 403, 200, 403] },
  { ask: ['DELETE', `/oauth/grants/ogr_${'0'.repeat(26)}`], status: [401, 404, 404, 404, 404, 403] },
  { ask: ['GET', '/oauth/clients'], status: [401, 200, 200, 200, 200, 403] },
  { ask: ['POST', '/oauth/clients', () => ({ name: 'c' })], status: [401, 201, 201, 201, 201, 403] },
  { ask: ['DELETE', `/oauth/clients/ocl_${'0'.repeat(26)}`], status: [401, 404, 404, 404, 404, 403] },
  { ask: ['POST', '//oauth/introspect'], status: [401, 400, 400, 400, 400, 400] },
  { ask: ['GET', '/servers'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['POST', '/servers', newServer], status: [401, 403, 403, 201, 201, 201] },
  { ask: ['GET', '/servers/hidden'], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['GET', '/servers/open'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', '/servers/hidden/status'], status: [401, 404, 200, 404, 200, 200] },
  {
    ask: ['PATCH', '/servers/open', () => ({ description: 'x' })],
    status: [401, 403, 403, 403, 200, 200],
  },
  {
    ask: ['PATCH', '/servers/hidden', () => ({ description: 'x' })],
    status: [401, 404, 403, 404, 200, 200],
  },
  {
    ask: ['PUT', '/servers/open/status', () => ({ status: 'active' })],
    status: [401, 403, 403, 403, 200, 200],
  },
  { ask: ['GET', '/servers/open/authorization'], status: [401, 422, 422, 422, 422, 422] },
  { ask: ['POST', '/servers/open/authorization'], status: [401, 422, 422, 422, 422, 422] },
  { ask: ['DELETE', '/servers/hidden/authorization'], status: [401, 404, 403, 404, 422, 422] },
  { ask: ['GET', '/definitions'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', '/servers/open/definitions'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['GET', '/servers/hidden/definitions'], status: [401, 404, 200, 404, 200, 200] },
  {
    ask: [
      'POST',
      '/servers/open/definitions/approve',
      () => ({ tools: [{ tool: 'x', hash: '0'.repeat(64) }] }),
    ],
    status: [401, 403, 403, 403, 404, 404],
  },
  {
    ask: ['POST', '/servers/open/definitions/withdraw', () => ({ tools: ['x'] })],
    status: [401, 403, 403, 403, 404, 404],
  },
  { ask: ['GET', '/bundles'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['POST', '/bundles', newBundle], status: [401, 403, 403, 201, 201, 201] },
  { ask: ['GET', '/bundles/hidden-bundle'], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['GET', '/bundles/open-bundle'], status: [401, 200, 200, 200, 200, 200] },
  {
    ask: ['PATCH', '/bundles/open-bundle', () => ({ description: 'x' })],
    status: [401, 403, 403, 403, 200, 200],
  },
  {
    ask: ['PATCH', '/bundles/hidden-bundle', () => ({ description: 'x' })],
    status: [401, 404, 403, 404, 200, 200],
  },
  { ask: ['DELETE', '/bundles/hidden-bundle'], status: [401, 404, 403, 404, 204, 404] },
  { ask: ['DELETE', '/servers/open/payloads'], status: [401, 403, 403, 403, 204, 204] },
  { ask: ['DELETE', '/servers/hidden/payloads'], status: [401, 403, 403, 403, 204, 204] },
  { ask: ['POST', '/servers/open/test-connection'], status: [401, 403, 403, 403, 200, 200] },
  { ask: ['GET', '/servers/open/tools'], status: [401, 502, 502, 502, 502, 502] },
  {
    ask: ['POST', '/servers/open/tools/x/call', () => ({ arguments: {} })],
    status: [401, 502, 502, 502, 502, 502],
  },
  { ask: ['POST', '/servers/open/sessions'], status: [401, 201, 201, 201, 201, 201] },
  { ask: ['POST', '/servers/hidden/sessions'], status: [401, 404, 403, 404, 201, 201] },
  { ask: ['GET', '/sessions'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', '/sessions/{session}'], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['GET', '/sessions/{session}/status'], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['DELETE', '/sessions/{session}'], status: [401, 404, 403, 404, 204, 204] },
  { ask: ['GET', '/streams'], status: [401, 200, 200, 200, 200, 200] },
  // Whose stream may be closed by whom: test/e2e/streams.test.ts.
  { ask: ['DELETE', '/streams/use_0000000000000'], status: [401, 404, 404, 404, 404, 404] },
  { ask: ['GET', '/billing/webhooks'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', '/billing/webhooks', newWebhook], status: [401, 403, 403, 403, 201, 201] },
  { ask: ['GET', '/billing/webhooks/{webhook}'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['GET', '/billing/webhooks/{webhook}/deliveries'], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', '/billing/webhooks/{webhook}/test'], status: [401, 403, 403, 403, 200, 200] },
  {
    ask: ['POST', '/billing/webhooks/{webhook}/redeliver', () => ({})],
    status: [401, 403, 403, 403, 200, 200],
  },
  {
    ask: ['POST', '/billing/webhooks/{webhook}/rotate-secret', () => ({})],
    status: [401, 403, 403, 403, 200, 200],
  },
  {
    ask: ['PATCH', '/billing/webhooks/{webhook}', () => ({ active: false })],
    status: [401, 403, 403, 403, 200, 200],
  },
  { ask: ['DELETE', '/billing/webhooks/{webhook}'], status: [401, 403, 403, 403, 204, 404] },
  { ask: ['GET', '/billing/invoices'], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['POST', '/billing/invoices', newInvoice], status: [401, 403, 403, 403, 201, 201] },
  { ask: ['GET', '/billing/invoices/{invoice}'], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['POST', '/billing/invoices/{invoice}/refresh'], status: [401, 403, 403, 403, 200, 200] },
  { ask: ['POST', '/billing/invoices/{invoice}/finalize'], status: [401, 403, 403, 403, 200, 409] },
  {
    ask: ['POST', '/billing/invoices/{invoice}/credit-notes', () => ({ amount: '1', reason: 'x' })],
    status: [401, 403, 403, 403, 422, 422],
  },
  { ask: ['GET', '/billing/invoices/{invoice}/credit-notes'], status: [401, 404, 200, 404, 200, 200] },
  {
    ask: ['POST', '/billing/invoices/{invoice}/pay', () => ({ reference: 'x' })],
    status: [401, 403, 403, 403, 200, 409],
  },
  {
    ask: ['POST', '/billing/invoices/{invoice}/void', () => ({ reason: 'x' })],
    status: [401, 403, 403, 403, 409, 409],
  },
  {
    ask: ['POST', '/billing/invoices/{invoice}/uncollectible', () => ({ reason: 'x' })],
    status: [401, 403, 403, 403, 409, 409],
  },
  { ask: ['DELETE', '/billing/invoices/{invoice}'], status: [401, 403, 403, 403, 409, 409] },
  { ask: ['GET', '/billing/accounts/{account}/billing'], status: [401, 404, 200, 404, 200, 200] },
  {
    ask: ['PATCH', '/billing/accounts/{account}/billing', () => ({ name: 'x' })],
    status: [401, 403, 403, 403, 200, 200],
  },
  { ask: ['DELETE', '/keys/{key}'], status: [401, 404, 404, 404, 204, 403] },
  { ask: ['DELETE', '/servers/hidden'], status: [401, 404, 403, 404, 204, 404] },
  { ask: ['DELETE', '/users/{user}'], status: [401, 403, 403, 403, 204, 403] },
  { ask: ['GET', '/.well-known/jwks.json'], status: [200, 200, 200, 200, 200, 200] },
  {
    ask: ['POST', '/me/password', () => ({ currentPassword: 'not this one', newPassword: 'x'.repeat(10) })],
    status: [401, 400, 400, 400, 400, 403],
  },
  { ask: ['POST', '/auth/logout'], status: [401, 204, 204, 204, 204, 204] },
  { ask: ['DELETE', '/auth/session'], status: [401, 401, 401, 401, 401, 204] },
]

test.each(rows.map((row) => [`${row.ask[0]} ${row.ask[1]}`, row] as const))(
  '%s answers by role',
  async (_name, { ask, status }) => {
    const [method, path, body] = ask
    const answers: [Caller, number][] = []
    for (const caller of callers) {
      const answer = await as[caller]?.call(method, pathOf(path), body?.())
      answers.push([caller, answer?.status ?? 0])
    }
    expect(answers).toEqual(callers.map((caller, index) => [caller, status[index]]))
  },
)

test('every route that needs a credential refuses who has none, before anything else', async () => {
  for (const { method, path, permission } of api.routes) {
    if (permission === 'public') continue
    for (const credential of [undefined, 'tb_wrong', 'a.b.c']) {
      const target = path.replaceAll(/\{\w+\}/g, 'x')
      const body = method === 'GET' ? undefined : '{'
      const answer = await new ApiCaller(api.url, credential).call(method, target, body)
      expect([method, path, answer.status]).toEqual([method, path, 401])
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /)
    }
  }
})

test('every route of these resources stands in the matrix', () => {
  const asked = rows.map(({ ask: [method, path] }) => `${method} ${pathOf(path).replace(/\?.*/, '')}`)
  const missing = api.routes.filter(({ method, path, permission }) => {
    const pattern = new RegExp(`^${method} ${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`)
    const elsewhere = permission === 'public' || path.startsWith('/api/v1/billing/')
    return !elsewhere && !asked.some((ask) => pattern.test(ask))
  })
  expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([])
})
