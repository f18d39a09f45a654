// What an agent sees of the money: prices in tools/list and the cost of a call, over every transport and both eras.
import { Client as ModernClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import type { Destination } from '../matrix/conversation.ts'
import { startFixture, type Fixture } from '../matrix/fixture.ts'
import { through } from '../matrix/rig.ts'

const about = { name: 'prices-test', version: '1.0.0' }
const wanted = { 'tollbridge/report': true }
const priceKey = 'tollbridge/price'
const costKey = 'tollbridge/cost'

type Asked = Record<string, unknown>
type Meta = Readonly<Record<string, unknown>> | undefined
interface Listed {
  readonly name: string
  readonly _meta?: Meta
}
interface Agent {
  listTools(meta?: Asked): Promise<{ readonly tools: readonly Listed[]; readonly _meta?: Meta }>
  callTool(name: string, meta?: Asked): Promise<{ readonly _meta?: Meta; readonly isError?: unknown }>
  close(): Promise<void>
}

let fixture: Fixture
let gateway: TestGateway
let ann: ApiCaller

beforeAll(async () => {
  fixture = await startFixture()
  gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  await register('plain', '2025-11-25')
  await register('shown', '2025-11-25', { showPrices: true })
  await register('newer', '2026-07-28', { showPrices: true })
  await rule('echo', { tool: 'echo' }, { perCall: '0.01', perKb: '0.001', maximum: '0.5' })
  await rule('echo of newer', { server: 'newer', tool: 'echo' }, { perCall: '0.02' })
  await gateway.admin.ok('POST', '/api/v1/bundles', {
    name: 'both',
    access: 'authenticated',
    members: [{ server: 'plain' }, { server: 'newer', rename: { echo: 'say' } }],
  })
  ann = await gateway.member('ann', { grant: '100' })
})

afterAll(async () => {
  await gateway.stop()
  await fixture.stop()
})

const register = (name: string, revision: '2025-11-25' | '2026-07-28', more: object = {}) =>
  gateway.admin.ok('POST', '/api/v1/servers', {
    name,
    access: 'authenticated',
    transport: fixture.registration({ transport: 'streamable-http', revision }),
    ...more,
  })

const rule = (name: string, match: object, price: object) =>
  gateway.admin.ok('POST', '/api/v1/billing/rules', { name, currency: 'USD', match, price })

async function destinationOf(name: string): Promise<Destination> {
  const { key } = await ann.ok('POST', '/api/v1/keys', { name: 'prices' })
  return through(gateway.url, name, key)
}

async function legacyAgent(transport: Transport): Promise<Agent> {
  const client = new Client(about)
  await client.connect(transport)
  return {
    listTools: (_meta) => client.listTools({ _meta }),
    callTool: (name, _meta) => client.callTool({ name, arguments: { message: 'toll' }, _meta }),
    close: () => client.close(),
  }
}

const init = ({ headers }: Destination) => ({ requestInit: { headers } })

const agents = {
  'Streamable HTTP, legacy': (to: Destination) =>
    legacyAgent(new FirstTransport(new URL(to.streamableHttp), init(to))),
  'HTTP+SSE': (to: Destination) =>
    legacyAgent(
      new SSEClientTransport(new URL(to.sse), {
        ...init(to),
        eventSourceInit: {
          fetch: (url, options) =>
            fetch(url, { ...options, headers: { ...options?.headers, ...to.headers } }),
        },
      }),
    ),
  'stdio (tollbridge connect)': (to: Destination) => {
    const [command = '', ...args] = to.stdio
    return legacyAgent(
      new StdioClientTransport({
        command,
        args,
        env: process.env as Record<string, string>,
        stderr: 'ignore',
      }),
    )
  },
  'Streamable HTTP, modern': async (to: Destination): Promise<Agent> => {
    const client = new ModernClient(about, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
    await client.connect(new StreamableHTTPClientTransport(new URL(to.streamableHttp), init(to)))
    return {
      listTools: (_meta) =>
        client.listTools({ ...(_meta && { _meta: { ..._meta } }) }, { cacheMode: 'bypass' } as object),
      callTool: async (name, _meta) =>
        client.callTool({ name, arguments: { message: 'toll' }, ...(_meta && { _meta: { ..._meta } }) }),
      close: () => client.close(),
    }
  },
}

const tagsOf = (tools: readonly Listed[]): Record<string, unknown> =>
  Object.fromEntries(tools.flatMap(({ name, _meta }) => (_meta?.[priceKey] ? [[name, _meta[priceKey]]] : [])))

describe.each(Object.entries(agents))('over %s', (_kind, connect) => {
  const open = async (name: string): Promise<Agent> => connect(await destinationOf(name))

  test('a list shows no price of a server that shows none, unless it is asked to', async () => {
    const agent = await open('plain')
    expect(tagsOf((await agent.listTools()).tools)).toEqual({})
    const tags = tagsOf((await agent.listTools(wanted)).tools)
    expect(tags['echo']).toMatchObject({
      priced: true,
      price: { perCall: '0.01', perKb: '0.001', maximum: '0.5' },
      currency: 'USD',
      rule: { id: expect.stringMatching(/^rul_/), version: 1, name: 'echo' },
      text: '0.01 USD per call + 0.001 USD per KB, at most 0.5 USD a call',
    })
    expect(tags['add']).toEqual({ priced: false, currency: 'USD', text: expect.any(String) })
    await agent.close()
  })

  test('a server with showPrices tells them unasked', async () => {
    const agent = await open('shown')
    const { tools } = await agent.listTools()
    expect(Object.keys(tagsOf(tools)).sort()).toEqual(tools.map(({ name }) => name).sort())
    await agent.close()
  })

  test('in a bundle and on /mcp each tool has the price that its own server has', async () => {
    for (const [name, plain, newer] of [
      ['both', 'plain__echo', 'newer__say'],
      ['', 'plain__echo', 'newer__echo'],
    ] as const) {
      const agent = await open(name)
      const unasked = tagsOf((await agent.listTools()).tools)
      expect(unasked).toMatchObject({
        [newer]: { text: '0.02 USD per call', rule: { name: 'echo of newer' } },
      })
      expect(unasked).not.toHaveProperty(plain)
      const asked = tagsOf((await agent.listTools(wanted)).tools)
      expect(asked).toMatchObject({
        [newer]: { price: { perCall: '0.02' } },
        [plain]: { rule: { name: 'echo' } },
      })
      if (name === '') expect(asked).toMatchObject({ tollbridge__get_balance: { priced: false } })
      await agent.close()
    }
  })

  test('a call tells what it cost where its caller asks, also through a bundle', async () => {
    for (const [name, tool] of [
      ['newer', 'echo'],
      ['both', 'newer__say'],
    ] as const) {
      const agent = await open(name)
      const silent = await agent.callTool(tool)
      expect(silent._meta ?? {}).not.toHaveProperty(costKey)
      const { _meta } = await agent.callTool(tool, wanted)
      expect(_meta?.[costKey]).toEqual({
        amount: '0.02',
        currency: 'USD',
        balance: expect.stringMatching(/^\d+(\.\d+)?$/),
        callId: expect.stringMatching(/^use_/),
      })
      const callId = (_meta?.[costKey] as { callId: string } | undefined)?.callId
      expect(await ann.ok('GET', `/api/v1/billing/usage/${callId}`)).toMatchObject({
        server: 'newer',
        cost: '0.02',
      })
      await agent.close()
    }
  })
})

test('the list of the API and the list of the protocol tell the same prices', async () => {
  const agent = await agents['Streamable HTTP, legacy'](await destinationOf('shown'))
  const { tools } = await agent.listTools()
  await agent.close()
  const { items } = await ann.ok('GET', '/api/v1/servers/shown/tools?limit=100')
  for (const { name, price } of items as { name: string; price: { ruleId: string; text: string } | null }[]) {
    const tag = tagsOf(tools)[name] as { priced: boolean; text: string; rule?: { id: string } }
    expect([tag.priced, tag.rule?.id]).toEqual([price !== null, price?.ruleId])
    if (price) expect(tag.text).toBe(price.text)
  }
})

test('each answer of a batch tells its own cost', async () => {
  const { streamableHttp, headers } = await destinationOf('plain')
  const post = (body: object, more: Record<string, string> = {}) =>
    fetch(streamableHttp, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...more,
      },
      body: JSON.stringify(body),
    })
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: about }
  const opened = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
  await opened.text()
  await (await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session)).text()
  const call = (id: number, _meta?: object) => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'echo', arguments: { message: 'toll' }, ...(_meta && { _meta }) },
  })
  const text = await (await post([call(1, wanted), call(2), call(3, wanted)], session)).text()
  const lines = text.startsWith('[')
    ? (JSON.parse(text) as { id: number; result: { _meta?: Meta } }[])
    : text.split('\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []))
  const told = Object.fromEntries(lines.map(({ id, result }) => [id, result?._meta?.[costKey] !== undefined]))
  expect(told).toEqual({ 1: true, 2: false, 3: true })
})
