// Messages, headers and bytes that two readers would read differently: what is run is what was authorised and billed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addServer } from '../harness/gateway.ts'
import {
  dial,
  eras,
  jsonHeaders,
  modernHeaders,
  modernMeta,
  send,
  startBench,
  toolCall,
  type Bench,
  type Era,
  type McpClient,
  type RawAnswer,
} from './bench.ts'
import { until } from '../harness/until.ts'

let bench: Bench
const clients = {} as Record<Era, McpClient>
beforeAll(async () => {
  bench = await startBench()
  for (const era of eras) clients[era] = bench.client(bench.a)
  await clients.legacy.open()
  await bench.gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'calls',
    currency: 'USD',
    match: { server: 'stub' },
    price: { perCall: '1' },
  })
})
afterAll(() => bench.stop())

const metaText = JSON.stringify(modernMeta)

/** A tools/call whose members are written by hand; `{META}` in them stands for what the era needs in `params`. */
async function post(
  era: Era,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const client = clients[era]
  const head = era === 'modern' ? modernHeaders('tools/call', 'ok') : client.legacyHeaders()
  const text =
    typeof body === 'string'
      ? body.replaceAll('{META}', era === 'modern' ? `,"_meta":${metaText}` : '')
      : body
  return client.post(text, { ...head, ...headers })
}

interface Money {
  readonly records: number
  readonly spent: string
}
async function money(): Promise<Money> {
  const records = await bench.a.all('/api/v1/billing/usage')
  const { spent } = await bench.a.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`)
  return { records: records.length, spent }
}

/** Nothing reached the server and nothing was billed while `work` ran. */
async function forFree(work: () => Promise<unknown>): Promise<void> {
  const before = await money()
  const hits = await bench.hitsDuring(work)
  expect(hits).toEqual([])
  expect(await money()).toEqual(before)
}

describe.each(eras)('a %s message', (era) => {
  const refused = {
    'two names that differ in case':
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok","Name":"secret"{META}}}',
    'two equal names':
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"secret","name":"ok"{META}}}',
    'a second name in escapes':
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok","na\\u006de":"secret"{META}}}',
    'a name in escapes, which V8 can misread':
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"zq":1,"na\\u006de":"secret"{META}}}',
    'two methods':
      '{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call","params":{"name":"ok"{META}}}',
    'a method in capitals':
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","Method":"tools/list","params":{"name":"ok"{META}}}',
    'two params':
      '{"jsonrpc":"2.0","id":7,"params":{"name":"secret"},"method":"tools/call","params":{"name":"ok"{META}}}',
    'two ids': '{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/call","params":{"name":"ok"{META}}}',
    'a method that is no text':
      '{"jsonrpc":"2.0","id":7,"method":["tools/call"],"params":{"name":"ok"{META}}}',
    'params that are a list': '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["ok"]}',
    'another version of JSON-RPC':
      '{"jsonrpc":"1.0","id":7,"method":"tools/call","params":{"name":"ok"{META}}}',
    'a batch': '[{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok"{META}}}]',
    'an empty batch': '[]',
    'bytes after its end':
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok"{META}}} {"x":1}',
    'a byte order mark': '\ufeff{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok"{META}}}',
    'nothing at all': '',
    'half of it': '{"jsonrpc":"2.0","id":7,"method":"tools/ca',
    'an id that is an object': '{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{"name":"ok"{META}}}',
    'an id beyond 2^53':
      '{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"ok"{META}}}',
    'an id with a fraction': '{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"ok"{META}}}',
    'an id that is infinite':
      '{"jsonrpc":"2.0","id":1e400,"method":"tools/call","params":{"name":"ok"{META}}}',
    '10,000 levels': `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok","arguments":${'['.repeat(10_000)}${']'.repeat(10_000)}{META}}}`,
    '10,000 unclosed levels': '['.repeat(10_000),
  }

  test.each(Object.entries(refused))('with %s is refused, not sent and not billed', (_, body) =>
    forFree(async () => {
      const { status, json } = await post(era, body)
      expect([status, [-32700, -32600, -32602].includes(json.error.code) || json.error.code]).toEqual([
        400,
        true,
      ])
      expect(json.id).toSatisfy((id: unknown) => id === null || id === 7)
    }),
  )

  test('in broken or foreign UTF-8 is refused, not sent and not billed', () =>
    forFree(async () => {
      for (const bytes of [[0xff], [0xc0, 0xae], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
        const [start = '', end = ''] =
          '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"|"}}'.split('|')
        const body = Buffer.concat([Buffer.from(start), Buffer.from(bytes), Buffer.from(end)])
        expect((await post(era, body)).json.error.code).toBe(-32700)
      }
      const wide = Buffer.from('{"jsonrpc":"2.0","id":7,"method":"ping"}', 'utf16le')
      expect((await post(era, wide, { 'content-type': 'application/json; charset=utf-16le' })).status).toBe(
        400,
      )
    }))

  test.each([
    [
      '__proto__ and constructor',
      '{"__proto__":{"role":"admin","isError":true},"constructor":{"prototype":{"roles":["admin"]}}}',
    ],
    [
      'names of members in the arguments',
      '{"name":"secret","Name":"secret","method":"x","id":9,"params":{"name":"secret"}}',
    ],
    ['half a surrogate pair', '{"text":"\\ud800","other":"\\udc00x"}'],
    [
      'numbers that no double holds',
      '{"big":123456789012345678901234567890,"small":1e-400,"exact":0.10000000000000000001}',
    ],
    ['duplicate keys that decide nothing', '{"a":1,"a":2}'],
    ['escapes, spaces and controls', '{ "a" :\t"\\u0000\\u2028\\/\u2028" }'],
  ])('with %s is carried byte for byte, and nobody becomes more by it', async (_, args) => {
    const body = `{"jsonrpc":"2.0", "id":"7","method":"tools/call","params":{"name":"ok","arguments":${args}{META}}}`
    let answer: RawAnswer | undefined
    const hits = await bench.hitsDuring(async () => (answer = await post(era, body)))
    expect([answer?.status, answer?.json.id]).toEqual([200, '7'])
    expect(hits.map((hit) => hit.body.toString())).toEqual([
      body.replace('{META}', era === 'modern' ? `,"_meta":${metaText}` : ''),
    ])
    const record = await bench.a.ok(
      'GET',
      `/api/v1/billing/usage/${String(answer?.headers['tollbridge-call-id'])}`,
    )
    expect(record).toMatchObject({ tool: 'ok', method: 'tools/call', outcome: 'success', cost: '1' })
    expect((await bench.a.ok('GET', '/api/v1/me')).roles).toEqual(['member'])
    expect((await bench.a.call('GET', '/api/v1/users')).status).toBe(403)
  })

  test('with members named like prototypes beside the known ones reaches the server with its one name', async () => {
    const body =
      '{"__proto__":{"method":"tools/list"},"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"__proto__":{"name":"secret"},"name":"ok"{META}}}'
    let answer: RawAnswer | undefined
    const hits = await bench.hitsDuring(async () => (answer = await post(era, body)))
    if (hits.length === 0) return expect(answer?.status).toBe(400)
    expect(hits.map(({ message }) => [message?.method, message?.params?.['name']])).toEqual([
      ['tools/call', 'ok'],
    ])
    const record = await bench.a.ok(
      'GET',
      `/api/v1/billing/usage/${String(answer?.headers['tollbridge-call-id'])}`,
    )
    expect(record.tool).toBe('ok')
  })

  test('whose headers name another content type or coding is refused', () =>
    forFree(async () => {
      const body = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ok"{META}}}'
      const wrong: Record<string, string>[] = [
        { 'content-type': 'text/plain' },
        { 'content-type': 'application/x-www-form-urlencoded' },
        { 'content-encoding': 'gzip' },
        { 'content-encoding': 'identity, gzip' },
      ]
      for (const headers of wrong) expect((await post(era, body, headers)).status).toBe(415)
    }))
})

test('a batch of the revision that knew batches is refused too', () =>
  forFree(async () => {
    const one = { jsonrpc: '2.0', ...toolCall('ok') }
    const batch = JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ ...one, id })))
    const { status, json } = await post('legacy', batch, { 'mcp-protocol-version': '2025-03-26' })
    expect([status, json.error.code]).toEqual([400, -32600])
  }))

describe('the mirrored headers of a modern call', () => {
  const b64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`
  const call = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"dear","arguments":{}{META}}}'

  test.each([
    ['name another tool', { 'mcp-name': 'cheap' }],
    ['name another tool in base64', { 'mcp-name': b64('cheap') }],
    ['hold broken base64', { 'mcp-name': '=?base64?***?=' }],
    ['hold base64 that is not canonical', { 'mcp-name': b64('dear').replace(/=?\?=$/, '?=') }],
    ['name the tool in another case', { 'mcp-name': 'Dear' }],
    ['name nothing', { 'mcp-name': '' }],
    ['name another method', { 'mcp-name': 'dear', 'mcp-method': 'tools/list' }],
    ['name another revision', { 'mcp-name': 'dear', 'mcp-protocol-version': '2025-11-25' }],
  ])('that %s are refused with -32020, not sent and not billed', (_, headers) =>
    forFree(async () => {
      const { status, json } = await post('modern', call, headers)
      expect([status, json.id, json.error.code]).toEqual([400, 7, -32020])
    }),
  )

  test.each(['mcp-name', 'mcp-method', 'mcp-protocol-version'])(
    'that lack %s are refused, not sent and not billed',
    (missing) =>
      forFree(async () => {
        const { [missing]: _, ...head } = modernHeaders('tools/call', 'dear')
        const { status, json } = await clients.modern.post(
          call.replace('{META}', `,"_meta":${metaText}`),
          head,
        )
        expect([status, json.id, json.error.code]).toEqual([400, 7, -32020])
      }),
  )

  test('in base64 that agree are taken, and the bill follows the body', async () => {
    const { status, headers } = await post('modern', call, { 'mcp-name': b64('dear') })
    expect(status).toBe(200)
    expect(
      (await bench.a.ok('GET', `/api/v1/billing/usage/${String(headers['tollbridge-call-id'])}`)).tool,
    ).toBe('dear')
  })

  test('that mirror an argument must agree with it', async () => {
    const inputSchema = {
      type: 'object',
      properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
    }
    await addServer(bench.gateway, 'mirrors', bench.upstream.url)
    bench.upstream.on('tools/list', ({ message, response }) => {
      const result = {
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'private',
        tools: [{ name: 'ok', inputSchema }],
      }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
    })
    const client = bench.client(bench.a, 'mirrors')
    const ask = (region: string, headers: Record<string, string>) =>
      client.ask('modern', toolCall('ok', { region }), headers)
    expect((await ask('eu', { 'mcp-param-region': 'eu' })).status).toBe(200)
    expect((await ask('a\r\nX-Evil: 1', { 'mcp-param-region': b64('a\r\nX-Evil: 1') })).status).toBe(200)
    const before = bench.upstream.calls().length
    for (const region of ['us', '=?base64?!?=', '']) {
      const { status, json } = await ask('eu', { 'mcp-param-region': region })
      expect([status, json.error.code]).toEqual([400, -32020])
    }
    expect(bench.upstream.calls().length).toBe(before)
    for (const hit of bench.upstream.hits) expect(hit.headers['x-evil']).toBeUndefined()
  })
})

describe('line breaks', () => {
  const evil = ['a\r\nX-Evil: 1', 'a\nX-Evil: 1', 'a\rX-Evil: 1', 'a\0', 'ü', ' a', 'a ', '\u2028']

  test('in a registered header or credential are refused', async () => {
    const url = bench.upstream.url
    for (const [index, value] of evil.entries())
      for (const more of [
        { transport: { type: 'streamable-http', url, headers: { 'X-Mine': value } } },
        { auth: { type: 'bearer', token: value } },
        { auth: { type: 'api-key', in: 'header', name: 'X-Key', value } },
        { auth: { type: 'api-key', in: 'header', name: `X-Key${value}`, value: 'k' } },
        { transport: { type: 'streamable-http', url, headers: { [`X-Mine${value}`]: 'v' } } },
      ]) {
        const answer = await bench.gateway.admin.call('POST', '/api/v1/servers', {
          name: `evil-${index}`,
          transport: { type: 'streamable-http', url },
          ...more,
        })
        expect([JSON.stringify(more), [400, 422].includes(answer.status) || answer.status]).toEqual([
          JSON.stringify(more),
          true,
        ])
      }
  })

  test('in registered user names, passwords and query keys are encoded', async () => {
    const { url } = bench.upstream
    const auth = { type: 'basic', username: 'a\r\nX-Evil: 1'.replace(':', ''), password: 'b\r\nX-Evil: 1' }
    await addServer(bench.gateway, 'basic-evil', url, { auth })
    await addServer(bench.gateway, 'query-evil', url, {
      auth: { type: 'api-key', in: 'query', name: 'k', value: 'a\r\nX-Evil: 1&x=#' },
    })
    for (const server of ['basic-evil', 'query-evil']) {
      const hits = await bench.hitsDuring(async () =>
        expect((await bench.client(bench.a, server).ask('modern', toolCall('ok'))).status).toBe(200),
      )
      expect(hits.map(({ headers }) => headers['x-evil'])).toEqual([undefined])
      if (server === 'query-evil') expect(hits[0]?.path).toBe('/mcp?k=a%0D%0AX-Evil%3A%201%26x%3D%23')
    }
  })

  test("in a client's headers never become a header at the server", async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { _meta: modernMeta } })
    const lines = Object.entries({
      ...modernHeaders('ping'),
      host: new URL(bench.gateway.url).host,
      ...clients.modern.own(),
    })
    for (const evilLine of [
      'mcp-param-x: a\rX-Evil: 1',
      'mcp-param-x: a\0b',
      'mcp-param-x: a\n X-Evil: 1',
      'mcp-param-x: \u00fc',
    ]) {
      const head = [
        ...lines.map(([name, value]) => `${name}: ${value}`),
        `content-length: ${body.length}`,
        'connection: close',
        evilLine,
      ]
      const wire = await dial(bench.gateway.url)
      wire.socket.write(
        Buffer.from(`POST /mcp/stub HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'),
      )
      await until(() => wire.isClosed(), 'the connection is closed')
      expect(wire.received()).toMatch(/^HTTP\/1\.1 (200|400|502) /)
    }
    for (const hit of bench.upstream.hits) {
      expect(hit.headers['x-evil']).toBeUndefined()
      expect(hit.rawHeaders.join('')).not.toMatch(/[\r\n\0]/)
    }
  })
})

describe('a request that two parsers would end in two places', () => {
  const inner = 'GET /api/v1/me HTTP/1.1\r\nhost: x\r\n\r\n'
  const lead = (bench: Bench): string =>
    `POST /mcp/stub HTTP/1.1\r\nhost: ${new URL(bench.gateway.url).host}\r\nauthorization: Bearer ${bench.a.credential}\r\ncontent-type: application/json\r\n`
  const smuggled = {
    'a length and chunks': `content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'chunks and a length': `transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n${inner}`,
    'two lengths': `content-length: 0\r\ncontent-length: ${inner.length}\r\n\r\n${inner}`,
    'two lengths in one': `content-length: 0, ${inner.length}\r\n\r\n${inner}`,
    'a signed length': `content-length: +2\r\n\r\n{}${inner}`,
    'a length in hex': `content-length: 0x2\r\n\r\n{}${inner}`,
    'a space before the colon': `content-length : 2\r\n\r\n{}${inner}`,
    'a folded line': `content-length:\r\n 2\r\n\r\n{}${inner}`,
    'a folded header': `x-a: b\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'an unknown coding': `transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
    'chunks that are not last': `transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`,
    'two codings': `transfer-encoding: identity\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n${inner}`,
    'a bare line feed': `content-length: 0\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'a control in a name': `content\x01-length: 2\r\n\r\n{}${inner}`,
    'a chunk with a wrong size': `transfer-encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n${inner}`,
    'a chunk with a signed size': `transfer-encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n${inner}`,
    'a chunk size past any number': `transfer-encoding: chunked\r\n\r\nfffffffffffffffff2\r\n{}\r\n0\r\n\r\n${inner}`,
    'a chunk ended by a line feed': `transfer-encoding: chunked\r\n\r\n2\n{}\n0\n\n${inner}`,
  }

  test.each(Object.entries(smuggled))(
    'by %s is refused and closed, and what follows is never run',
    async (_, rest) => {
      const hits = await bench.hitsDuring(async () => {
        const wire = await dial(bench.gateway.url)
        wire.socket.write(Buffer.from(lead(bench) + rest, 'latin1'))
        await until(() => wire.isClosed(), 'the connection is closed')
        expect(wire.received().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400'])
        expect(wire.received()).not.toContain('"unauthorized"')
      })
      expect(hits).toEqual([])
    },
  )

  test('is no other way to send two: plain pipelining still answers each in turn', async () => {
    const wire = await dial(bench.gateway.url)
    const host = `host: ${new URL(bench.gateway.url).host}\r\n`
    wire.socket.write(
      `GET /livez HTTP/1.1\r\n${host}\r\nGET /api/v1/me HTTP/1.1\r\n${host}connection: close\r\n\r\n`,
    )
    await until(() => wire.isClosed(), 'the connection is closed')
    expect(wire.received().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401'])
  })

  test.each([
    ['without a credential', '', '401'],
    ['of another type', 'content-type: text/plain\r\n', '415'],
    ['with two hosts', 'host: localhost\r\n', '400'],
  ])('and nothing is run behind a refusal that did not wait for its body: %s', async (_, line, status) => {
    const own = lead(bench)
    const wrong = own
      .replace(/authorization: .*\r\n/, line === '' ? '' : '$&')
      .replace(/content-type: .*\r\n/, line.startsWith('content-type') ? line : `$&${line}`)
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...toolCall('ok', {}, modernMeta) })
    const call = `${own}${Object.entries(modernHeaders('tools/call', 'ok'))
      .filter(([name]) => name !== 'content-type')
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}content-length: ${body.length}\r\n\r\n${body}`
    const hits = await bench.hitsDuring(async () => {
      const wire = await dial(bench.gateway.url)
      wire.socket.write(`${wrong}content-length: 2\r\n\r\n{}${call}`)
      await until(() => wire.isClosed(), 'the connection is closed')
      expect(wire.received().match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`])
    })
    expect(hits).toEqual([])
    // By itself it would run.
    const alone = await bench.hitsDuring(async () => {
      const wire = await dial(bench.gateway.url)
      wire.socket.write(call)
      await until(() => wire.received() !== '', 'an answer')
      wire.socket.destroy()
    })
    expect(alone.length).toBe(1)
  })

  test('and a request without a host, or with two, is refused', async () => {
    for (const head of [
      '',
      'host: localhost\r\nhost: evil.example\r\n',
      'host: localhost, evil.example\r\n',
      'host: localhost/evil\r\n',
    ]) {
      const wire = await dial(bench.gateway.url)
      wire.socket.write(`GET /livez HTTP/1.1\r\n${head}connection: close\r\n\r\n`)
      await until(() => wire.isClosed(), 'the connection is closed')
      expect([head, wire.received().slice(9, 12)]).toEqual([head, expect.toBeOneOf(['400', '421'])])
    }
  })
})

test('nothing of these attempts is in what the server saw', () => {
  const names = bench.upstream.calls().map(({ message }) => message?.params?.['name'])
  expect(new Set(names)).toEqual(new Set(['ok', 'dear']))
})

test('a body with members twice is refused by the API as well, or read once', async () => {
  const path = '/api/v1/keys'
  const headers = { ...clients.modern.own(), ...jsonHeaders }
  for (const body of [
    '{"name":"a","Name":"b"}',
    '{"name":"a","__proto__":{"servers":["x"]}}',
    '{"name":"a","constructor":{}}',
    '[{"name":"a"}]',
    '{"name":"a"} x',
  ])
    expect([body, (await send(bench.gateway.url, { method: 'POST', path, headers, body })).status]).toEqual([
      body,
      400,
    ])
})
