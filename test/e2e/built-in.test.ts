// The gateway's own MCP server: over every transport and both eras it tells a caller of their own account, for free.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import type { ClientKind, Conversation } from '../matrix/conversation.ts'
import { openFirst } from '../matrix/first-client.ts'
import { startFixture, type Fixture } from '../matrix/fixture.ts'
import { eraOf, type Revision, type TransportName } from '../matrix/revisions.ts'
import { through } from '../matrix/rig.ts'
import { openSecond } from '../matrix/second-client.ts'

const legacy = '2025-11-25'
const modern = '2026-07-28'
const tools = ['get_balance', 'get_usage', 'get_price', 'list_servers']

type Kind = readonly [TransportName, Revision]
const kinds: readonly Kind[] = [
  ['streamable-http', '2025-03-26'],
  ['streamable-http', legacy],
  ['sse', '2024-11-05'],
  ['sse', legacy],
  ['websocket', legacy],
  ['streamable-http', modern],
  ['websocket', modern],
  ['stdio', legacy],
  ['stdio', modern],
]

let fixture: Fixture
let gateway: TestGateway
let ann: ApiCaller
let bob: ApiCaller

beforeAll(async () => {
  fixture = await startFixture()
  gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  await register('alpha', 'authenticated')
  await register('secret', 'private')
  // Would price every call there is.
  await rule('everything', {}, '0.5')
  await rule('alpha', { server: 'alpha', tool: 'echo' }, '0.01')
  await gateway.admin.ok('POST', '/api/v1/bundles', {
    name: 'tools',
    access: 'authenticated',
    members: [{ server: 'alpha' }],
  })
  ann = await gateway.member('ann', { grant: '100' })
  bob = await gateway.member('bob', { grant: '7' })
})

afterAll(async () => {
  await gateway.stop()
  await fixture.stop()
})

const register = (name: string, access: string) =>
  gateway.admin.ok('POST', '/api/v1/servers', {
    name,
    access,
    transport: fixture.registration({ transport: 'streamable-http', revision: legacy }),
  })

const rule = (name: string, match: object, perCall: string) =>
  gateway.admin.ok('POST', '/api/v1/billing/rules', { name, currency: 'USD', match, price: { perCall } })

/** A client under a key of its own, and what that key's calls left. */
async function open([transport, revision]: Kind, name: string, caller = ann, limit: object = {}) {
  const { id, key } = await caller.ok('POST', '/api/v1/keys', { name: 'built-in', ...limit })
  const destination = through(gateway.url, name, key)
  const kind: ClientKind = { transport, revision, sdk: eraOf(revision) === 'modern' ? '2.4' : '1.32' }
  const client = await (kind.sdk === '2.4' ? openSecond(kind, destination) : openFirst(kind, destination))
  const usage = async () =>
    ((await caller.all(`/api/v1/billing/usage?key=${id}`)) as Record<string, unknown>[]).toReversed()
  return { client, usage }
}

/** The structured answer, of which the SDKs checked that it fits the tool's output schema. */
const ask = async (client: Conversation, tool: string, args: Record<string, unknown> = {}) => {
  const { structuredContent, content, isError } = await client.callTool(tool, args)
  expect(content[0]?.text).toEqual(expect.any(String))
  return { data: structuredContent as Record<string, unknown>, isError: isError === true }
}

describe.each(kinds)('over %s, %s', (...kind) => {
  test('its tools answer, as /mcp/tollbridge and as a member of /mcp', async () => {
    for (const [name, prefix] of [
      ['tollbridge', ''],
      ['', 'tollbridge__'],
    ] as const) {
      const { client, usage } = await open(kind, name)
      const listed = (await client.listTools()).map((tool) => tool.name)
      expect(listed.filter((tool) => tools.includes(tool.replace(prefix, '')))).toEqual(
        tools.map((tool) => `${prefix}${tool}`).toSorted((a, b) => listed.indexOf(a) - listed.indexOf(b)),
      )
      const balance = await ask(client, `${prefix}get_balance`)
      expect(balance.data).toMatchObject({ accountId: ann.accountId, currency: 'USD', mode: 'prepaid' })
      const price = await ask(client, `${prefix}get_price`, { server: 'alpha', tool: 'echo' })
      expect(price.data).toMatchObject({
        priced: true,
        price: { perCall: '0.01' },
        text: '0.01 USD per call',
      })
      const servers = await ask(client, `${prefix}list_servers`)
      expect(servers.data['servers']).toMatchObject([
        { name: 'alpha', kind: 'server', url: `${gateway.url}/mcp/alpha` },
        { name: 'tollbridge', kind: 'built-in' },
        { name: 'tools', kind: 'bundle' },
      ])
      const spent = await ask(client, `${prefix}get_usage`, { period: 'today', groupBy: ['server'] })
      expect(spent.data).toMatchObject({ currency: 'USD', timeZone: 'UTC' })
      await client.close()
      const calls = (await usage()).filter(({ method }) => method === 'tools/call')
      const [transport, revision] = kind
      const record = { server: 'tollbridge', outcome: 'success', cost: '0', priced: false, transport }
      const way = { upstreamTransport: 'built-in', upstreamEra: 'modern', era: eraOf(revision) }
      expect(calls).toMatchObject(
        ['get_balance', 'get_price', 'list_servers', 'get_usage'].map((tool) => ({
          ...record,
          ...way,
          tool,
        })),
      )
    }
  })
})

describe('what it tells', () => {
  const kind = ['streamable-http', modern] as const

  test('usage adds up to what the records say, and the balance to what is left', async () => {
    const carl = await gateway.member('carl', { grant: '1' })
    const alpha = await open(kind, 'alpha', carl)
    for (let call = 0; call < 3; call++) await alpha.client.callTool('echo', { message: 'toll' })
    await alpha.client.close()
    const { client } = await open(kind, 'tollbridge', carl)
    const { data } = await ask(client, 'get_usage', { groupBy: ['server', 'tool'] })
    const records = await alpha.usage()
    const total = records.reduce((sum, { cost }) => sum + Number(cost), 0)
    expect(Number(data['cost'])).toBeCloseTo(total, 9)
    expect(data['groups']).toEqual(
      expect.arrayContaining([{ server: 'alpha', tool: 'echo', calls: 3, failedCalls: 0, cost: '0.03' }]),
    )
    const balance = await ask(client, 'get_balance')
    expect(Number(balance.data['available'])).toBeCloseTo(1 - total, 9)
    await client.close()
  })

  test('is about the caller’s own account, whoever else calls', async () => {
    const { client } = await open(kind, 'tollbridge', bob)
    expect((await ask(client, 'get_balance')).data).toMatchObject({ accountId: bob.accountId, balance: '7' })
    expect((await ask(client, 'get_usage')).data).toMatchObject({ cost: '0' })
    await client.close()
  })

  test('an account without balance is still told so', async () => {
    const dora = await gateway.member('dora', { grant: '0.000000001' })
    const { client } = await open(kind, 'tollbridge', dora)
    expect((await ask(client, 'get_balance')).data).toMatchObject({ balance: '0.000000001' })
    await client.close()
  })

  test('a server that the caller may not use looks as one that is not there', async () => {
    const { client } = await open(kind, 'tollbridge')
    const secret = await ask(client, 'get_price', { server: 'secret', tool: 'echo' })
    const none = await ask(client, 'get_price', { server: 'nowhere', tool: 'echo' })
    expect(secret).toEqual({ data: { code: 'not_found', message: expect.any(String) }, isError: true })
    expect(none).toEqual(secret)
    await client.close()
  })

  test('a wrong argument is a result that a model can mend', async () => {
    const { client } = await open(kind, 'tollbridge')
    const answer = await ask(client, 'get_usage', { period: 'for ever' })
    expect(answer).toMatchObject({ isError: true, data: { code: 'invalid_params' } })
    expect(answer.data['message']).toContain('period')
    await client.close()
  })

  test('a key that is limited to servers reaches it only where it is named', async () => {
    await expect(open(kind, 'tollbridge', ann, { servers: ['alpha'] })).rejects.toThrow()
    const { client } = await open(kind, 'tollbridge', ann, { servers: ['tollbridge'] })
    expect((await ask(client, 'list_servers')).data['servers']).toMatchObject([{ name: 'tollbridge' }])
    await client.close()
  })
})

test('no server and no bundle takes its name', async () => {
  const transport = { type: 'streamable-http', url: 'https://mcp.example/' }
  const server = await gateway.admin.call('POST', '/api/v1/servers', { name: 'tollbridge', transport })
  const members = [{ server: 'alpha' }]
  const bundle = await gateway.admin.call('POST', '/api/v1/bundles', { name: 'tollbridge', members })
  for (const { status, json } of [server, bundle]) {
    expect(status).toBe(400)
    expect(json.errors).toMatchObject([{ field: '/name' }])
  }
})

test('nobody without a credential reaches it', async () => {
  const answer = await fetch(`${gateway.url}/mcp/tollbridge`, { method: 'POST', body: '{}' })
  expect(answer.status).toBe(401)
})

test('the bill of all this is right', async () => {
  const report = await gateway.admin.ok('GET', '/api/v1/billing/verify')
  expect(report).toMatchObject({ ok: true, differences: [] })
})
