// One logical call, one charge: rounds of questions, repeats and progress, over each transport and in both eras.
import { WebSocket } from 'ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import type { BilledRecord } from '../matrix/bill.ts'
import type { ClientKind, Conversation, Destination } from '../matrix/conversation.ts'
import { openFirst } from '../matrix/first-client.ts'
import { startFixture, type Fixture } from '../matrix/fixture.ts'
import { eraOf, type Revision, type TransportName } from '../matrix/revisions.ts'
import { through } from '../matrix/rig.ts'
import { openSecond } from '../matrix/second-client.ts'

const legacy = '2025-11-25'
const modern = '2026-07-28'
const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': modern,
  'io.modelcontextprotocol/clientCapabilities': {},
}

interface Usage extends BilledRecord {
  readonly id: string
  readonly idempotencyKey?: string
}

let fixture: Fixture
let gateway: TestGateway
let ann: ApiCaller

beforeAll(async () => {
  fixture = await startFixture()
  gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  const servers = [
    ['legacy', legacy, 'streamable-http'],
    ['modern', modern, 'streamable-http'],
    ['legacy-ws', legacy, 'websocket'],
  ] as const
  for (const [name, revision, transport] of servers)
    await gateway.admin.ok('POST', '/api/v1/servers', {
      name,
      access: 'authenticated',
      transport: fixture.registration({ transport, revision }),
    })
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'tools',
    currency: 'USD',
    match: { method: 'tools/call' },
    price: { perCall: '0.01' },
  })
  ann = await gateway.member('ann', { grant: '100' })
})

afterAll(async () => {
  await gateway.stop()
  await fixture.stop()
})

interface Bill {
  readonly destination: Destination
  /** What was recorded for this key so far, oldest first. */
  readonly usage: () => Promise<Usage[]>
}

/** A way to a server under a key of its own, so that what it leaves can be told apart. */
async function billed(server: string): Promise<Bill> {
  const { id, key } = await ann.ok('POST', '/api/v1/keys', { name: server })
  return {
    destination: through(gateway.url, server, key),
    usage: async () => ((await ann.all(`/api/v1/billing/usage?key=${id}`)) as Usage[]).toReversed(),
  }
}

const open = (transport: TransportName, revision: Revision, to: Destination): Promise<Conversation> => {
  const kind: ClientKind = { transport, revision, sdk: eraOf(revision) === 'modern' ? '2.4' : '1.32' }
  return kind.sdk === '2.4' ? openSecond(kind, to) : openFirst(kind, to)
}

const calls = (usage: readonly Usage[]): Usage[] => usage.filter(({ method }) => method === 'tools/call')
const costs = (usage: readonly Usage[]): string[] =>
  usage.map(({ cost }) => cost).filter((cost) => cost !== '0')
const textOf = (answer: { content: readonly { text?: string }[] }): string | undefined =>
  answer.content[0]?.text

const legacyTransports: readonly TransportName[] = ['streamable-http', 'sse', 'websocket', 'stdio']
const modernTransports: readonly TransportName[] = ['streamable-http', 'websocket', 'stdio']

describe('a call that asks its client for something is charged once', () => {
  const modernClients = modernTransports.flatMap((transport) =>
    ['modern', 'legacy'].map((server) => [transport, server] as const),
  )
  test.each(modernClients)(
    'modern client over %s, %s server: two rounds, the last one pays',
    async (...at) => {
      const [transport, server] = at
      const { destination, usage } = await billed(server)
      const client = await open(transport, modern, destination)
      expect(textOf(await client.callTool('elicit', { question: 'Who?' }))).toBe('accept Ada')
      expect(client.heard.asked).toEqual(['Who?'])
      await client.close()
      const rounds = calls(await usage())
      expect(rounds.map(({ cost, outcome, tool }) => [tool, outcome, cost])).toEqual([
        ['elicit', 'success', '0'],
        ['elicit', 'success', '0.01'],
      ])
      for (const round of rounds)
        expect(round).toMatchObject({ transport, era: 'modern', upstreamEra: server })
      expect(costs(await usage())).toEqual(['0.01'])
    },
  )

  const legacyClients = legacyTransports.flatMap((transport) =>
    ['modern', 'legacy'].map((server) => [transport, server] as const),
  )
  test.each(legacyClients)('legacy client over %s, %s server: one record', async (transport, server) => {
    const { destination, usage } = await billed(server)
    const client = await open(transport, legacy, destination)
    expect(textOf(await client.callTool('elicit', { question: 'Who?' }))).toBe('accept Ada')
    expect(client.heard.asked).toEqual(['Who?'])
    await client.close()
    expect(calls(await usage())).toMatchObject([
      { tool: 'elicit', outcome: 'success', cost: '0.01', transport, era: 'legacy', upstreamEra: server },
    ])
    expect(costs(await usage())).toEqual(['0.01'])
  })
})

test.each([
  ...legacyTransports.map((one) => [one, legacy] as const),
  ...modernTransports.map((one) => [one, modern] as const),
])('over %s, %s: forty messages of progress belong to one charged call', async (transport, revision) => {
  const { destination, usage } = await billed(revision === legacy ? 'modern' : 'legacy')
  const client = await open(transport, revision, destination)
  expect(textOf(await client.callTool('progress', { steps: 40 }, { progress: true }))).toBe('40 steps')
  expect(client.heard.progressed.map(({ progress }) => progress)).toEqual(
    Array.from({ length: 40 }, (_, index) => index + 1),
  )
  await client.close()
  expect(calls(await usage())).toMatchObject([{ tool: 'progress', outcome: 'success', cost: '0.01' }])
  expect(costs(await usage())).toEqual(['0.01'])
})

/** A socket that sends what it is told and keeps what comes, without an SDK between. */
async function openSocket({ websocket, headers }: Destination) {
  const socket = new WebSocket(websocket, 'mcp', { headers })
  const heard: { id?: unknown; result?: object; error?: object }[] = []
  socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString())))
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  const say = (message: object): void => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }))
  const answer = async (id: unknown) => {
    await expect.poll(() => heard.some((one) => one.id === id), { timeout: 10_000 }).toBe(true)
    return heard.find((one) => one.id === id)
  }
  return { say, answer, close: () => socket.close() }
}

interface Round {
  readonly inputRequests?: Readonly<Record<string, object>>
  readonly requestState?: string
}

/** What the next round of a call carries. */
const answerTo = ({ inputRequests = {}, requestState }: Round = {}) => ({
  inputResponses: Object.fromEntries(
    Object.keys(inputRequests).map((name) => [name, { action: 'accept', content: { name: 'Ada' } }]),
  ),
  ...(requestState !== undefined && { requestState }),
})

describe.each(['legacy', 'modern'] as const)('an idempotency key on WebSocket, %s client', (era) => {
  test.each(['legacy', 'modern'])(
    '%s server: repeats at once, later and on another socket cost nothing',
    async (server) => {
      const { destination, usage } = await billed(server)
      const key = `${era} at ${server}`
      const meta = { 'tollbridge/idempotency-key': key, ...(era === 'modern' && modernMeta) }
      const call = (id: number, message: string) => ({
        id,
        method: 'tools/call',
        params: { name: 'echo', arguments: { message }, _meta: meta },
      })
      const start = async () => {
        const socket = await openSocket(destination)
        if (era === 'modern') return socket
        const params = {
          protocolVersion: legacy,
          capabilities: {},
          clientInfo: { name: 'raw', version: '1' },
        }
        socket.say({ id: 0, method: 'initialize', params })
        await socket.answer(0)
        socket.say({ method: 'notifications/initialized' })
        return socket
      }
      const one = await start()
      one.say(call(1, 'same'))
      one.say(call(2, 'same'))
      const first = await one.answer(1)
      // This client does not say who it is, which it only should in the modern era.
      expect(first?.result).toMatchObject({ content: [{ text: '{"message":"same"}' }] })
      expect((await one.answer(2))?.result).toEqual(first?.result)
      one.say(call(3, 'same'))
      expect((await one.answer(3))?.result).toEqual(first?.result)
      one.say(call(4, 'other'))
      expect(await one.answer(4)).toHaveProperty('error')
      one.close()
      const another = await start()
      another.say(call(5, 'same'))
      expect((await another.answer(5))?.result).toEqual(first?.result)
      another.close()
      expect(calls(await usage())).toMatchObject([
        { tool: 'echo', cost: '0.01', idempotencyKey: key, transport: 'websocket', era, upstreamEra: server },
      ])
    },
  )
})

describe.each(['legacy', 'modern'])('a key that all rounds of one call carry, %s server', (server) => {
  test('pays for the round that ends it; what it answered is repeated, another end is refused or the same', async () => {
    const { destination, usage } = await billed(server)
    const socket = await openSocket(destination)
    const _meta = {
      ...modernMeta,
      'tollbridge/idempotency-key': `rounds at ${server}`,
      'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    }
    const ask = async (id: number, more: object = {}) => {
      const params = { name: 'elicit', arguments: { question: 'Who?' }, _meta, ...more }
      socket.say({ id, method: 'tools/call', params })
      return (await socket.answer(id)) as { result?: Round; error?: object }
    }
    const first = await ask(1)
    // The answer was lost: the client asks again, and gets a round that it can go on with.
    const again = await ask(2)
    const ends = [await ask(3, answerTo(again.result)), await ask(4, answerTo(again.result))]
    for (const { result } of ends) expect(result).toMatchObject({ content: [{ text: 'accept Ada' }] })
    const other = await ask(5, answerTo(first.result))
    if (other.error === undefined) expect(other.result).toEqual(ends[0]?.result)
    expect(await ask(6)).toHaveProperty('error')
    socket.close()
    expect(calls(await usage()).map(({ outcome, cost }) => [outcome, cost])).toEqual([
      ['success', '0'],
      ['success', '0'],
      ['success', '0.01'],
    ])
  })
})

test('calls that race over all transports spend what there is, and no more', async () => {
  const racer = await gateway.member('racer', { grant: '0.105' })
  const { key } = await racer.ok('POST', '/api/v1/keys', { name: 'race' })
  const clients = await Promise.all([
    ...legacyTransports.map((transport) => open(transport, legacy, through(gateway.url, 'modern', key))),
    ...modernTransports.map((transport) => open(transport, modern, through(gateway.url, 'legacy', key))),
  ])
  const answers = await Promise.all(
    clients.flatMap((client) => Array.from({ length: 4 }, () => client.callTool('echo', { message: 'x' }))),
  )
  expect(answers.filter(({ isError }) => isError !== true)).toHaveLength(10)
  const refused = answers.filter(({ isError }) => isError === true)
  expect(refused).toHaveLength(18)
  for (const { structuredContent } of refused)
    expect(structuredContent).toMatchObject({ code: 'balance_exhausted' })
  await Promise.all(clients.map((client) => client.close()))
  const records = calls((await racer.all(`/api/v1/billing/usage?user=${racer.userId}`)) as Usage[])
  expect(records.filter(({ outcome, cost }) => outcome === 'success' && cost === '0.01')).toHaveLength(10)
  expect(records.filter(({ outcome, cost }) => outcome === 'denied' && cost === '0')).toHaveLength(18)
  expect(await racer.ok('GET', `/api/v1/billing/accounts/${racer.accountId}`)).toMatchObject({
    balance: '0.005',
    held: '0',
  })
})

describe('streams and notifications say on their records which way they took', () => {
  const cells = legacyTransports.flatMap((transport) =>
    (['legacy', 'modern', 'legacy-ws'] as const).map((server) => [transport, server] as const),
  )
  test.each(cells)('legacy client over %s, server %s', async (transport, server) => {
    const { destination, usage } = await billed(server)
    const client = await open(transport, legacy, destination)
    await client.listTools()
    await client.close()
    const methods = ['initialize', 'notifications/initialized', 'stream', 'tools/list']
    const recorded = async () => [...new Set((await usage()).map(({ method }) => method))].sort()
    await expect.poll(recorded, { timeout: 10_000 }).toEqual(methods)
    const place = {
      transport,
      upstreamTransport: server === 'legacy-ws' ? 'websocket' : 'streamable-http',
      era: 'legacy',
      upstreamEra: server === 'modern' ? 'modern' : 'legacy',
    }
    for (const record of await usage()) expect(record).toMatchObject({ ...place, cost: '0' })
    expect((await usage()).filter(({ method }) => method === 'stream')).toHaveLength(1)
  })

  test.each(
    modernTransports.flatMap((transport) =>
      ['legacy', 'modern'].map((server) => [transport, server] as const),
    ),
  )('subscription of a modern client over %s, %s server', async (transport, server) => {
    const { destination, usage } = await billed(server)
    const client = await open(transport, modern, destination)
    const unsubscribe = await client.subscribe('matrix://watched/one')
    await client.callTool('touch', { uri: 'matrix://watched/one' })
    await expect.poll(() => client.heard.updated).toEqual(['matrix://watched/one'])
    await unsubscribe()
    await client.close()
    const listens = async () => (await usage()).filter(({ method }) => method === 'subscriptions/listen')
    await expect.poll(listens, { timeout: 10_000 }).toHaveLength(1)
    const upstreamTransport = 'streamable-http'
    expect(await listens()).toMatchObject([
      { transport, upstreamTransport, era: 'modern', upstreamEra: server, cost: '0' },
    ])
  })
})

test('after all of it nothing is held, the balance is the grant less the records, and verify agrees', async () => {
  const usage = (await ann.all(`/api/v1/billing/usage?user=${ann.userId}`)) as Usage[]
  const cents = usage.reduce((sum, { cost }) => sum + Math.round(Number(cost) * 100), 0)
  expect(cents).toBeGreaterThan(0)
  const read = () => ann.ok('GET', `/api/v1/billing/accounts/${ann.accountId}`)
  await expect.poll(async () => (await read()).held, { timeout: 10_000 }).toBe('0')
  expect(Math.round(Number((await read()).balance) * 100)).toBe(10_000 - cents)
  expect(await gateway.admin.ok('GET', '/api/v1/billing/verify')).toMatchObject({ ok: true, differences: [] })
})
