// Official clients of both SDK generations, through the gateway, to real servers: they work unaided, and the bill is right.
import { createRequire } from 'node:module'
import { Client as ModernClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startDualEra, type DualEra } from '../upstreams/dual-era.ts'

const everythingPath = createRequire(import.meta.url).resolve(
  '@modelcontextprotocol/server-everything/dist/index.js',
)
const about = { name: 'clients-test', version: '1.0.0' }

let gateway: TestGateway
let fixture: DualEra
let ann: ApiCaller

beforeAll(async () => {
  fixture = await startDualEra()
  gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  await addServer(gateway, 'fixture', fixture.url)
  await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'everything',
    access: 'authenticated',
    transport: { type: 'stdio', command: process.execPath, args: [everythingPath, 'stdio'] },
  })
  const rule = {
    priority: 1,
    active: true,
    currency: 'USD',
    match: { tool: '*' },
    price: { perCall: '0.01' },
  }
  await gateway.admin.ok('POST', '/api/v1/billing/rules', { ...rule, name: 'tools' })
  ann = await gateway.member('ann', { grant: '1' })
})

afterAll(async () => {
  await gateway.stop()
  await fixture.stop()
})

const init = () => ({ requestInit: { headers: { authorization: `Bearer ${ann.credential}` } } })
const endpoint = (server: string) => new URL(`${gateway.url}/mcp/${server}`)

const modes = { legacy: 'legacy', modern: { pin: '2026-07-28' }, auto: 'auto' } as const

async function connectSecond(server: string, mode: keyof typeof modes) {
  const client = new ModernClient(about, { versionNegotiation: { mode: modes[mode] } })
  await client.connect(new StreamableHTTPClientTransport(endpoint(server), init()))
  return client
}

async function connectFirst(server: string) {
  const client = new FirstClient(about)
  await client.connect(new FirstTransport(endpoint(server), init()))
  return client
}

const toolCalls = async (server: string) =>
  (await ann.all(`/api/v1/billing/usage?server=${server}&method=tools/call`)) as {
    tool: string
    outcome: string
    cost: string
    era: string
    upstreamTransport: string
    clientInfo?: string
  }[]

describe('the dual-era server over HTTP', () => {
  test.each(['legacy', 'modern', 'auto'] as const)(
    'SDK 2, %s: discovers, lists, calls, and is billed once',
    async (mode) => {
      const before = (await toolCalls('fixture')).length
      const client = await connectSecond('fixture', mode)
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain('test_simple_text')
      const answer = await client.callTool({ name: 'test_simple_text', arguments: {} })
      expect(JSON.stringify(answer.content)).toContain('text')
      await client.close()
      const [record, ...rest] = await toolCalls('fixture')
      expect(rest.length).toBe(before)
      expect(record).toMatchObject({ tool: 'test_simple_text', outcome: 'success', cost: '0.01' })
      expect(record?.era).toBe(mode === 'legacy' ? 'legacy' : 'modern')
    },
  )

  test('progress arrives while the call runs, not with the answer', async () => {
    const client = await connectSecond('fixture', 'legacy')
    const seen: number[] = []
    await client.callTool(
      { name: 'test_tool_with_progress', arguments: {} },
      { onprogress: ({ progress }) => seen.push(progress) },
    )
    expect(seen.length).toBeGreaterThan(1)
    await client.close()
  })

  test('a tool that fails is a tool error, recorded as such and free', async () => {
    const client = await connectFirst('fixture')
    const answer = await client.callTool({ name: 'test_error_handling', arguments: {} })
    expect(answer.isError).toBe(true)
    await client.close()
    expect((await toolCalls('fixture'))[0]).toMatchObject({ outcome: 'tool_error', cost: '0' })
  })

  test('SDK 1.32 reads resources and prompts through the gateway', async () => {
    const client = await connectFirst('fixture')
    expect((await client.listResources()).resources.length).toBeGreaterThan(0)
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0)
    await client.ping()
    await client.close()
  })
})

describe('server-everything over stdio', () => {
  test('SDK 1.32: echo comes back and names the client on the record', async () => {
    const client = await connectFirst('everything')
    const answer = await client.callTool({ name: 'echo', arguments: { message: 'toll' } })
    expect(JSON.stringify(answer.content)).toContain('toll')
    await client.close()
    const [record] = await toolCalls('everything')
    expect(record).toMatchObject({
      tool: 'echo',
      upstreamTransport: 'stdio',
      clientInfo: 'clients-test/1.0.0',
    })
  })

  test.each(['legacy', 'auto', 'modern'] as const)('SDK 2, %s: lists and calls', async (mode) => {
    const client = await connectSecond('everything', mode)
    expect((await client.listTools()).tools.length).toBeGreaterThan(5)
    const answer = await client.callTool({ name: 'echo', arguments: { message: mode } })
    expect(JSON.stringify(answer.content)).toContain(mode)
    await client.close()
  })
})

test('after all of it the balance is the grant less the records, and verify agrees', async () => {
  const records = [...(await toolCalls('fixture')), ...(await toolCalls('everything'))]
  const cents = records.reduce((sum, { cost }) => sum + Math.round(Number(cost) * 100), 0)
  const account = await ann.ok('GET', `/api/v1/billing/accounts/${ann.accountId}`)
  expect(Math.round(Number(account.balance) * 100)).toBe(100 - cents)
  expect(account.held).toBe('0')
  expect((await gateway.admin.ok('GET', '/api/v1/billing/verify')).ok).toBe(true)
})
