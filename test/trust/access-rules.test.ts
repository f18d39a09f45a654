// Access rules on a real gateway: what a caller may not use is unknown to it and missing from its lists, on every way in.
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
} from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { eras, McpClient, newKey, type Era } from '../faults/callers.ts'
import { cleanUp, expectBalance, expectClean, furnish, startGateway, startUpstream } from '../faults/rig.ts'
import type { Recorder } from '../upstreams/recorder.ts'

const rulesPath = '/api/v1/access-rules'
let gateway: TestGateway
let upstream: Recorder
let ben: ApiCaller
/** `ada` may use everything; `ben` not what begins with `secret`. */
let keys: { ada: string; ben: string }
let accountId: string

beforeAll(async () => {
  upstream = await startUpstream({ tools: ['work', 'secret-one', 'secret-two'] })
  gateway = await startGateway()
  const ada = await furnish(gateway, upstream.url)
  ben = await gateway.member('ben', { grant: '100' })
  accountId = ben.accountId
  keys = { ada: ada.key, ben: await newKey(ben) }
  for (const kind of ['tool', 'prompt', 'resource'])
    await gateway.admin.ok('POST', rulesPath, {
      name: `hide-${kind}s`,
      effect: 'deny',
      server: 'stub',
      kind,
      item: '**secret**',
      who: { users: [ben.userId] },
    })
  const list = (items: string, key: string, names: string[]) => ({
    [items]: names.map((name) => ({ name, [key]: name })),
  })
  const big = '"big":12345678901234567890'
  upstream.on('prompts/list', ({ message, response }) => {
    const text = JSON.stringify({
      jsonrpc: '2.0',
      id: message.id,
      result: {
        ...list('prompts', 'name', ['open', 'secret-prompt']),
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'private',
      },
    })
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(text.replace('"name":"open"', `"name":"open",${big}`))
  })
  upstream.on('resources/list', ({ message, response }) => {
    const result = {
      ...list('resources', 'uri', ['file:///open', 'file:///secret']),
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
    }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
  })
  upstream.on('resources/templates/list', ({ message, response }) => {
    const result = {
      ...list('resourceTemplates', 'uriTemplate', ['open://{x}', 'secret://{x}']),
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
    }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
  })
})
afterAll(cleanUp)

const open = (who: 'ada' | 'ben', era: Era, name = 'stub') =>
  new McpClient(`${gateway.url}/mcp/${name}`, keys[who], era).open()

describe.each(eras)('a %s client', (era) => {
  test('lists what it may use and no more, with every number as it was', async () => {
    const [ada, other] = [await open('ada', era), await open('ben', era)]
    const namesIn = async (caller: McpClient, method: string, items: string, key: string) =>
      ((await caller.request(method)).message.result[items] as Record<string, string>[]).map(
        (item) => item[key],
      )
    for (const [method, items, key, all, shown] of [
      ['tools/list', 'tools', 'name', ['work', 'secret-one', 'secret-two'], ['work']],
      ['prompts/list', 'prompts', 'name', ['open', 'secret-prompt'], ['open']],
      ['resources/list', 'resources', 'uri', ['file:///open', 'file:///secret'], ['file:///open']],
      [
        'resources/templates/list',
        'resourceTemplates',
        'uriTemplate',
        ['open://{x}', 'secret://{x}'],
        ['open://{x}'],
      ],
    ] as const) {
      expect(await namesIn(ada, method, items, key)).toEqual(all)
      expect(await namesIn(other, method, items, key)).toEqual(shown)
    }
    expect((await other.request('prompts/list')).text).toContain('"big":12345678901234567890')
  })

  test('is told that what it may not use is not there; nothing is sent and nothing billed', async () => {
    const caller = await open('ben', era)
    const before = upstream.hits.length
    const answer = await caller.call({ tool: 'secret-one' })
    expect(answer.message.error).toEqual({ code: -32602, message: 'Unknown tool: secret-one' })
    expect([answer.status, answer.headers.get('tollbridge-cost')]).toEqual([200, '0'])
    const other = await caller.call({ tool: 'secret-that-was-never-there' })
    expect(other.message.error.message).toBe('Unknown tool: secret-that-was-never-there')
    expect(upstream.hits.length).toBe(before)
    const record = await gateway.admin.ok('GET', `/api/v1/billing/usage/${answer.callId}`)
    expect(record).toMatchObject({ outcome: 'denied', cost: '0', tool: 'secret-one' })
    expect((await caller.call()).message.result).toBeDefined()
    await expectBalance(gateway, accountId, '100')
    await expectClean(gateway)
  })

  test('cannot reach it by another method, nor by a key, a repeat or another spelling of the request', async () => {
    const url = `${gateway.url}/mcp/stub`
    const caller = await open('ben', era)
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const ask = async (method: string, params: object, mirrored?: string) => {
      const body = {
        jsonrpc: '2.0',
        id: 7,
        method,
        params: era === 'modern' ? { ...params, _meta: meta } : params,
      }
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${keys.ben}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'idempotency-key': `${era}-${method}-${JSON.stringify(params).length}`,
          ...(era === 'modern'
            ? {
                'mcp-method': method,
                ...(mirrored !== undefined && { 'mcp-name': mirrored }),
                'mcp-protocol-version': '2026-07-28',
              }
            : { 'mcp-session-id': caller.session ?? '', 'mcp-protocol-version': '2025-11-25' }),
        },
        body: JSON.stringify(body),
      })
      return (await response.text()).replace(/^event: message\ndata: /, '')
    }
    const before = upstream.hits.length
    const answers = [
      await ask('prompts/get', { name: 'secret-prompt' }, 'secret-prompt'),
      await ask('resources/read', { uri: 'file:///secret' }, 'file:///secret'),
      await ask('completion/complete', {
        ref: { type: 'ref/prompt', name: 'secret-prompt' },
        argument: { name: 'a', value: '' },
      }),
      await ask('completion/complete', {
        ref: { type: 'ref/resource', uri: 'secret://{x}' },
        argument: { name: 'a', value: '' },
      }),
      await ask('tools/call', { name: 'secret-two', arguments: {} }, 'secret-two'),
      await ask('tools/call', { name: 'secret-two', arguments: {} }, 'secret-two'),
      ...(era === 'legacy'
        ? [await ask('resources/subscribe', { uri: 'file:///secret' })]
        : [
            await ask('subscriptions/listen', {
              notifications: { resourceSubscriptions: ['file:///open', 'file:///secret'] },
            }),
          ]),
    ]
    const codes = answers.map((text) => (JSON.parse(text) as { error: { code: number } }).error.code)
    const notFound = era === 'legacy' ? -32002 : -32602
    expect(codes).toEqual([-32602, notFound, -32602, -32602, -32602, -32602, -32602])
    expect(upstream.hits.length).toBe(before)
  })
})

describe('over several servers', () => {
  test('plain /mcp and a bundle hide the same, and say the same of what never was', async () => {
    await gateway.admin.ok('POST', '/api/v1/bundles', {
      name: 'both',
      access: 'authenticated',
      members: [{ server: 'stub' }],
    })
    for (const name of ['', 'both'])
      for (const era of eras) {
        const url = `${gateway.url}/mcp${name && `/${name}`}`
        const caller = await new McpClient(url, keys.ben, era).open()
        const listed = (await caller.request('tools/list')).message.result.tools.map(
          (tool: { name: string }) => tool.name,
        )
        expect(listed.filter((tool: string) => tool.startsWith('stub__'))).toEqual(['stub__work'])
        const hidden = await caller.call({ tool: 'stub__secret-one' })
        const missing = await caller.call({ tool: 'gone__secret-one' })
        const wordsOf = ({ message }: typeof hidden): string => JSON.stringify(message.error)
        expect(wordsOf(hidden)).toBe(wordsOf(missing).replace('gone', 'stub'))
        expect(hidden.status).toBe(missing.status)
        expect(upstream.calls('secret-one')).toEqual([])
      }
  })

  test('the tools of the API are those of the protocol', async () => {
    const tools = await ben.all('/api/v1/servers/stub/tools')
    expect(tools.map(({ name }) => name)).toEqual(['work'])
    expect((await gateway.admin.all('/api/v1/servers/stub/tools')).map(({ name }) => name)).toHaveLength(3)
  })
})

test('the official clients see and call what they may', async () => {
  const requestInit = { headers: { authorization: `Bearer ${keys.ben}` } }
  const url = new URL(`${gateway.url}/mcp/stub`)
  const first = new Client({ name: 'first', version: '1' })
  await first.connect(new StreamableHTTPClientTransport(url, { requestInit }))
  const second = new ModernClient({ name: 'second', version: '1' })
  await second.connect(new ModernTransport(url, { requestInit }))
  for (const sdk of [first, second]) {
    expect((await sdk.listTools()).tools.map(({ name }) => name)).toEqual(['work'])
    await expect(sdk.callTool({ name: 'secret-one', arguments: {} })).rejects.toThrow(
      'Unknown tool: secret-one',
    )
    await sdk.close()
  }
})

test('a rule counts at once, says why, is the administrator’s, and stays over a restart', async () => {
  const rule = await gateway.admin.ok('POST', rulesPath, {
    name: 'ben-may',
    effect: 'allow',
    priority: 1,
    server: 'stub',
    item: 'secret-one',
    who: { users: [ben.userId] },
  })
  const caller = await open('ben', 'modern')
  expect((await caller.call({ tool: 'secret-one' })).message.result).toBeDefined()
  const question = { user: ben.userId, server: 'stub', item: 'secret-one' }
  const told = await gateway.admin.ok('POST', `${rulesPath}/explain`, question)
  expect(told).toMatchObject({
    allowed: true,
    decidedBy: { name: 'ben-may' },
    tested: [{ rule: 'ben-may', matches: true }],
  })
  await gateway.admin.ok('PATCH', `${rulesPath}/ben-may`, { active: false })
  expect((await caller.call({ tool: 'secret-one' })).message.error.code).toBe(-32602)
  const why = await gateway.admin.ok('POST', `${rulesPath}/explain`, question)
  expect(why).toMatchObject({
    allowed: false,
    decidedBy: { name: 'hide-tools' },
    tested: [{ rule: 'ben-may', matches: false, mismatch: 'active' }, { matches: true }],
  })
  expect((await ben.call('GET', rulesPath)).status).toBe(403)
  expect((await ben.call('POST', rulesPath, { name: 'mine', effect: 'allow' })).status).toBe(403)
  for (const wrong of [
    {},
    { effect: 'maybe' },
    { effect: 'deny', who: {} },
    { effect: 'deny', who: { users: ['ben'] } },
    { effect: 'deny', from: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' },
  ])
    expect((await gateway.admin.call('POST', rulesPath, { name: 'wrong', ...wrong })).status).toBe(400)
  await gateway.admin.ok('DELETE', `${rulesPath}/${rule.id}`)
  expect((await gateway.admin.ok('GET', rulesPath)).items.map(({ name }: { name: string }) => name)).toEqual([
    'hide-tools',
    'hide-prompts',
    'hide-resources',
  ])
})

describe.each(eras)('towards a %s client', (era) => {
  test('arguments that a rule does not allow are refused, told, and free; others run', async () => {
    const rules = [
      {
        name: 'small',
        effect: 'allow',
        priority: 1,
        arguments: { properties: { amount: { type: 'number', maximum: 100 } }, required: ['amount'] },
      },
      { name: 'no-more', effect: 'deny', priority: 2 },
    ]
    for (const rule of rules)
      await gateway.admin.ok('POST', rulesPath, {
        ...rule,
        server: 'stub',
        kind: 'tool',
        item: 'work',
        who: { users: [ben.userId] },
      })
    try {
      for (const name of ['/stub', '']) {
        const caller = await new McpClient(`${gateway.url}/mcp${name}`, keys.ben, era).open()
        const tool = name === '' ? 'stub__work' : 'work'
        const listed = (await caller.request('tools/list')).message.result.tools
        expect(listed.map((each: { name: string }) => each.name)).toContain(tool)
        const before = upstream.calls('work').length
        for (const given of [{ amount: 101 }, { amount: '1' }, {}]) {
          const answer = await caller.call({ tool, arguments: given })
          expect(answer.message.result).toMatchObject({
            isError: true,
            structuredContent: { code: 'arguments_denied', rule: 'small' },
          })
          expect(answer.message.result.content[0].text).toContain('amount')
          const record = await gateway.admin.ok('GET', `/api/v1/billing/usage/${answer.callId}`)
          expect(record).toMatchObject({ outcome: 'denied', cost: '0', tool: 'work' })
        }
        expect(upstream.calls('work').length).toBe(before)
        expect((await caller.call({ tool, arguments: { amount: 100 } })).message.result.isError).not.toBe(
          true,
        )
        expect(upstream.calls('work').length).toBe(before + 1)
      }
      const question = { user: ben.userId, server: 'stub', item: 'work', arguments: { amount: 101 } }
      expect(await gateway.admin.ok('POST', `${rulesPath}/explain`, question)).toMatchObject({
        allowed: false,
        decidedBy: { name: 'no-more' },
        tested: [
          { rule: 'small', matches: false, mismatch: 'arguments' },
          { rule: 'no-more', matches: true },
        ],
      })
      await expectClean(gateway)
    } finally {
      for (const { name } of rules) await gateway.admin.ok('DELETE', `${rulesPath}/${name}`)
    }
  })
})

test('a header that mirrors an argument does not tell a denied tool from one that is not there', async () => {
  const mirrored = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
  upstream.on('tools/list', ({ message, response }) => {
    const tools = ['work', 'secret-one'].map((name) => ({ name, inputSchema: mirrored }))
    const result = { tools, resultType: 'complete', ttlMs: 0, cacheScope: 'private' }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
  })
  await gateway.admin.ok('POST', '/api/v1/servers/stub/test-connection')
  const caller = await open('ben', 'modern')
  const ask = (tool: string) =>
    caller.call({ tool, arguments: { region: 'eu' }, headers: { 'mcp-param-region': 'us' } })
  expect((await ask('work')).message.error.code).toBe(-32020)
  const [denied, missing] = [await ask('secret-one'), await ask('secret-none')]
  expect(JSON.stringify(denied.message.error)).toBe(
    JSON.stringify(missing.message.error).replace('secret-none', 'secret-one'),
  )
  expect(denied.status).toBe(missing.status)
})

test('rules name groups; a change of a user’s groups counts at once', async () => {
  await gateway.admin.ok('POST', rulesPath, {
    name: 'sales-see-two',
    effect: 'allow',
    priority: 1,
    server: 'stub',
    item: 'secret-two',
    who: { groups: ['Sales EU', 'legal'] },
  })
  const call = async () => (await (await open('ben', 'legacy')).call({ tool: 'secret-two' })).message
  expect((await call()).error.code).toBe(-32602)
  await gateway.admin.ok('PATCH', `/api/v1/users/${ben.userId}`, { groups: ['Sales EU'] })
  expect((await call()).result).toBeDefined()
  await gateway.admin.ok('PATCH', `/api/v1/users/${ben.userId}`, { groups: [] })
  expect((await call()).error.code).toBe(-32602)
  await gateway.admin.ok('DELETE', `${rulesPath}/sales-see-two`)
})

test('a suspended key is refused at once, its stream ends, and only an administrator gives it back', async () => {
  const { id, key } = await ben.ok('POST', '/api/v1/keys', { name: 'quarantined' })
  const client = await new McpClient(`${gateway.url}/mcp/stub`, key, 'legacy').open()
  const stream = await fetch(`${gateway.url}/mcp/stub`, {
    headers: {
      authorization: `Bearer ${key}`,
      accept: 'text/event-stream',
      'mcp-session-id': client.session ?? '',
      'mcp-protocol-version': '2025-11-25',
    },
  })
  expect(stream.status).toBe(200)
  const ended = stream.text()
  const path = `/api/v1/keys/${id}`
  await gateway.admin.ok('PATCH', path, { suspended: true })
  const refused = await new McpClient(`${gateway.url}/mcp/stub`, key, 'modern').call()
  expect(refused.status).toBe(401)
  await ended
  expect((await ben.call('PATCH', path, { suspended: false })).status).toBe(403)
  await gateway.admin.ok('PATCH', path, { suspended: false })
  expect((await new McpClient(`${gateway.url}/mcp/stub`, key, 'modern').call()).status).toBe(200)
})
