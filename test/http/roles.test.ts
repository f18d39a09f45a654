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

beforeAll(async () => {
  api = await startApi()
  for (const role of ['member', 'auditor', 'operator', 'admin'] as const) as[role] = await api.user(role, role)
  const { key } = await as.admin?.ok('POST', '/api/v1/keys', { name: 'key' })
  as['key of admin'] = new ApiCaller(api.url, key)
  as.nobody = api.anonymous
  victim = await api.user('victim', 'operator')
  const transport = { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' }
  await victim.ok('POST', '/api/v1/servers', { name: 'open', access: 'authenticated', transport })
  await victim.ok('POST', '/api/v1/servers', { name: 'hidden', transport })
  victimKey = (await victim.ok('POST', '/api/v1/keys', { name: 'his' })).id
  victimSession = (await victim.ok('POST', '/api/v1/servers/open/sessions')).id
})
afterAll(() => api.stop())

interface Row {
  readonly ask: readonly [method: string, path: () => string, body?: () => unknown]
  /** Statuses in the order of `callers`. */
  readonly status: readonly number[]
}

let made = 0
const user = () => `/api/v1/users/${victim.userId}`
const newUser = () => ({ username: `made-${++made}`, password })
const newServer = () => ({
  name: `made-${++made}`,
  transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' },
})
const at = (path: string) => () => `/api/v1${path}`

const rows: Row[] = [
  { ask: ['GET', at('/me')], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', at('/users')], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['POST', at('/users'), newUser], status: [401, 403, 403, 403, 201, 403] },
  { ask: ['GET', user], status: [401, 403, 200, 403, 200, 200] },
  { ask: ['PATCH', user, () => ({ email: null })], status: [401, 403, 403, 403, 200, 403] },
  { ask: ['POST', at('/keys'), () => ({ name: 'k' })], status: [401, 201, 201, 201, 201, 403] },
  { ask: ['GET', at('/keys')], status: [401, 200, 200, 200, 200, 403] },
  { ask: ['GET', at('/keys?user=*')], status: [401, 403, 403, 403, 200, 403] },
  { ask: ['POST', () => `/api/v1/keys/${victimKey}/rotate`], status: [401, 404, 404, 404, 404, 403] },
  { ask: ['GET', at('/servers')], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['POST', at('/servers'), newServer], status: [401, 403, 403, 201, 201, 201] },
  { ask: ['GET', at('/servers/hidden')], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['GET', at('/servers/open')], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', at('/servers/hidden/status')], status: [401, 404, 200, 404, 200, 200] },
  {
    ask: ['PATCH', at('/servers/open'), () => ({ description: 'x' })],
    status: [401, 403, 403, 403, 200, 200],
  },
  {
    ask: ['PATCH', at('/servers/hidden'), () => ({ description: 'x' })],
    status: [401, 404, 403, 404, 200, 200],
  },
  {
    ask: ['PUT', at('/servers/open/status'), () => ({ status: 'active' })],
    status: [401, 403, 403, 403, 200, 200],
  },
  { ask: ['POST', at('/servers/open/test-connection')], status: [401, 403, 403, 403, 200, 200] },
  { ask: ['GET', at('/servers/open/tools')], status: [401, 502, 502, 502, 502, 502] },
  { ask: ['POST', at('/servers/open/sessions')], status: [401, 201, 201, 201, 201, 201] },
  { ask: ['POST', at('/servers/hidden/sessions')], status: [401, 404, 403, 404, 201, 201] },
  { ask: ['GET', at('/sessions')], status: [401, 200, 200, 200, 200, 200] },
  { ask: ['GET', () => `/api/v1/sessions/${victimSession}`], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['GET', () => `/api/v1/sessions/${victimSession}/status`], status: [401, 404, 200, 404, 200, 200] },
  { ask: ['DELETE', () => `/api/v1/sessions/${victimSession}`], status: [401, 404, 403, 404, 204, 204] },
  { ask: ['DELETE', () => `/api/v1/keys/${victimKey}`], status: [401, 404, 404, 404, 204, 403] },
  { ask: ['DELETE', at('/servers/hidden')], status: [401, 404, 403, 404, 204, 404] },
  { ask: ['DELETE', user], status: [401, 403, 403, 403, 204, 403] },
  { ask: ['GET', () => '/.well-known/jwks.json'], status: [200, 200, 200, 200, 200, 200] },
  { ask: ['POST', at('/auth/logout')], status: [401, 204, 204, 204, 204, 204] },
]

test.each(rows.map((row) => [`${row.ask[0]} ${String(row.ask[1])}`, row] as const))(
  '%s answers by role',
  async (_name, { ask, status }) => {
    const [method, path, body] = ask
    const answers: [Caller, number][] = []
    for (const caller of callers) {
      const answer = await as[caller]?.call(method, path(), body?.())
      answers.push([caller, answer?.status ?? 0])
    }
    expect(answers).toEqual(callers.map((caller, index) => [caller, status[index]]))
  },
)
