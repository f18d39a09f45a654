// Guarantees of registrations: what is malformed or would do harm is refused, with its place and a fitting code.
import { describe, expect, test } from 'vitest'
import { GatewayError, type ErrorCode } from '../base/errors.ts'
import { parseServerInput } from './server-input.ts'
import { checkServer, type ServerRules } from './server-rules.ts'
import { serverView } from './server-view.ts'

const rules: ServerRules = { stdioAllow: ['node', '/usr/bin/python3', './evil'], checkUrl: () => {} }

function refusalOf(
  body: unknown,
  allowStdio = true,
): { code: ErrorCode; fields: string[]; text: string } | undefined {
  try {
    checkServer(parseServerInput(body), rules, allowStdio)
    return undefined
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    const text = error.message + error.fields.map(({ message }) => message).join()
    return { code: error.code, fields: error.fields.map(({ field }) => field), text }
  }
}

const http = (more: object = {}, transport: object = {}): object => ({
  name: 'a',
  transport: { type: 'streamable-http', url: 'https://example.com/', ...transport },
  ...more,
})
const stdio = (transport: object): object => ({
  name: 'a',
  transport: { type: 'stdio', command: 'node', ...transport },
})

describe('the shape of a registration', () => {
  test('is filled with defaults', () => {
    expect(parseServerInput(http())).toMatchObject({
      auth: { type: 'none' },
      access: 'private',
      sharing: 'session',
      timeouts: { connectMs: 10_000, callMs: 60_000, idleMs: 1_800_000 },
      limits: { maxResponseBytes: 16_777_216, maxConnections: 64, maxSessions: 1000 },
      reportCost: false,
    })
    expect(parseServerInput(stdio({})).transport).toMatchObject({ args: [], env: {} })
  })

  const malformed: [object | string, string][] = [
    [{ ...http(), name: 'A' }, '/name'],
    [{ ...http(), name: '-a' }, '/name'],
    [{ ...http(), name: 'a-' }, '/name'],
    [{ ...http(), name: 'a_b' }, '/name'],
    [{ ...http(), name: 'a'.repeat(65) }, '/name'],
    [{ ...http(), name: 'sse' }, '/name'],
    [{ ...http(), name: '' }, '/name'],
    [http({ nonsense: 1 }), '/nonsense'],
    [http({}, { shell: true }), '/transport/shell'],
    [http({ auth: { type: 'bearer', token: 'x', 'a/b': 1 } }), '/auth/a~1b'],
    [http({ auth: { type: 'bearer' } }), '/auth/token'],
    [http({ auth: { type: 'kerberos' } }), '/auth/type'],
    [http({ access: 'everyone' }), '/access'],
    [http({ access: 'public' }), '/account'],
    [http({ account: 'acc_1' }), '/account'],
    [http({ sharing: 'everybody' }), '/sharing'],
    [http({}, { messageUrl: 'https://example.com/' }), '/transport/messageUrl'],
    [http({}, { sessionId: { in: 'body', name: 's' } }), '/transport/sessionId/in'],
    [http({}, { sessionId: { in: 'query' } }), '/transport/sessionId/name'],
    [http({ iconUrl: 'javascript:alert(1)' }), '/iconUrl'],
    [http({ timeouts: { callMs: 0 } }), '/timeouts/callMs'],
    [http({ timeouts: { callMs: 1.5e3 + 0.5 } }), '/timeouts/callMs'],
    [http({ limits: { maxSessions: 1e9 } }), '/limits/maxSessions'],
    [stdio({ args: 'x' }), '/transport/args'],
    [stdio({ args: ['a\0b'] }), '/transport/args/0'],
    [stdio({ cwd: 'relative' }), '/transport/cwd'],
    [{ name: 'a' }, '/transport'],
    ['text', ''],
  ]
  test.each(malformed)('is refused: %j at %s', (body, field) => {
    expect(refusalOf(body)).toMatchObject({ code: 'validation_failed', fields: [field] })
  })

  test('names every fault at once', () => {
    expect(refusalOf({ name: 'A', x: 1, transport: { type: 'stdio' } })?.fields.toSorted()).toEqual([
      '/name',
      '/transport/command',
      '/x',
    ])
  })

  test.each(['gopher', 'aggregate', undefined])('says of transport %s which ones there are', (type) => {
    const refusal = refusalOf({ name: 'a', transport: { type, url: 'https://example.com/' } })
    expect(refusal).toMatchObject({ code: 'validation_failed', fields: ['/transport/type'] })
    expect(refusal?.text).toContain('streamable-http, sse, websocket, stdio')
  })
})

describe('a server on a connection', () => {
  const checked: string[] = []
  const strict: ServerRules = {
    stdioAllow: [],
    checkUrl: (url) => {
      checked.push(url)
      if (!url.includes('10.0.0.1')) return
      throw new GatewayError('egress_denied', { fields: [{ field: '/transport/url', message: 'denied' }] })
    },
  }
  const check = (transport: object): GatewayError | undefined => {
    try {
      checkServer(parseServerInput({ name: 'a', transport }), strict, false)
      return undefined
    } catch (error) {
      return error as GatewayError
    }
  }

  test('has each of its addresses checked as an HTTP server has, a WebSocket in HTTP terms', () => {
    checked.length = 0
    expect(
      check({ type: 'sse', url: 'http://a.example/sse', messageUrl: 'https://b.example/m' }),
    ).toBeUndefined()
    expect(check({ type: 'websocket', url: 'ws://a.example/ws' })).toBeUndefined()
    expect(check({ type: 'websocket', url: 'WSS://a.example/ws' })).toBeUndefined()
    expect(checked).toEqual([
      'http://a.example/sse',
      'https://b.example/m',
      'http://a.example/ws',
      'httpS://a.example/ws',
    ])
    expect(check({ type: 'sse', url: 'http://10.0.0.1/' })?.code).toBe('egress_denied')
    expect(check({ type: 'websocket', url: 'ws://10.0.0.1/' })?.code).toBe('egress_denied')
    const refusal = check({ type: 'sse', url: 'http://a.example/', messageUrl: 'http://10.0.0.1/' })
    expect(refusal).toMatchObject({ code: 'egress_denied', fields: [{ field: '/transport/messageUrl' }] })
    const http = check({ type: 'websocket', url: 'http://a.example/' })
    expect(http).toMatchObject({ code: 'unprocessable', fields: [{ field: '/transport/url' }] })
  })
})

describe("the place of the session's id", () => {
  const at = (sessionId: object, transport: object = {}, more: object = {}) =>
    refusalOf(http(more, { url: 'https://example.com/a', ...transport, sessionId }))

  test.each([
    [{ in: 'header', name: 'X-Session' }, {}],
    [{ in: 'query', name: 'session_id' }, {}],
    [{ in: 'path', name: 'id' }, { url: 'https://example.com/s/{id}/mcp' }],
  ])('%j may be had', (place, transport) => {
    expect(at(place, transport)).toBeUndefined()
  })

  test.each([
    'Mcp-Session-Id',
    'Host',
    'Connection',
    'Transfer-Encoding',
    'Cookie',
    'Sec-WebSocket-Key',
    'X-Forwarded-For',
    'a b',
    'a\r\nb',
  ])('is never the header %j', (name) => {
    expect(at({ in: 'header', name })).toMatchObject({
      code: 'unprocessable',
      fields: ['/transport/sessionId/name'],
    })
  })

  test('is never where something else is written', () => {
    const auth = { auth: { type: 'bearer', token: 't' } }
    const key = { auth: { type: 'api-key', in: 'query', name: 'k', value: 'v' } }
    expect(at({ in: 'header', name: 'Authorization' }, {}, auth)?.code).toBe('unprocessable')
    expect(at({ in: 'header', name: 'X-A' }, { headers: { 'x-a': 'b' } })?.code).toBe('unprocessable')
    expect(at({ in: 'query', name: 'k' }, {}, key)?.code).toBe('unprocessable')
    expect(at({ in: 'query', name: 'a&b' })?.code).toBe('unprocessable')
  })

  test.each([
    'https://example.com/a',
    'https://example.com/a{id}',
    'https://example.com/{id}/{id}',
    'https://{id}.example.com/',
    'https://example.com/{other}',
  ])('in a path is one whole segment of it: %s is refused', (url) => {
    expect(at({ in: 'path', name: 'id' }, { url })?.code).toBe('unprocessable')
  })
})

describe('a command', () => {
  test.each(['node', '/usr/bin/python3'])('%s runs where the list says exactly that', (command) => {
    expect(refusalOf(stdio({ command }))).toBeUndefined()
  })

  test.each(['bash', '/usr/bin/node', 'python3', 'node ', 'NODE', './node', '../node', './evil', 'node;ls'])(
    '%j is refused',
    (command) => {
      expect(refusalOf(stdio({ command }))).toMatchObject({
        code: 'command_denied',
        fields: ['/transport/command'],
      })
    },
  )

  test('is for administrators', () => {
    expect(refusalOf(stdio({}), false)?.code).toBe('forbidden')
    expect(refusalOf(http(), false)).toBeUndefined()
  })

  test('gets its arguments literally, shell characters and all', () => {
    expect(refusalOf(stdio({ args: ['; touch X', '$(id)', '`id`', '${HOME}'] }))).toBeUndefined()
  })

  test.each([
    'NODE_OPTIONS',
    'node_options',
    'LD_PRELOAD',
    'LD_LIBRARY_PATH',
    'DYLD_INSERT_LIBRARIES',
    'PATH',
    'PYTHONSTARTUP',
    'PYTHONPATH',
    'PERL5OPT',
    'RUBYOPT',
    'BASH_ENV',
    'ENV',
    'IFS',
    'JAVA_TOOL_OPTIONS',
    'NODE_PATH',
    'npm_config_node_options',
    'TOLLBRIDGE_SECRET_KEY',
    'A=B',
    '',
    'A B',
  ])('may not have variable %j', (variable) => {
    expect(refusalOf(stdio({ env: { [variable]: 'x' } }))).toMatchObject({
      code: 'unprocessable',
      fields: [`/transport/env/${variable}`],
    })
  })

  test('takes its credential as a variable, not as auth', () => {
    expect(refusalOf(stdio({ env: { API_KEY: 'x' } }))).toBeUndefined()
    expect(refusalOf({ ...stdio({}), auth: { type: 'bearer', token: 'x' } })?.code).toBe('unprocessable')
  })
})

describe('a reference to another secret', () => {
  test.each(['${env:MASTER_KEY}', 'x${secret:**}y', '${secret:other-tenant}', '${ env : X }'])(
    '%s is refused wherever it stands',
    (text) => {
      for (const body of [
        stdio({ env: { A: text } }),
        stdio({ args: [text] }),
        http({ auth: { type: 'bearer', token: text } }),
        http({}, { headers: { 'x-a': text } }),
        http({}, { url: text }),
      ])
        expect(refusalOf(body)?.code).toBe('unprocessable')
    },
  )
})

describe('a header', () => {
  test.each([
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'Cookie',
    'Mcp-Session-Id',
    'Mcp-Method',
    'Accept',
    'X-Forwarded-For',
    'TE',
    'a b',
    'a:',
    'a\r\nb',
    '',
  ])('named %j is refused, as header and as key', (name) => {
    expect(refusalOf(http({}, { headers: { [name]: 'x' } }))?.code).toBe('unprocessable')
    if (name !== '')
      expect(refusalOf(http({ auth: { type: 'api-key', in: 'header', name, value: 'x' } }))?.code).toBe(
        'unprocessable',
      )
  })

  test.each(['a\r\nX-Evil: 1', 'a\nb', 'a\rb', 'ключ', 'é', ' a', 'a ', '\u007f'])(
    'with value %j is refused',
    (value) => {
      expect(refusalOf(http({}, { headers: { 'x-a': value } }))?.code).toBe('unprocessable')
      expect(refusalOf(http({ auth: { type: 'bearer', token: value } }))?.code).toBe('unprocessable')
      expect(refusalOf(http({ auth: { type: 'api-key', in: 'header', name: 'x-k', value } }))?.code).toBe(
        'unprocessable',
      )
    },
  )

  test('is set in one place only', () => {
    const bearer = { auth: { type: 'bearer', token: 't' } }
    expect(refusalOf(http(bearer, { headers: { Authorization: 'x' } }))?.code).toBe('unprocessable')
    expect(refusalOf(http({}, { headers: { Authorization: 'Custom x' } }))).toBeUndefined()
    expect(refusalOf(http({}, { headers: { 'x-a': '1', 'X-A': '2' } }))?.code).toBe('unprocessable')
    const key = { auth: { type: 'api-key', in: 'header', name: 'X-Key', value: 'v' } }
    expect(refusalOf(http(key, { headers: { 'x-key': 'x' } }))?.code).toBe('unprocessable')
  })
})

test('the view of a server masks every secret and says when it is short', () => {
  const server = {
    ...parseServerInput(http({ auth: { type: 'api-key', in: 'query', name: 'k', value: 'abcdefgh1234' } })),
    transport: { type: 'stdio', command: 'node', args: [], env: { A: 'short', B: 'long-enough-9876' } },
    auth: { type: 'basic', username: 'me', password: 'correct horse' },
    id: 'srv_1',
    ownerId: 'usr_1',
    status: 'error',
    lastFailure: { stage: 'connect', message: 'refused', atMs: 1000, sinceMs: 0 },
    createdAtMs: 0,
    updatedAtMs: 0,
    revision: 1,
  } as const
  expect(serverView(server)).toMatchObject({
    transport: { env: { A: { hasSecret: true, last4: '****' }, B: { hasSecret: true, last4: '9876' } } },
    auth: { type: 'basic', username: 'me', hasSecret: true, last4: 'orse' },
    lastFailure: {
      stage: 'connect',
      message: 'refused',
      at: '1970-01-01T00:00:01.000Z',
      since: '1970-01-01T00:00:00.000Z',
    },
    createdAt: '1970-01-01T00:00:00.000Z',
  })
})
