// What is told to whom: credit that many spend at once, and secrets and inner details in logs, metrics and errors.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addServer, ApiCaller } from '../harness/gateway.ts'
import { startRecorder } from '../upstreams/recorder.ts'
import { halfBody, notJson, raw, reset, rpcError, type Reply } from '../upstreams/replies.ts'
import {
  dial,
  eras,
  jsonHeaders,
  modernHeaders,
  send,
  sentinel,
  startBench,
  toolCall,
  type Bench,
  type RawAnswer,
} from './bench.ts'
import { until } from '../harness/until.ts'

let bench: Bench
beforeAll(async () => {
  bench = await startBench({ env: { TOLLBRIDGE_LOG_LEVEL: 'trace' } })
  await bench.gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'calls',
    currency: 'USD',
    match: { server: 'stub*', method: 'tools/call' },
    price: { perCall: '1' },
  })
})
afterAll(() => bench.stop())

describe('credit for 10 calls', () => {
  const isDenied = ({ json }: RawAnswer): boolean =>
    json.result?.structuredContent?.code === 'balance_exhausted'

  test('lets exactly 10 of 500 parallel calls run, over keys, sessions and both eras', async () => {
    const spender = await bench.gateway.member('carl', { grant: '10' })
    const keys = await Promise.all(
      ['one', 'two', 'three'].map(
        async (name) => (await spender.ok('POST', '/api/v1/keys', { name })).key as string,
      ),
    )
    const callers = [spender.credential ?? '', ...keys].flatMap((credential) =>
      eras.map((era) => ({ era, client: bench.client({ url: spender.url, credential }) })),
    )
    for (const { era, client } of callers) if (era === 'legacy') await client.open()
    let answers: RawAnswer[] = []
    const hits = await bench.hitsDuring(async () => {
      answers = await Promise.all(
        Array.from({ length: 500 }, (_, number) => {
          const { era, client } = callers[number % callers.length] ?? {
            era: 'modern',
            client: bench.client(spender),
          }
          return client.ask(era, { id: number, ...toolCall(number % 3 ? 'work' : 'Work', { number }) })
        }),
      )
    })
    const ran = answers.filter(({ json }) => json.result?.isError !== true && json.result !== undefined)
    expect(hits.length).toBe(10)
    expect(ran.length).toBe(10)
    expect(answers.filter(isDenied).length).toBe(490)
    const account = await spender.ok('GET', `/api/v1/billing/accounts/${spender.accountId}`)
    expect(account).toMatchObject({ balance: '0', held: '0', spent: '10', granted: '10' })
    const records = await spender.all('/api/v1/billing/usage?method=tools/call')
    expect(records.filter(({ outcome }) => outcome === 'success').length).toBe(10)
    expect(records.filter(({ outcome }) => outcome === 'denied').length).toBe(490)

    // Neither a new key, a new session, another server, another spelling nor a new login is a fresh purse.
    await addServer(bench.gateway, 'stub-again', bench.upstream.url)
    const again = await bench.hitsDuring(async () => {
      const { key } = await spender.ok('POST', '/api/v1/keys', { name: 'fresh' })
      const anew = await new ApiCaller(spender.url).login('CARL', 'Member-passw0rd-carl')
      for (const caller of [{ url: spender.url, credential: key as string }, anew])
        for (const server of ['stub', 'stub-again'])
          for (const tool of ['work', 'WORK', 'work '.trim()]) {
            const client = bench.client(caller, server)
            const denied = await client.ask(
              'modern',
              toolCall(tool, {}, { 'tollbridge/account': bench.a.accountId }),
            )
            expect(isDenied(denied)).toBe(true)
          }
    })
    expect(again).toEqual([])
    expect((await bench.gateway.admin.ok('GET', '/api/v1/billing/verify')).ok).toBe(true)
  })
})

/** Words that tell what the gateway is made of, or where it stands. */
const inner =
  /\bat (?:\S+ )?\(?(?:file|node|\/)|\.[jt]s:\d|node_modules|node:internal|\/tmp\/|\/home|\/work|sqlite|\bSQL|INSERT |SELECT |UPDATE |BEGIN |kysely|undici|fastify|\bzod\b|pino|\bjose\b|ECONN|EPIPE|ENOENT|UND_ERR|FST_|TypeError|SyntaxError|Unexpected token|undefined|\[object/i

/** That a refusal tells nothing of the inside, and can be quoted. */
function expectClean(answer: RawAnswer, ...secrets: string[]): void {
  const shown = answer.text + JSON.stringify(answer.headers)
  expect(shown).not.toMatch(inner)
  for (const secret of secrets) expect(shown).not.toContain(secret)
  expect(answer.text.length).toBeLessThan(2000)
}

describe('an error', () => {
  test.each<[string, Reply]>([
    ['resets the connection', reset()],
    ['sends half an answer', halfBody()],
    ['sends a page', notJson()],
    ['sends a page with 500', notJson(500)],
    [
      'sends its own stack trace',
      raw('Error: boom\n    at Object.<anonymous> (/work/app.js:1:1) SELECT 1', {
        status: 500,
        headers: { 'content-type': 'text/plain', 'x-powered-by': 'undici' },
      }),
    ],
    ['sends a bad status', raw('', { status: 418 })],
    ['refuses the credential of the gateway', rpcError(-32000, 'bad token /tmp/secret', { status: 401 })],
    ['sends a wrong coding', raw(Buffer.from([1, 2, 3]), { headers: { 'content-encoding': 'gzip' } })],
  ])('of a server that %s tells its caller nothing of the inside', async (_, reply) => {
    const { host } = new URL(bench.upstream.url)
    for (const era of eras) {
      const client = bench.client(bench.a)
      if (era === 'legacy') await client.open()
      bench.upstream.once(reply)
      const answer = await client.ask(era, { id: 'mine', ...toolCall('work') })
      expect(answer.json.id).toBe('mine')
      expect(answer.json.result?.isError ?? answer.json.error !== undefined).toBe(true)
      expectClean(answer, host, '/tmp/secret')
    }
  })

  test('of a server that is not there tells its users neither where it should be nor why', async () => {
    const gone = await startRecorder()
    await addServer(bench.gateway, 'gone', gone.url)
    const { host, port } = new URL(gone.url)
    await gone.stop()
    const client = bench.client(bench.a, 'gone')
    for (const answer of [await client.ask('modern', toolCall('work')), await client.open()])
      expectClean(answer, host, port)
    for (const path of ['', '/status', '/tools']) {
      const { text, status } = await bench.a.call('GET', `/api/v1/servers/gone${path}`)
      expect(status).toBeOneOf([200, 502])
      expect(text).not.toContain(port)
      expect(text).not.toMatch(/ECONN|127\.0\.0\.1/)
    }
  })

  test('of what the client sent wrong repeats nothing of the inside', async () => {
    const { url } = bench.gateway
    const own = bench.client(bench.a).own()
    const bad = [
      '{',
      '{"a":',
      'null',
      '"x"',
      '[]',
      '{"jsonrpc":"2.0","id":1,"method":1}',
      '\0',
      'x'.repeat(100_000),
    ]
    for (const body of bad)
      for (const path of ['/mcp/stub', '/api/v1/keys', '/api/v1/auth/authenticate', '/api/v1/billing/quote'])
        for (const headers of [
          jsonHeaders,
          modernHeaders('tools/call', 'x'),
          { 'content-type': 'text/xml' },
        ]) {
          const answer = await send(url, { method: 'POST', path, headers: { ...own, ...headers }, body })
          expect(answer.status).toBeGreaterThanOrEqual(400)
          expect(answer.status).toBeLessThan(500)
          expectClean(answer)
        }
    for (const path of [
      '/%',
      '/api/v1/users/%zz',
      '/api/v1/%ff',
      `/${'a'.repeat(8000)}`,
      '/api/v1/servers/..%2f..%2fetc%2fpasswd',
      '/api/v1/keys?cursor=%00',
      '/api/v1/billing/usage?from=x',
      '/api/v1/billing/usage?limit=1e9',
      '/mcp/..%2f',
    ])
      for (const method of ['GET', 'POST', 'BREW', 'TRACE', 'CONNECT']) {
        if (method === 'BREW' || method === 'CONNECT') continue
        const answer = await send(url, { method, path, headers: own })
        expect([400, 404, 405, 414, 415, 501]).toContain(answer.status)
        expectClean(answer)
      }
  })

  test('of bytes that are no HTTP is short and says nothing', async () => {
    const { host } = new URL(bench.gateway.url)
    for (const bytes of [
      'BREW / HTTP/1.1\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01',
      `GET / HTTP/1.1\r\nhost: ${host}\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: ${host}\r\n${'x: y\r\n'.repeat(200)}\r\n`,
    ]) {
      const wire = await dial(bench.gateway.url)
      wire.socket.write(Buffer.from(`${bytes}\r\n\r\n`, 'latin1'))
      await until(() => wire.received() !== '' || wire.isClosed(), 'an answer or the end')
      expect(wire.received()).toMatch(/^(HTTP\/1\.1 4\d\d |$)/)
      expect(wire.received()).not.toMatch(inner)
      wire.socket.destroy()
    }
  })

  test('of a store that cannot be written says so and no more, nothing is billed, and it heals', async () => {
    const name = readdirSync(bench.gateway.data).find((file) => file.endsWith('.db')) ?? 'none'
    const db = new DatabaseSync(join(bench.gateway.data, name))
    const client = bench.client(bench.a)
    expect((await client.ask('modern', toolCall('work'))).status).toBe(200)
    const own = { ...client.own(), 'content-type': 'application/json' }
    const makeKey = () =>
      send(bench.gateway.url, {
        method: 'POST',
        path: '/api/v1/keys',
        headers: own,
        body: '{"name":"later"}',
      })
    const { spent } = await bench.a.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`)
    db.exec('BEGIN IMMEDIATE')
    try {
      const [key, call] = await Promise.all([makeKey(), client.ask('modern', toolCall('work'))])
      expect(key.status).toBe(503)
      expect(key.json).toMatchObject({ code: 'store_unavailable', requestId: expect.stringMatching(/^req_/) })
      expect(call.json.result).toMatchObject({
        isError: true,
        structuredContent: { code: 'store_unavailable' },
      })
      for (const answer of [key, call]) expectClean(answer, bench.gateway.data, name)
    } finally {
      db.exec('ROLLBACK')
      db.close()
    }
    await until(async () => (await makeKey()).status === 201, 'the store takes writes again', 15_000)
    await until(
      async () => (await client.ask('modern', toolCall('work'))).json.result.isError === undefined,
      'calls run again',
      15_000,
    )
    const after = await bench.a.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`)
    expect(Number(after.spent)).toBe(Number(spent) + 1)
    expect((await bench.gateway.admin.ok('GET', '/api/v1/billing/verify')).ok).toBe(true)
  }, 60_000)
})

describe('a secret', () => {
  test('that comes in any part of a request, and a name that forges a log line, stay out of logs, metrics and errors', async () => {
    const { gateway, upstream } = bench
    const { url } = gateway
    const client = bench.client(bench.a)
    const tool = 'a\n{"level":60,"msg":"forged"}'
    const encoded = `=?base64?${Buffer.from(tool).toString('base64')}?=`
    const loud = {
      cookie: `s=${sentinel}`,
      'x-api-key': sentinel,
      'user-agent': '"}{"level":60,"msg":"forged"}',
      referer: `http://x/?t=${sentinel}`,
    }
    const answers: RawAnswer[] = [
      await send(url, {
        path: `/api/v1/me?token=${sentinel}`,
        headers: { authorization: `Bearer ${sentinel}` },
      }),
      await send(url, { path: `/mcp/stub?access_token=${sentinel}`, headers: { 'x-api-key': sentinel } }),
      await send(url, { path: `/api/v1/nothing/${sentinel}x?key=${sentinel}` }),
      await send(url, {
        method: 'POST',
        path: `/mcp/stub?key=${sentinel}`,
        headers: { ...client.own(), ...loud, ...modernHeaders('tools/call', 'work') },
        body: `{"${sentinel}`,
      }),
    ]
    const login = await gateway.admin.call('POST', '/api/v1/auth/authenticate', {
      username: 'nobody',
      password: sentinel,
    })
    const refused = await gateway.admin.call('POST', '/api/v1/servers', {
      name: 'userinfo',
      transport: {
        type: 'streamable-http',
        url: `https://user:${sentinel}@mcp.example.com/?key=${sentinel}`,
      },
    })
    expect([login.status, refused.status]).toEqual([401, 422])
    // Servers that fail with our credential in their address, or say it back.
    const broken = await startRecorder()
    await addServer(gateway, 'broken', broken.url, {
      auth: { type: 'api-key', in: 'query', name: 'key', value: sentinel },
    })
    await broken.stop()
    answers.push(
      await bench.client(bench.a, 'broken').ask('modern', toolCall('work', { password: sentinel })),
    )
    await gateway.admin.call('POST', '/api/v1/servers/broken/test-connection')
    answers.push(await bench.client(bench.a, 'broken').open())
    upstream.once(
      raw(`<b>${sentinel}</b>`, {
        status: 500,
        headers: { 'content-type': 'text/html', 'x-echo': sentinel },
      }),
    )
    answers.push(await client.ask('modern', toolCall('work', { token: sentinel }), loud))
    await client.ask('modern', toolCall(tool, { secret: sentinel }), { ...loud, 'mcp-name': encoded })
    const unnamed = { jsonrpc: '2.0', id: 1, method: `x\n{"level":60}`, params: { token: sentinel } }
    await client.open()
    await client.post(unnamed, client.legacyHeaders())
    await gateway.admin.call('PATCH', '/api/v1/servers/stub', {
      description: `x\n{"level":60,"msg":"forged"}`,
    })

    for (const answer of answers) expect(answer.text + JSON.stringify(answer.headers)).not.toContain(sentinel)
    expect(login.text + refused.text).not.toContain(sentinel)
    const metrics = await gateway.admin.call('GET', '/metrics')
    expect(metrics.status).toBe(200)
    expect(metrics.text).toContain('tollbridge_calls_total')
    expect(metrics.text).not.toContain(sentinel)
    expect(metrics.text).not.toContain('forged')
    const log = gateway.log()
    expect(log).not.toContain(sentinel)
    expect(log).not.toContain(bench.a.credential)
    expect(log).not.toMatch(/[^\P{Cc}\n]/u)
    const lines = log.split('\n').filter((line) => line !== '')
    // At this level even failed calls are told, so the log is not empty.
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines) {
      const record = JSON.parse(line) as { level: number; msg: string }
      expect([line, record.level < 60, record.msg !== 'forged']).toEqual([line, true, true])
    }
  })
})
