// An administration with a listener of its own: nothing of it answers where clients come in, and the other way round.
import { WebSocket } from 'ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ApiCaller } from '../harness/gateway.ts'
import {
  eras,
  essence,
  jsonHeaders,
  McpClient,
  modernHeaders,
  send,
  startBench,
  toolCall,
  type Bench,
  type RawAnswer,
} from './bench.ts'

interface Operation {
  readonly method: string
  readonly path: string
}

let bench: Bench
let open: string
let admin: string
let operations: Operation[]
let sessionId: string

const publicUrl = 'https://tolls.example'
const adminUrl = 'https://inside.example'
const metricsToken = 'token-of-the-metrics'

beforeAll(async () => {
  bench = await startBench({
    env: {
      TOLLBRIDGE_ADMIN_PORT: '0',
      TOLLBRIDGE_PUBLIC_URL: publicUrl,
      TOLLBRIDGE_ADMIN_PUBLIC_URL: adminUrl,
      TOLLBRIDGE_ADMIN_ALLOWED_HOSTS: 'inner.example',
      TOLLBRIDGE_HTTP_ALLOWED_HOSTS: 'outer.example',
      TOLLBRIDGE_HTTP_ALLOWED_ORIGINS: 'https://app.example',
      TOLLBRIDGE_ADMIN_ALLOWED_ORIGINS: 'https://board.example',
      TOLLBRIDGE_LOG_LEVEL: 'info',
      TOLLBRIDGE_METRICS_TOKEN: metricsToken,
    },
  })
  open = bench.gateway.url
  admin = bench.gateway.adminUrl
  const document = await bench.gateway.admin.ok('GET', '/openapi.json')
  operations = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  )
  sessionId = (await bench.b.ok('POST', '/api/v1/servers/stub/sessions')).id
})
afterAll(() => bench.stop())

const isHealth = ({ path }: Operation): boolean => path === '/livez' || path === '/readyz'
const isForClients = ({ path }: Operation): boolean => /^\/(\.well-known|oauth)\//.test(path)
const fill = (path: string): string => path.replace('{name}', 'stub').replaceAll(/\{\w+\}/g, 'missing')

/** What each listener says of an address that nobody ever had. */
const unknown = '/there/is/no/such/route'

function ask(url: string, { method, path }: Operation, credential?: string): Promise<RawAnswer> {
  const headers = {
    ...jsonHeaders,
    ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
  }
  return send(url, { method, path, headers, body: method === 'GET' ? '' : '{}' })
}

/** With nothing, as a member, and as the administrator. */
const credentials = (): (string | undefined)[] => [
  undefined,
  bench.a.credential,
  bench.gateway.admin.credential,
]

async function expectUnknown(url: string, operation: Operation): Promise<void> {
  for (const credential of credentials()) {
    const answer = await ask(url, operation, credential)
    const stranger = await ask(url, { ...operation, path: unknown }, credential)
    expect([operation, answer.status]).toEqual([operation, 404])
    expect([operation, essence(answer)]).toEqual([operation, essence(stranger)])
  }
}

describe('where clients come in', () => {
  test('no route of administration can be told from one that does not exist, by any method', async () => {
    const hidden = operations.filter((each) => !isHealth(each) && !isForClients(each))
    expect(hidden.length).toBeGreaterThan(100)
    const paths = new Set(hidden.map(({ path }) => fill(path)))
    for (const path of ['/', '/docs', '/openapi.json', '/metrics', '/api/v1/me', '/auth/authenticate'])
      expect(paths).toContain(path)
    for (const operation of hidden) await expectUnknown(open, { ...operation, path: fill(operation.path) })
    for (const path of paths)
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT'])
        expect([method, path, (await ask(open, { method, path })).status]).toEqual([method, path, 404])
  })

  test('no spelling of such a route reaches it', async () => {
    const credential = bench.gateway.admin.credential
    for (const path of ['/api/v1/users', '/metrics', '/openapi.json', '/docs', '/api/v1/audit'])
      for (const spelled of [
        `/${path}`,
        `${path}/`,
        path.replaceAll('/', '//'),
        path.replace('/', '/./'),
        path.replace('/', '/%2e/'),
        path.toUpperCase(),
        path.replace('a', '%61').replace('m', '%6d').replace('d', '%64'),
        `${path};x=/livez`,
        `${path}?/livez`,
        `${path}#/oauth/`,
        `/livez/..${path}`,
        `/oauth/..${path}`,
        `/oauth/%2e%2e${path}`,
        `/oauth/..%2f..${path}`,
        `/.well-known/..${path}`,
        `/mcp/..${path}`,
        `${admin}${path}`,
        `${adminUrl}${path}`,
      ]) {
        const { status, text } = await ask(open, { method: 'GET', path: spelled }, credential)
        expect([spelled, status]).toEqual([spelled, expect.toBeOneOf([400, 404])])
        expect(text).not.toMatch(/anna|tollbridge_calls_total|"openapi"/)
      }
  })

  test.each(eras)('a %s client is served, also by the endpoint of a session of the API', async (era) => {
    const byName = await new McpClient({ url: open, credential: bench.a.credential }, '/mcp/stub').ask(
      era,
      toolCall('work'),
    )
    expect([byName.status, byName.json.result?.isError ?? false]).toEqual([200, false])
    const { id, endpoints } = await bench.a.ok('POST', '/api/v1/servers/stub/sessions')
    expect(endpoints.streamableHttp).toBe(`${publicUrl}/api/v1/sessions/${id}/mcp`)
    const path = `/api/v1/sessions/${id}/mcp`
    const bySession = await new McpClient({ url: open, credential: bench.a.credential }, path).ask(
      'legacy',
      toolCall('work'),
    )
    expect(bySession.status).toBe(200)
  })

  test('metadata, login and health answer', async () => {
    const own = operations.filter((each) => isHealth(each) || isForClients(each))
    expect(own.length).toBeGreaterThan(10)
    const stranger = essence(await ask(open, { method: 'GET', path: unknown }))
    for (const { method, path } of own)
      expect([method, path, essence(await ask(open, { method, path: fill(path) }))]).not.toEqual([
        method,
        path,
        stranger,
      ])
    const metadata = await send(open, { path: '/.well-known/oauth-protected-resource/mcp/stub' })
    expect([metadata.status, metadata.json.resource]).toEqual([200, `${publicUrl}/mcp/stub`])
    expect((await send(open, { path: '/livez' })).status).toBe(200)
  })
})

describe('the listener of administration', () => {
  test('answers every route of the API, and its pages and metrics', async () => {
    const stranger = essence(await ask(admin, { method: 'GET', path: unknown }))
    for (const operation of operations.filter((each) => !isForClients(each))) {
      const answer = await ask(admin, { ...operation, path: fill(operation.path) })
      expect([operation, essence(answer)]).not.toEqual([operation, stranger])
      expect([operation, answer.status]).not.toEqual([operation, 405])
    }
    const headers = { authorization: `Bearer ${metricsToken}` }
    expect((await send(admin, { path: '/metrics', headers })).status).toBe(200)
    for (const path of ['/', '/docs', '/openapi.json', '/livez', '/readyz'])
      expect([path, (await send(admin, { path })).status]).toEqual([path, 200])
    // The console, which tells people where clients go.
    const page = await send(admin, { path: '/' })
    expect(page.text).toContain(`content="${publicUrl}"`)
  })

  test('has no MCP endpoint, no metadata and no page of login', async () => {
    for (const operation of operations.filter(isForClients))
      await expectUnknown(admin, { ...operation, path: fill(operation.path) })
    const hits = await bench.hitsDuring(async () => {
      for (const endpoint of ['/mcp', '/mcp/stub', '/mcp/none', `/api/v1/sessions/${sessionId}`])
        for (const leg of ['', '/mcp', '/sse', '/message', '/ws']) {
          // That one is the session itself, which is the API's.
          if (leg === '' && endpoint.startsWith('/api/')) continue
          for (const method of ['POST', 'GET', 'DELETE'])
            await expectUnknown(admin, { method, path: endpoint + leg })
        }
      const headers = {
        ...modernHeaders('tools/call', 'work'),
        authorization: `Bearer ${bench.a.credential}`,
      }
      expect((await send(admin, { method: 'POST', path: '/mcp/stub', headers, body: '{}' })).status).toBe(404)
    })
    expect(hits).toEqual([])
  })

  test('opens no WebSocket, where the other one does', async () => {
    const dialed = (url: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/mcp/stub/ws`, ['mcp'], {
          headers: { authorization: `Bearer ${bench.a.credential}` },
        })
        socket.once('open', () => resolve('open')).once('error', (error) => resolve(error.message))
        socket.once('open', () => socket.terminate())
      })
    expect(await dialed(open)).toBe('open')
    expect(await dialed(admin)).toContain('404')
  })

  test('a login there is good for the API, and its token for the endpoints of clients', async () => {
    const caller = await new ApiCaller(admin).login('anna', 'Member-passw0rd-anna')
    expect((await caller.ok('GET', '/api/v1/me')).username).toBe('anna')
    const client = new McpClient({ url: open, credential: caller.credential }, '/mcp/stub')
    expect((await client.ask('modern', toolCall('work'))).status).toBe(200)
  })
})

describe('each listener', () => {
  const at = (url: string, headers: Record<string, string>): Promise<RawAnswer> =>
    send(url, { path: '/api/v1/me', headers })

  test('serves its own host names alone', async () => {
    const statuses = async (url: string): Promise<object> =>
      Object.fromEntries(
        await Promise.all(
          ['tolls.example', 'outer.example', 'inside.example', 'inner.example', 'evil.example'].map(
            async (host) => [host, (await at(url, { host })).status],
          ),
        ),
      )
    const refused = { 'evil.example': 421 }
    expect(await statuses(open)).toEqual({
      'tolls.example': 404,
      'outer.example': 404,
      'inside.example': 421,
      'inner.example': 421,
      ...refused,
    })
    expect(await statuses(admin)).toEqual({
      'tolls.example': 421,
      'outer.example': 421,
      'inside.example': 401,
      'inner.example': 401,
      ...refused,
    })
  })

  test('takes its own web pages alone', async () => {
    const app = { origin: 'https://app.example' }
    const board = { origin: 'https://board.example' }
    expect((await at(admin, app)).status).toBe(403)
    expect((await at(open, board)).status).toBe(403)
    expect((await at(open, app)).status).toBe(404)
    const { status, headers } = await at(admin, board)
    expect([status, headers['access-control-allow-origin']]).toEqual([401, board.origin])
  })

  test('is named in the log; the ready line names the one for clients', () => {
    const ready = bench.gateway
      .log()
      .split('\n')
      .find((line) => line.includes('the gateway is ready'))
    expect(JSON.parse(ready ?? '{}')).toMatchObject({ url: open, adminUrl: admin })
    expect(admin).not.toBe(open)
  })
})
