// Aggregates through the real gateway: who sees what, who is billed for what, and what happens while a member is down.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { Client as ModernClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { Refused, type ClientKind, type Conversation, type Destination } from '../matrix/conversation.ts'
import { openFirst } from '../matrix/first-client.ts'
import { startFixture, type Fixture } from '../matrix/fixture.ts'
import { eraOf, type Revision, type TransportName } from '../matrix/revisions.ts'
import { through } from '../matrix/rig.ts'
import { openSecond } from '../matrix/second-client.ts'
import { startDualEra, type DualEra } from '../upstreams/dual-era.ts'

const legacy = '2025-11-25'
const modern = '2026-07-28'

interface Usage {
  readonly id: string
  readonly method: string
  readonly server: string
  readonly tool?: string
  readonly outcome: string
  readonly cost: string
}

let fixture: Fixture
let shaky: DualEra
let gateway: TestGateway
let ann: ApiCaller

beforeAll(async () => {
  fixture = await startFixture()
  shaky = await startDualEra()
  gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  await register('alpha', legacy)
  await register('beta', modern)
  await register('secret', legacy, { access: 'private' })
  const prices = { '*': '0.5', alpha: '0.01', beta: '0.02', mcp: '7', tools: '9' }
  for (const [server, perCall] of Object.entries(prices))
    await gateway.admin.ok('POST', '/api/v1/billing/rules', {
      name: `calls of ${server}`,
      currency: 'USD',
      match: { server, tool: server === '*' ? '*' : 'echo', method: 'tools/call' },
      price: { perCall },
    })
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'lists of prompts',
    currency: 'USD',
    match: { method: 'prompts/list' },
    price: { perCall: '0.03' },
  })
  await gateway.admin.ok('POST', '/api/v1/bundles', {
    name: 'tools',
    access: 'authenticated',
    members: [
      { server: 'alpha', include: ['echo', 'add'], rename: { echo: 'say' } },
      { server: 'beta', exclude: ['echo'] },
      { server: 'secret' },
    ],
  })
  ann = await gateway.member('ann', { grant: '100' })
})

afterAll(async () => {
  await gateway.stop()
  await shaky.stop()
  await fixture.stop()
})

const register = (name: string, revision: Revision, more: object = {}) =>
  gateway.admin.ok('POST', '/api/v1/servers', {
    name,
    access: 'authenticated',
    transport: fixture.registration({ transport: 'streamable-http', revision }),
    ...more,
  })

interface Way {
  readonly destination: Destination
  usage(): Promise<Usage[]>
}

/** A way to `/mcp`, or to a bundle, under a key of its own. */
async function wayTo(
  name = '',
  { caller = ann, servers }: { caller?: ApiCaller; servers?: string[] } = {},
): Promise<Way> {
  const { id, key } = await caller.ok('POST', '/api/v1/keys', {
    name: 'aggregate',
    ...(servers && { servers }),
  })
  return {
    destination: through(gateway.url, name, key),
    usage: async () => ((await caller.all(`/api/v1/billing/usage?key=${id}`)) as Usage[]).toReversed(),
  }
}

type Kind = readonly [TransportName, Revision]
const kinds: readonly Kind[] = [
  ['streamable-http', legacy],
  ['sse', legacy],
  ['websocket', legacy],
  ['streamable-http', modern],
  ['websocket', modern],
  ['stdio', legacy],
  ['stdio', modern],
]

const open = ([transport, revision]: Kind, { destination }: Way): Promise<Conversation> => {
  const kind: ClientKind = { transport, revision, sdk: eraOf(revision) === 'modern' ? '2.4' : '1.32' }
  return kind.sdk === '2.4' ? openSecond(kind, destination) : openFirst(kind, destination)
}

const toolNames = async (client: Conversation): Promise<string[]> =>
  (await client.listTools()).map(({ name }) => name)
const priced = (usage: readonly Usage[]): Usage[] => usage.filter(({ cost }) => cost !== '0')
const of = (usage: readonly Usage[], method: string): Usage[] => usage.filter((one) => one.method === method)

/** What a refusal says, whatever it was about. */
async function refusal(client: Conversation, tool: string): Promise<object> {
  try {
    return { answered: await client.callTool(tool, {}) }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { code: error.code, data: error.data, message: error.message.replaceAll(tool, 'TOOL') }
  }
}

describe.each(kinds)('a client over %s, %s', (...kind) => {
  test('lists all that it may use under one record, and its calls are billed to members', async () => {
    const way = await wayTo()
    const client = await open(kind, way)
    const names = await toolNames(client)
    expect(names).toContain('alpha__echo')
    expect(names).toContain('beta__echo')
    expect(names.filter((name) => name.startsWith('secret__'))).toEqual([])
    const message = { message: 'toll' }
    expect((await client.callTool('alpha__echo', message)).content[0]?.text).toBe('{"message":"toll"}')
    expect((await client.callTool('beta__echo', message)).content[0]?.text).toBe('{"message":"toll"}')
    await client.close()
    const usage = await way.usage()
    expect(of(usage, 'tools/list')).toMatchObject([{ server: 'mcp', outcome: 'success', cost: '0' }])
    const [transport, revision] = kind
    const place = { transport, era: eraOf(revision), upstreamTransport: 'streamable-http' }
    expect(of(usage, 'tools/call')).toMatchObject([
      { ...place, server: 'alpha', tool: 'echo', cost: '0.01', upstreamEra: 'legacy' },
      { ...place, server: 'beta', tool: 'echo', cost: '0.02', upstreamEra: 'modern' },
    ])
    const own = usage.filter(({ method }) => method !== 'tools/call')
    expect([...new Set(own.map(({ server }) => server))]).toEqual(['mcp'])
    expect(priced(usage)).toHaveLength(2)
  })

  test('is charged once for a call that asks it something', async () => {
    const way = await wayTo()
    const client = await open(kind, way)
    for (const server of ['alpha', 'beta'])
      expect((await client.callTool(`${server}__elicit`, { question: server })).content[0]?.text).toBe(
        'accept Ada',
      )
    expect(client.heard.asked).toEqual(['alpha', 'beta'])
    await client.close()
    expect(priced(await way.usage())).toMatchObject([
      { server: 'alpha', tool: 'elicit', cost: '0.5' },
      { server: 'beta', tool: 'elicit', cost: '0.5' },
    ])
  })

  test('cannot tell what it may not use from what is not there, and pays for neither', async () => {
    const way = await wayTo()
    const client = await open(kind, way)
    const unknown = await refusal(client, 'nowhere__echo')
    expect(unknown).toMatchObject({ code: -32602 })
    for (const tool of ['secret__echo', 'secret__nothing', 'echo', 'alpha_echo'])
      expect(await refusal(client, tool)).toEqual(unknown)
    await client.close()
    expect(priced(await way.usage())).toEqual([])
    expect((await way.usage()).filter(({ server }) => server !== 'mcp')).toEqual([])
  })

  test('reaches with a limited key only the servers of the key', async () => {
    const way = await wayTo('', { servers: ['beta'] })
    const client = await open(kind, way)
    expect((await toolNames(client)).filter((name) => !name.startsWith('beta__'))).toEqual([])
    const unknown = await refusal(client, 'nowhere__echo')
    expect(await refusal(client, 'alpha__echo')).toEqual(unknown)
    expect((await client.callTool('beta__echo', {})).isError).not.toBe(true)
    await client.close()
    expect(priced(await way.usage())).toMatchObject([{ server: 'beta', cost: '0.02' }])
  })

  test('reads resources of members, which are recorded as theirs', async () => {
    const way = await wayTo()
    const client = await open(kind, way)
    const uris = (await client.listResources()).map(({ uri }) => uri)
    const [first = '', second = ''] = uris
    expect(uris).toHaveLength(2)
    expect(await client.readResource(first)).toContain('matrix://static')
    expect(await client.readResource(second)).toContain('matrix://static')
    expect(await client.getPrompt('beta__greet', { word: 'hej' })).toBe('Say hej')
    await client.close()
    const usage = await way.usage()
    expect(of(usage, 'resources/read').map(({ server }) => server)).toEqual(['alpha', 'beta'])
    expect(of(usage, 'resources/list').map(({ server }) => server)).toEqual(['mcp'])
    expect(of(usage, 'prompts/get').map(({ server }) => server)).toEqual(['beta'])
  })

  test('pays for a list once, however many members are asked for it', async () => {
    const way = await wayTo()
    const client = await open(kind, way)
    const names = (await client.listPrompts()).map(({ name }) => name)
    expect(names).toEqual(['alpha__greet', 'beta__greet'])
    await client.close()
    expect(priced(await way.usage())).toMatchObject([{ method: 'prompts/list', server: 'mcp', cost: '0.03' }])
  })

  test("is billed under a bundle's new name by the tool's own", async () => {
    const way = await wayTo('tools')
    const client = await open(kind, way)
    const names = await toolNames(client)
    expect(names.filter((name) => name.startsWith('alpha__'))).toEqual(['alpha__say', 'alpha__add'])
    expect(names).not.toContain('beta__echo')
    expect(names.filter((name) => name.startsWith('secret__'))).toEqual([])
    expect((await client.callTool('alpha__say', { message: 'x' })).content[0]?.text).toBe('{"message":"x"}')
    const unknown = await refusal(client, 'alpha__nothing')
    for (const tool of ['alpha__echo', 'alpha__fail', 'beta__echo', 'secret__echo'])
      expect(await refusal(client, tool)).toEqual(unknown)
    await client.close()
    const usage = await way.usage()
    expect(priced(usage)).toMatchObject([{ server: 'alpha', tool: 'echo', cost: '0.01' }])
    expect(of(usage, 'tools/list')).toMatchObject([{ server: 'tools', cost: '0' }])
  })
})

test('its owner and an administrator see a private server behind /mcp', async () => {
  const way = await wayTo('', { caller: gateway.admin })
  const client = await open(['streamable-http', legacy], way)
  expect(await toolNames(client)).toContain('secret__echo')
  expect((await client.callTool('secret__echo', {})).isError).not.toBe(true)
  await client.close()
  expect(priced(await way.usage())).toMatchObject([{ server: 'secret', tool: 'echo', cost: '0.5' }])
})

test('a subscription to an aggregate is one record, whatever it takes to ask the members', async () => {
  const way = await wayTo()
  const client = await open(['streamable-http', modern], way)
  const uris = (await client.listResources()).map(({ uri }) => uri)
  expect(uris).toHaveLength(2)
  const watched = uris.map((uri) => uri.replace('matrix://static', 'matrix://watched/both'))
  const ends = [await client.subscribe(watched[0] ?? ''), await client.subscribe(watched[1] ?? '')]
  for (const server of ['alpha', 'beta'])
    await client.callTool(`${server}__touch`, { uri: 'matrix://watched/both' })
  await expect.poll(() => [...new Set(client.heard.updated)].sort(), { timeout: 10_000 }).toEqual(watched)
  for (const end of ends) await end()
  await client.close()
  const listens = async () => of(await way.usage(), 'subscriptions/listen')
  await expect.poll(listens, { timeout: 10_000 }).toHaveLength(2)
  expect(await listens()).toMatchObject([{ server: 'mcp' }, { server: 'mcp' }])
  const members = (await way.usage()).filter(({ server }) => server !== 'mcp')
  expect([...new Set(members.map(({ method }) => method))]).toEqual(['tools/call'])
  expect(priced(await way.usage())).toHaveLength(2)
})

test('an account that cannot pay a member is refused as that member, and nothing is sent', async () => {
  const poor = await gateway.member('poor', { grant: '0.015' })
  const way = await wayTo('', { caller: poor })
  const client = await open(['websocket', modern], way)
  expect((await client.callTool('beta__echo', {})).structuredContent).toMatchObject({
    code: 'balance_exhausted',
  })
  expect((await client.callTool('alpha__echo', {})).isError).not.toBe(true)
  await client.close()
  expect(of(await way.usage(), 'tools/call')).toMatchObject([
    { server: 'beta', tool: 'echo', outcome: 'denied', cost: '0' },
    { server: 'alpha', tool: 'echo', outcome: 'success', cost: '0.01' },
  ])
})

test('a repeated key and a cost report work through an aggregate as at the member', async () => {
  const way = await wayTo()
  const info = { name: 'keys', version: '1' }
  const client = new ModernClient(info, { versionNegotiation: { mode: { pin: modern } } })
  const { headers, streamableHttp } = way.destination
  await client.connect(
    new StreamableHTTPClientTransport(new URL(streamableHttp), { requestInit: { headers } }),
  )
  const _meta = { 'tollbridge/idempotency-key': 'through /mcp', 'tollbridge/report': true }
  const call = () => client.callTool({ name: 'alpha__echo', arguments: { message: 'key' }, _meta })
  const answers = [...(await Promise.all([call(), call()])), await call()]
  await client.close()
  const [record, ...rest] = of(await way.usage(), 'tools/call')
  expect(rest).toEqual([])
  expect(record).toMatchObject({ server: 'alpha', tool: 'echo', cost: '0.01' })
  const [first, ...repeats] = answers
  expect(first?._meta?.['tollbridge/cost']).toMatchObject({ amount: '0.01', callId: record?.id })
  for (const { content } of repeats) expect(content).toEqual(first?.content)
})

test('while a member is down, its last list is shown and it is named; the others answer', async () => {
  await addServer(gateway, 'shaky', shaky.url)
  const way = await wayTo()
  const client = new ModernClient(
    { name: 'down', version: '1' },
    { versionNegotiation: { mode: { pin: modern } } },
  )
  const { headers, streamableHttp } = way.destination
  await client.connect(
    new StreamableHTTPClientTransport(new URL(streamableHttp), { requestInit: { headers } }),
  )
  const list = async () => {
    const { tools, _meta } = await client.listTools()
    return { names: tools.map(({ name }) => name), missing: _meta?.['tollbridge/missing'] }
  }
  const before = await list()
  expect(before.missing).toBeUndefined()
  expect(before.names).toContain('shaky__test_simple_text')
  await shaky.stop()
  const after = await list()
  expect(after.names).toEqual(before.names)
  expect(after.missing).toMatchObject([{ server: 'shaky', reason: expect.stringContaining('last') }])
  const failed = await client.callTool({ name: 'shaky__test_simple_text', arguments: {} })
  expect(failed.isError).toBe(true)
  const answered = await client.callTool({ name: 'beta__echo', arguments: { message: 'still' } })
  expect(JSON.stringify(answered.content)).toContain('still')
  await client.close()
  expect(priced(await way.usage())).toMatchObject([{ server: 'beta', cost: '0.02' }])
  expect(of(await way.usage(), 'tools/call')).toMatchObject([
    { server: 'shaky', tool: 'test_simple_text', outcome: 'error', cost: '0' },
    { server: 'beta', tool: 'echo', outcome: 'success' },
  ])
  await gateway.admin.ok('DELETE', '/api/v1/servers/shaky')
})

test('a legacy SSE client hears of a server that is registered, and of one that goes', async () => {
  const { destination } = await wayTo()
  const client = new Client({ name: 'listener', version: '1' })
  let changes = 0
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++)
  const { headers, sse } = destination
  const fetchWith = (url: string | URL, init: RequestInit = {}) => {
    const all = new Headers(init.headers)
    for (const [name, value] of Object.entries(headers)) all.set(name, value)
    return fetch(url, { ...init, headers: all })
  }
  await client.connect(new SSEClientTransport(new URL(sse), { fetch: fetchWith }))
  const names = async () => (await client.listTools()).tools.map(({ name }) => name)
  expect(await names()).not.toContain('gamma__echo')
  await register('gamma', legacy)
  await expect.poll(() => changes, { timeout: 10_000 }).toBeGreaterThan(0)
  expect(await names()).toContain('gamma__echo')
  const heard = changes
  await gateway.admin.ok('DELETE', '/api/v1/servers/gamma')
  await expect.poll(() => changes, { timeout: 10_000 }).toBeGreaterThan(heard)
  expect(await names()).not.toContain('gamma__echo')
  await client.close()
})

test('after all of it nothing is held, the balance is the grant less the records, and verify agrees', async () => {
  const usage = (await ann.all(`/api/v1/billing/usage?user=${ann.userId}`)) as Usage[]
  const cents = usage.reduce((sum, { cost }) => sum + Math.round(Number(cost) * 100), 0)
  const read = () => ann.ok('GET', `/api/v1/billing/accounts/${ann.accountId}`)
  await expect.poll(async () => (await read()).held, { timeout: 10_000 }).toBe('0')
  expect(Math.round(Number((await read()).balance) * 100)).toBe(10_000 - cents)
  expect(await gateway.admin.ok('GET', '/api/v1/billing/verify')).toMatchObject({ ok: true, differences: [] })
})
