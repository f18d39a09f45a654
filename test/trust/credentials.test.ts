// Where credentials may go and where they may not: to upstreams, into the store, out of the API, and out by guessing.
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addServer, ApiCaller } from '../harness/gateway.ts'
import type { Hit } from '../upstreams/recorder.ts'
import {
  eras,
  essence,
  McpClient,
  median,
  send,
  sentinel,
  startBench,
  toolCall,
  type Bench,
  type RawAnswer,
} from './bench.ts'

const root = resolve(import.meta.dirname, '../..')
/** Credentials of upstreams, each found nowhere else. */
const secrets = {
  bearer: 'bearer-8d1e7c55aa',
  password: 'basic-77c0ffee19',
  header: 'header-key-41b2d9',
  query: 'query-key-90ab12',
  extra: 'extra-header-5ce7',
  variable: 'variable-3fd0b8e1',
} as const

let bench: Bench
beforeAll(async () => {
  bench = await startBench({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  const { gateway, upstream } = bench
  const http = { type: 'streamable-http', url: upstream.url }
  await addServer(gateway, 'by-bearer', upstream.url, { auth: { type: 'bearer', token: secrets.bearer } })
  const basic = { type: 'basic', username: 'us', password: secrets.password }
  await addServer(gateway, 'by-basic', upstream.url, { auth: basic })
  const header = { type: 'api-key', in: 'header', name: 'X-API-Key', value: secrets.header }
  await addServer(gateway, 'by-header', upstream.url, { auth: header })
  const query = { type: 'api-key', in: 'query', name: 'key', value: secrets.query }
  await addServer(gateway, 'by-query', upstream.url, { auth: query })
  await addServer(gateway, 'by-extra', upstream.url, {
    transport: { ...http, headers: { 'X-Extra': secrets.extra } },
  })
  const stdio = { type: 'stdio', command: process.execPath, args: ['-v'], env: { TOKEN: secrets.variable } }
  await addServer(gateway, 'by-variable', '', { transport: stdio })
})
afterAll(() => bench.stop())

/** Credentials on their way out, by name; all other headers are listed by `names`. */
function outgoing({ headers, path }: Hit): object {
  const { authorization, cookie } = headers
  return { authorization, cookie, key: headers['x-api-key'], extra: headers['x-extra'], path }
}
const nothing = {
  authorization: undefined,
  cookie: undefined,
  key: undefined,
  extra: undefined,
  path: '/mcp',
}
const basicText = Buffer.from(`us:${secrets.password}`).toString('base64')
const expected = {
  stub: nothing,
  'by-bearer': { ...nothing, authorization: `Bearer ${secrets.bearer}` },
  'by-basic': { ...nothing, authorization: `Basic ${basicText}` },
  'by-header': { ...nothing, key: secrets.header },
  'by-query': { ...nothing, path: `/mcp?key=${secrets.query}` },
  'by-extra': { ...nothing, extra: secrets.extra },
}

/** What a legacy or modern MCP server needs to be told, and what a connection needs. */
const allowedNames = [
  /^(host|connection|content-length|content-type|accept|accept-encoding|user-agent)$/,
  /^mcp-(protocol-version|method|name|session-id)$/,
]

describe.each(eras)("a %s client's own headers", (era) => {
  test.each(Object.entries(expected))(
    'do not reach %s, which gets exactly its configured credential',
    async (name, wanted) => {
      const client = bench.client(bench.a, name)
      const headers = {
        cookie: `session=${sentinel}`,
        'x-api-key': sentinel,
        'proxy-authorization': `Basic ${sentinel}`,
      }
      const hits = await bench.hitsDuring(async () => {
        expect((await client.ask(era, toolCall('work'), headers)).status).toBe(200)
        if (era === 'legacy') (await client.get(headers)).close()
      })
      expect(hits.map(({ message }) => message?.method)).toContain('tools/call')
      for (const hit of hits) {
        expect(outgoing(hit)).toEqual(wanted)
        const all = hit.rawHeaders.join('\n')
        expect(all).not.toContain(sentinel)
        expect(all).not.toContain(bench.a.credential)
      }
    },
  )

  test('of its connection, its cookies and its proxies stay outside', async () => {
    const client = bench.client(bench.a)
    if (era === 'legacy') await client.open()
    const headers = {
      connection: 'x-auth, keep-alive',
      'x-auth': sentinel,
      'keep-alive': sentinel,
      cookie: sentinel,
      te: 'trailers',
      expect: '100-continue',
      forwarded: `for=${sentinel}`,
      via: sentinel,
      'x-forwarded-for': sentinel,
      'x-forwarded-host': sentinel,
      'x-real-ip': sentinel,
      'accept-language': sentinel,
      'user-agent': sentinel,
      referer: sentinel,
      baggage: sentinel,
      'last-event-id': sentinel,
    }
    const host = 'localhost:1'
    const chunked = { 'transfer-encoding': 'chunked', host }
    const hits = await bench.hitsDuring(async () => {
      expect((await client.ask(era, toolCall('work'), { ...headers, ...chunked })).status).toBe(200)
    })
    expect(hits.length).toBeGreaterThan(0)
    for (const hit of hits) {
      expect(hit.rawHeaders.join('\n')).not.toContain(sentinel)
      expect(hit.headers.host).toBe(new URL(bench.upstream.url).host)
      expect(hit.headers['transfer-encoding']).toBeUndefined()
      expect(Number(hit.headers['content-length'])).toBe(hit.body.length)
      const unknown = Object.keys(hit.headers).filter(
        (name) => !allowedNames.some((allowed) => allowed.test(name)),
      )
      expect(unknown).toEqual([])
    }
  })

  test("that bear the gateway's internal names change nothing and go nowhere", async () => {
    const source = globSync('src/**/*.ts', { cwd: root })
      .filter((file) => !file.includes('.test.'))
      .map((file) => readFileSync(join(root, file), 'utf8'))
      .join('\n')
    const found = [...source.matchAll(/['"`]((?:x|tollbridge)-[a-z][a-z-]+)['"`]/gi)].map(([, name = '']) =>
      name.toLowerCase(),
    )
    const guessed = [
      'x-tollbridge-user',
      'tollbridge-principal',
      'x-user-id',
      'x-forwarded-user',
      'x-internal',
    ]
    const names = [...new Set([...found, ...guessed])].filter((name) => name !== 'x-api-key')
    expect(names).toEqual(expect.arrayContaining(['tollbridge-call-id', 'tollbridge-cost', 'x-request-id']))
    const client = bench.client(bench.a)
    await client.ask(era, toolCall('work'))
    const headers = Object.fromEntries(names.map((name) => [name, sentinel]))
    let answer: RawAnswer | undefined
    const hits = await bench.hitsDuring(
      async () => (answer = await client.ask(era, toolCall('work'), headers)),
    )
    expect(answer?.status).toBe(200)
    expect(`${JSON.stringify(answer?.headers)}${answer?.text}`).not.toContain(sentinel)
    expect(hits.length).toBe(1)
    expect(hits[0]?.rawHeaders.join('\n')).not.toContain(sentinel)
    const record = await bench.a.ok(
      'GET',
      `/api/v1/billing/usage/${String(answer?.headers['tollbridge-call-id'])}`,
    )
    expect(record).toMatchObject({ userId: bench.a.userId, clientIp: '127.0.0.1' })
    const api = await send(bench.gateway.url, {
      path: '/api/v1/me',
      headers: { ...headers, ...client.own() },
    })
    expect(api.json.userId).toBe(bench.a.userId)
    expect(JSON.stringify(api.headers)).not.toContain(sentinel)
  })
})

describe('SQL in a credential', () => {
  const injections = [
    "' OR '1'='1",
    "' OR 1=1--",
    "x'; DROP TABLE api_key;--",
    "tb_' UNION SELECT 1--",
    '" OR ""="',
    "\\'; --",
  ]

  /** Every row of every table; of sessions their ids, since how they are is written some time later. */
  function contents(): string {
    const db = new DatabaseSync(databaseFile(), { readOnly: true, readBigInts: true })
    // That they were refused is in the audit log.
    const query =
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'audit%' ORDER BY name"
    const tables = db.prepare(query).all() as { name: string }[]
    const columns = (name: string): string => (name === 'session' ? 'id' : '*')
    const rows = tables.map(({ name }) => [name, db.prepare(`SELECT ${columns(name)} FROM "${name}"`).all()])
    db.close()
    return JSON.stringify(rows, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  }

  test('is answered as a wrong credential is, and reads and changes nothing', async () => {
    const { url } = bench.gateway
    const random = `tb_${'0'.repeat(26)}_${randomBytes(32).toString('base64url')}`
    const ask = (headers: Record<string, string>, query = '') =>
      send(url, { path: `/api/v1/me${query}`, headers })
    const asMcp = (headers: Record<string, string>) =>
      new McpClient({ url, credential: undefined }, '/mcp/stub').ask('modern', toolCall('work'), headers)
    const wrong = essence(await ask({ authorization: `Bearer ${random}` }))
    const wrongMcp = essence(await asMcp({ authorization: `Bearer ${random}` }))
    const before = contents()
    const hits = await bench.hitsDuring(async () => {
      for (const text of injections) {
        const basic = `Basic ${Buffer.from(`${text}:x`).toString('base64')}`
        const carriers: Record<string, string>[] = [
          { authorization: `Bearer ${text}` },
          { 'x-api-key': text },
          { authorization: basic },
        ]
        for (const headers of carriers) {
          expect(essence(await ask(headers))).toEqual(wrong)
          expect(essence(await asMcp(headers))).toEqual(wrongMcp)
        }
        const inUrl = await ask({}, `?api_key=${encodeURIComponent(text)}&token=${encodeURIComponent(text)}`)
        expect(inUrl.status).toBe(401)
      }
    })
    expect(hits).toEqual([])
    const login = (username: string, password: string) =>
      bench.gateway.admin.call('POST', '/api/v1/auth/authenticate', { username, password })
    for (const text of injections) {
      expect((await login(text, 'not-the-password')).status).toBeOneOf([400, 401])
      expect((await login('anna', text.padEnd(10))).status).toBeOneOf([400, 401])
    }
    expect(contents()).toBe(before)
  })

  test('in a filter, a name or a cursor is plain text', async () => {
    for (const text of injections) {
      const encoded = encodeURIComponent(text)
      const usage = await bench.a.call('GET', `/api/v1/billing/usage?tool=${encoded}`)
      expect([usage.status, usage.json.items ?? []]).toEqual([200, []])
      for (const path of [
        `/keys?cursor=${encoded}`,
        `/sessions/${encoded}`,
        `/servers/${encoded}`,
        `/billing/usage/${encoded}`,
      ])
        expect((await bench.a.call('GET', `/api/v1${path}`)).status).toBeOneOf([400, 404])
      const { id } = await bench.a.ok('POST', '/api/v1/keys', { name: text })
      const listed = await bench.a.all('/api/v1/keys')
      expect(listed.find((key) => key.id === id)?.name).toBe(text.trim())
      await bench.a.ok('DELETE', `/api/v1/keys/${id}`)
    }
  })
})

test('a key with 31 right bytes is refused as slowly as one with none', async () => {
  const { key } = await bench.a.ok('POST', '/api/v1/keys', { name: 'timed' })
  // The secret may have the sign that is before it: tb_, the id, _ and the secret.
  const secretAt = (key as string).indexOf('_', 'tb_'.length) + 1
  const right = Buffer.from((key as string).slice(secretAt), 'base64url')
  expect(right.length).toBe(32)
  const withPrefix = (bytes: number): string => {
    const guess = Buffer.concat([right.subarray(0, bytes), randomBytes(32 - bytes)])
    if (guess.equals(right)) guess[31] = (guess[31] ?? 0) ^ 1
    return (key as string).slice(0, secretAt) + guess.toString('base64url')
  }
  const timed = async (bytes: number): Promise<number> => {
    const headers = { authorization: `Bearer ${withPrefix(bytes)}` }
    const started = performance.now()
    const { status } = await send(bench.gateway.url, { path: '/api/v1/me', headers })
    expect(status).toBe(401)
    return performance.now() - started
  }
  const times = { none: [] as number[], most: [] as number[] }
  for (let round = 0; round < 1500; round++) {
    const order = round % 2 ? (['none', 'most'] as const) : (['most', 'none'] as const)
    for (const kind of order) times[kind].push(await timed(kind === 'none' ? 0 : 31))
  }
  // Of neighbours, so that whatever else the machine does falls on both alike.
  const longer = median(times.most.map((time, round) => time - (times.none[round] ?? 0)))
  const share = longer / median(times.none)
  expect(Math.abs(share), `${share} of the time`).toBeLessThan(0.1)
})

const databaseFile = (): string => {
  const found = readdirSync(bench.gateway.data).find((name) => name.endsWith('.db'))
  return join(bench.gateway.data, found ?? 'none')
}

describe('stored credentials', () => {
  test('are nowhere in the data folder or the log, in any coding', async () => {
    const { gateway } = bench
    const { key } = await bench.a.ok(
      'POST',
      '/api/v1/keys',
      { name: 'kept' },
      { 'idempotency-key': 'make-key' },
    )
    const again = await bench.a.ok(
      'POST',
      '/api/v1/keys',
      { name: 'kept' },
      { 'idempotency-key': 'make-key' },
    )
    expect(again.key).toBe(key)
    const login = { username: 'bert', password: 'Member-passw0rd-bert' }
    const { token, refreshToken } = await gateway.admin.ok('POST', '/api/v1/auth/authenticate', login, {
      'idempotency-key': 'log-in',
    })
    await addServer(gateway, 'kept', bench.upstream.url, {
      auth: { type: 'bearer', token: 'kept-6b1f00d5a' },
    })
    const hidden = [
      ...Object.values(secrets),
      basicText,
      key,
      (key as string).slice(-43),
      token,
      refreshToken,
    ]
    const all = [
      ...hidden,
      'kept-6b1f00d5a',
      login.password,
      gateway.admin.credential ?? '',
      readFileSync(join(gateway.data, 'secret.key'), 'utf8').trim(),
    ]
    const files = readdirSync(gateway.data, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(files.map(({ name }) => name)).toEqual(expect.arrayContaining(['secret.key']))
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) {
      if (file.name === 'secret.key') continue
      const bytes = readFileSync(join(file.parentPath, file.name))
      for (const secret of all)
        for (const coding of [
          secret,
          Buffer.from(secret).toString('base64').replace(/.?=*$/, ''),
          Buffer.from(secret).toString('hex'),
        ])
          expect([file.name, coding, bytes.includes(coding)]).toEqual([file.name, coding, false])
    }
    for (const secret of all) expect(gateway.log()).not.toContain(secret)
    expect(
      readFileSync(databaseFile()).includes('bert') || readFileSync(`${databaseFile()}-wal`).includes('bert'),
    ).toBe(true)
  })

  test('are shown by no route, only that they are there and their last four characters', async () => {
    const shown: Record<string, string> = {}
    for (const caller of [bench.gateway.admin, bench.a])
      for (const path of [
        '/servers',
        ...Object.keys(expected).map((name) => `/servers/${name}`),
        '/servers/by-variable',
      ]) {
        const { text } = await caller.call('GET', `/api/v1${path}`)
        for (const secret of [...Object.values(secrets), basicText]) expect(text).not.toContain(secret)
        if (caller === bench.gateway.admin) shown[path] = text
      }
    const view = (name: string) => JSON.parse(shown[`/servers/${name}`] ?? '')
    expect(view('by-bearer').auth).toEqual({
      type: 'bearer',
      hasSecret: true,
      last4: secrets.bearer.slice(-4),
    })
    expect(view('by-basic').auth).toMatchObject({ hasSecret: true, last4: secrets.password.slice(-4) })
    expect(view('by-extra').transport.headers).toEqual({
      'X-Extra': { hasSecret: true, last4: secrets.extra.slice(-4) },
    })
    expect(view('by-variable').transport.env).toEqual({
      TOKEN: { hasSecret: true, last4: secrets.variable.slice(-4) },
    })
    const changed = await bench.gateway.admin.call('PATCH', '/api/v1/servers/by-bearer', { description: 'x' })
    expect(changed.text).not.toContain(secrets.bearer)
    const keys = await new ApiCaller(bench.gateway.url, bench.a.credential).call('GET', '/api/v1/keys')
    expect(keys.text).not.toMatch(/tb_[0-9a-z]{26}_/)
  })
})
