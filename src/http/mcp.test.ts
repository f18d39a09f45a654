// The way to an MCP endpoint: which paths are endpoints, whose credential counts, and which hosts and pages may call.
import { clientAddresses } from './client-address.ts'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Authenticator } from '../identity/authenticate.ts'
import type { Principal } from '../identity/principal.ts'
import type { Endpoints } from '../registry/endpoints.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { HttpSse } from '../transports/http-sse.ts'
import type { StreamableHttp } from '../transports/streamable-http.ts'
import type { Target } from '../transports/target.ts'
import type { WebSockets } from '../transports/web-socket.ts'
import { alice, testServer } from '../../test/harness/calls.ts'
import { findCredential } from './credential.ts'
import { findMcpPath, McpEndpoints } from './mcp.ts'
import { originCheck, type OriginOptions } from './origins.ts'
import { HttpServer } from './server.ts'
import { memoryAudit } from '../../test/harness/audit.ts'

const withHeaders = (headers: Record<string, string | undefined>) =>
  ({ headers }) as unknown as IncomingMessage
const sessionId = `ses_${'0'.repeat(26)}`

test.each([
  ['/mcp/one', { server: 'one', leg: 'mcp' }],
  ['/mcp/one?x=/mcp/two', { server: 'one', leg: 'mcp' }],
  ['/mcp/a-1', { server: 'a-1', leg: 'mcp' }],
  [`/mcp/${'a'.repeat(64)}`, { server: 'a'.repeat(64), leg: 'mcp' }],
  [`/api/v1/sessions/${sessionId}/mcp`, { session: sessionId, leg: 'mcp' }],
  ['/mcp/one/sse', { server: 'one', leg: 'sse' }],
  ['/mcp/one/message?sessionId=x', { server: 'one', leg: 'message' }],
  ['/mcp/one/ws', { server: 'one', leg: 'ws' }],
  [`/api/v1/sessions/${sessionId}/sse`, { session: sessionId, leg: 'sse' }],
  [`/api/v1/sessions/${sessionId}/message`, { session: sessionId, leg: 'message' }],
  [`/api/v1/sessions/${sessionId}/ws`, { session: sessionId, leg: 'ws' }],
  ['/mcp/one/ws/', 'unknown'],
  ['/mcp/one/other', 'unknown'],
  ['/mcp', { server: undefined, leg: 'mcp' }],
  ['/mcp/sse', { server: undefined, leg: 'sse' }],
  ['/mcp/ws?x=1', { server: undefined, leg: 'ws' }],
  ['/mcp/message', { server: undefined, leg: 'message' }],
  ['/mcp/', 'unknown'],
  ['/mcp/one/', 'unknown'],
  ['/mcp//one', 'unknown'],
  ['/mcp/one%2f', 'unknown'],
  ['/mcp/%6fne', 'unknown'],
  ['/mcp/One', 'unknown'],
  ['/mcp/one;x=1', 'unknown'],
  ['/mcp/./one', 'unknown'],
  ['/mcp/../one', 'unknown'],
  ['/mcp/one#x', 'unknown'],
  [`/mcp/${'a'.repeat(65)}`, 'unknown'],
  ['//mcp/one', undefined],
  ['/MCP/one', undefined],
  ['/mcp%2fone', undefined],
  ['/mcpx/one', undefined],
  ['/api/mcp/one', undefined],
  ['http://other/mcp/one', undefined],
  [`/api/v1/sessions/${sessionId}/mcp/`, undefined],
  [`/api/v1/sessions/${sessionId}`, undefined],
  [`/api/v1/sessions/${sessionId.toUpperCase()}/mcp`, undefined],
  ['/', undefined],
  ['*', undefined],
  ['', undefined],
])('the path %s is %j', (url, path) => {
  expect(findMcpPath(url)).toEqual(path)
})

test.each([
  [{ authorization: 'Bearer abc' }, 'abc'],
  [{ authorization: 'bearer  abc ' }, 'abc'],
  [{ authorization: 'BEARER a b' }, 'a b'],
  [{ 'x-api-key': 'tb_1' }, 'tb_1'],
  [{ authorization: 'Bearer abc', 'x-api-key': 'tb_1' }, 'abc'],
  [{ authorization: 'Basic dXNlcg==' }, 'Basic dXNlcg=='],
  [{ authorization: 'Bearer' }, 'Bearer'],
  [{ authorization: '' }, ''],
  [{ cookie: 'token=abc' }, undefined],
  [{}, undefined],
])('the credential of %j is %s', (headers, credential) => {
  expect(findCredential(withHeaders(headers))).toBe(credential)
})

describe('Host and Origin', () => {
  const local: OriginOptions = {
    host: '127.0.0.1',
    publicUrl: undefined,
    allowedHosts: [],
    allowedOrigins: [],
  }
  const open: OriginOptions = { ...local, host: '0.0.0.0' }
  const published: OriginOptions = {
    host: '0.0.0.0',
    publicUrl: 'https://Gate.example/base',
    allowedHosts: ['inner'],
    allowedOrigins: ['https://app.example'],
  }
  const ok = undefined

  test.each([
    [local, 'localhost:8080', undefined, ok],
    [local, '127.0.0.1', undefined, ok],
    [local, '[::1]:8080', undefined, ok],
    [local, 'LOCALHOST', undefined, ok],
    [local, 'evil.example', undefined, 'host_denied'],
    [local, 'localhost.evil.example', undefined, 'host_denied'],
    [local, 'localhost@evil.example', undefined, 'host_denied'],
    [local, 'localhost.', undefined, 'host_denied'],
    [local, '', undefined, 'host_denied'],
    [local, undefined, undefined, 'host_denied'],
    [local, 'localhost', 'http://localhost:3000', ok],
    [local, 'localhost', 'http://evil.example', 'origin_denied'],
    [local, 'localhost', 'null', 'origin_denied'],
    [local, 'localhost', '', 'origin_denied'],
    [local, 'localhost', 'http://localhost.evil.example', 'origin_denied'],
    [{ ...local, host: '127.0.0.5' }, 'evil.example', undefined, 'host_denied'],
    [{ ...local, host: '127.0.0.5' }, '127.0.0.5:8080', undefined, ok],
    [{ ...local, host: '::1' }, '[::1]:1', undefined, ok],
    [{ ...local, host: '::1' }, 'evil.example', undefined, 'host_denied'],
    [open, 'anything.example:8080', undefined, ok],
    [open, 'anything.example', 'https://anything.example', ok],
    [open, 'anything.example', 'https://evil.example', 'origin_denied'],
    [open, 'a b', undefined, 'host_denied'],
    [published, 'gate.example', undefined, ok],
    [published, 'GATE.example:443', 'https://gate.example', ok],
    [published, 'inner:8080', undefined, ok],
    [published, 'evil.example', undefined, 'host_denied'],
    [published, 'localhost', undefined, 'host_denied'],
    [published, 'gate.example', 'https://app.example', ok],
    [published, 'gate.example', 'https://app.example.evil', 'origin_denied'],
    [published, 'gate.example', 'http://app.example', 'origin_denied'],
  ])('%#: host %3$s', (options, host, origin, code) => {
    expect(originCheck(options)(withHeaders({ host, origin }))?.code).toBe(code)
  })

  test.each([
    ['/livez', '10.1.2.3:8080', undefined, ok],
    ['/readyz?verbose', '10.1.2.3', undefined, ok],
    ['/readyz', '10.1.2.3', 'https://app.example', ok],
    ['/readyz', '10.1.2.3', 'http://10.1.2.3', 'origin_denied'],
    ['/readyz', '10.1.2.3', 'https://evil.example', 'origin_denied'],
    ['/readyz', 'a b', undefined, 'host_denied'],
    ['/readyz/', '10.1.2.3', undefined, 'host_denied'],
    ['/readyzz', '10.1.2.3', undefined, 'host_denied'],
    ['/x?/readyz', '10.1.2.3', undefined, 'host_denied'],
    ['/metrics', '10.1.2.3', undefined, 'host_denied'],
    ['/', '10.1.2.3', undefined, 'host_denied'],
  ])('a probe may come by address: %s at %s from %s', (url, host, origin, code) => {
    const request = { url, headers: { host, origin } } as unknown as IncomingMessage
    expect(originCheck(published)(request)?.code).toBe(code)
  })
})

describe('over a socket', () => {
  const served: Target[] = []
  const servers = [
    testServer,
    { ...testServer, id: 'srv_two', name: 'two', access: 'private' as const, ownerId: 'usr_bob' },
    {
      ...testServer,
      id: 'srv_three',
      name: 'three',
      access: 'public' as const,
      publicAccountId: 'acc_public',
    },
  ]
  const session = { id: sessionId, userId: 'usr_alice', serverId: testServer.id }
  const known: Record<string, Principal> = { alice, bob: { ...alice, userId: 'usr_bob' } }
  const { refused, refusals } = memoryAudit()
  const mcp = new McpEndpoints({
    clientAddress: clientAddresses([]),
    refusals,
    authenticator: {
      authenticate: (credential: string) =>
        credential === 'broken' ? Promise.reject(new Error('secret')) : Promise.resolve(known[credential]),
    } as unknown as Authenticator,
    endpoints: {
      findByName: (name: string | undefined) => servers.find((server) => server.name === name),
      findById: (id: string) => servers.find((server) => server.id === id),
    } as unknown as Endpoints,
    sessions: { findById: (id: string) => (id === session.id ? session : undefined) } as unknown as Sessions,
    streamableHttp: {
      handle: (_: unknown, response: { end: (text: string) => void }, target: Target) => {
        served.push(target)
        response.end(`served ${target.server.name} as ${target.principal.userId}`)
      },
    } as unknown as StreamableHttp,
    httpSse: {} as HttpSse,
    webSockets: {} as WebSockets,
    publicUrl: () => 'https://gate.example',
  })
  const http = new HttpServer({
    clientAddress: clientAddresses([]),
    limits: {
      maxHeaderBytes: 8192,
      maxHeaders: 20,
      maxConnections: 100,
      headersTimeoutMs: 1000,
      requestTimeoutMs: 2000,
      keepAliveMs: 1000,
    },
    refusals,
    originFault: originCheck({
      host: '127.0.0.1',
      publicUrl: undefined,
      allowedHosts: [],
      allowedOrigins: [],
    }),
    mcp,
    api: (_, response) => response.writeHead(404, { 'x-api': '1' }).end(),
  })
  let port: number
  beforeAll(async () => {
    port = await http.listen('127.0.0.1', 0)
  })
  afterAll(() => http.close(100))

  /** Writes raw bytes and resolves with all that comes back until the server closes, or `waitMs` of silence. */
  function raw(bytes: string, waitMs = 1500): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      let text = ''
      socket.setTimeout(waitMs, () => socket.destroy())
      socket.on('data', (chunk) => (text += chunk.toString('latin1')))
      socket.on('error', () => {})
      socket.on('close', () => resolve(text))
      socket.write(bytes, 'latin1')
    })
  }
  const ask = (path: string, headers: string[] = []): Promise<string> =>
    raw([`POST ${path} HTTP/1.1`, 'host: localhost', 'connection: close', ...headers, '', ''].join('\r\n'))
  const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)
  const statusOf = (answer: string): number => Number(answer.split(' ')[1])

  test('a valid credential reaches the server', async () => {
    expect(await ask('/mcp/one', ['authorization: Bearer alice'])).toContain('served one as usr_alice')
    expect(served.at(-1)?.client).toMatchObject({ ip: '127.0.0.1', userAgent: '' })
  })

  test.each(['/mcp/one', '/mcp/two', '/mcp/no-such', '/mcp', '/mcp/', `/api/v1/sessions/${sessionId}/mcp`])(
    'without a credential %s is a challenge that says nothing of what exists',
    async (path) => {
      const [none, wrong] = await Promise.all([ask(path), ask(path, ['authorization: Bearer x'])])
      expect([statusOf(none), statusOf(wrong)]).toEqual([401, 401])
      expect(none).toMatch(
        /www-authenticate: Bearer realm="tollbridge", resource_metadata="https:\/\/gate\.example\//i,
      )
      expect(wrong).toContain('error="invalid_token"')
      expect(bodyOf(none)).toBe(bodyOf(await ask('/mcp/never-heard-of')))
    },
  )

  test('what a caller may not use is answered as what does not exist', async () => {
    const answers = await Promise.all(
      ['/mcp/two', '/mcp/no-such'].map((path) => ask(path, ['authorization: Bearer alice'])),
    )
    expect(answers.map(statusOf)).toEqual([404, 404])
    expect(bodyOf(answers[0] ?? '')).toBe(bodyOf(answers[1] ?? ''))
    const told = refused.filter(({ code }) => code === 'not_found')
    expect(told).toMatchObject([{ actor: { userId: 'usr_alice' }, status: 404 }, { action: 'mcp.connect' }])
  })

  test("somebody else's session is answered as one that does not exist", async () => {
    const path = `/api/v1/sessions/${sessionId}/mcp`
    const other = `/api/v1/sessions/ses_${'1'.repeat(26)}/mcp`
    expect(await ask(path, ['authorization: Bearer alice'])).toContain('served one as usr_alice')
    const [own, none] = [await ask(path, ['x-api-key: bob']), await ask(other, ['x-api-key: bob'])]
    expect([statusOf(own), bodyOf(own)]).toEqual([404, bodyOf(none)])
  })

  test('a public server takes calls without a credential, but not with a wrong one', async () => {
    expect(await ask('/mcp/three')).toContain('served three as public')
    expect(served.at(-1)?.principal.accountId).toBe('acc_public')
    expect(statusOf(await ask('/mcp/three', ['x-api-key: wrong']))).toBe(401)
  })

  test('a failure while authenticating shows nothing of itself', async () => {
    const answer = await ask('/mcp/one', ['x-api-key: broken'])
    expect([statusOf(answer), answer.includes('secret')]).toEqual([500, false])
  })

  test.each(['x-forwarded-for: 127.0.0.1', 'forwarded: for=127.0.0.1', 'x-http-method-override: GET'])(
    'the header %s opens nothing',
    async (header) => expect(statusOf(await ask('/mcp/one', [header]))).toBe(401),
  )

  test('a foreign Origin is 403 and a foreign Host 421, with no Access-Control header', async () => {
    const origin = await ask('/mcp/one', ['authorization: Bearer alice', 'origin: http://evil.example'])
    const host = await raw('POST /mcp/one HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n')
    expect([statusOf(origin), statusOf(host)]).toEqual([403, 421])
    expect(refused.slice(-2).map(({ code }) => code)).toEqual(['origin_denied', 'host_denied'])
    expect(origin + host).not.toMatch(/access-control/i)
  })

  test.each([
    ['two lengths', 'content-length: 5\r\ncontent-length: 6\r\n\r\nhello'],
    ['a length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['an unknown coding', 'transfer-encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['a space before the colon', 'x-a : 1\r\n\r\n'],
    ['a folded header', 'x-a: 1\r\n 2\r\ncontent-length : 0\r\n\r\n'],
    ['a NUL in a header', 'x-a: a\0b\r\n\r\n'],
    ['a bare line feed', 'x-a: 1\nx-b: 2\r\n\r\n'],
  ])('a request with %s is 400, and what is pipelined behind it never runs', async (_, rest) => {
    const before = served.length
    const second = 'POST /mcp/three HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'
    const answer = await raw(`POST /mcp/one HTTP/1.1\r\nhost: localhost\r\n${rest}${second}`)
    expect(statusOf(answer)).toBe(400)
    expect(answer.match(/HTTP\/1\.1 /g)?.length).toBe(1)
    expect(served.length).toBe(before)
  })

  test('too many headers are 400, too large ones 431, and none at all are 400', async () => {
    const many = Array.from({ length: 30 }, (_, i) => `x-${i}: 1`)
    expect(statusOf(await ask('/mcp/three', many))).toBe(400)
    expect(statusOf(await ask('/mcp/three', [`x-a: ${'x'.repeat(9000)}`]))).toBe(431)
    expect(statusOf(await raw('POST /mcp/three HTTP/1.1\r\n\r\n'))).toBe(400)
  })

  test('a head that never ends is cut', async () => {
    const began = performance.now()
    const answer = await raw('POST /mcp/three HTTP/1.1\r\nhost: localhost\r\n', 5000)
    expect(statusOf(answer)).toBe(408)
    expect(performance.now() - began).toBeLessThan(4000)
  })
})
