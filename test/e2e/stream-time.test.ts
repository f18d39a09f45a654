// The time of streams has a price: each standing stream is charged once by its seconds, and ends with the money.
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import type { ClientKind, Conversation } from '../matrix/conversation.ts'
import { openFirst } from '../matrix/first-client.ts'
import { startFixture, type Fixture } from '../matrix/fixture.ts'
import { through } from '../matrix/rig.ts'
import { openSecond } from '../matrix/second-client.ts'
import type { TransportName } from '../matrix/revisions.ts'
import { until } from '../harness/until.ts'

const servers = { legacy: '2025-11-25', modern: '2026-07-28' } as const
type ServerName = keyof typeof servers | ''

interface Usage {
  readonly method: string
  readonly outcome: string
  readonly error: string | null
  readonly cost: string
  readonly durationMs: number
  readonly transport: string
  readonly upstreamEra: string
}

let fixture: Fixture
let gateway: TestGateway
const payers: ApiCaller[] = []
let named = 0

beforeAll(async () => {
  fixture = await startFixture()
  gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  for (const [name, revision] of Object.entries(servers))
    await gateway.admin.ok('POST', '/api/v1/servers', {
      name,
      access: 'authenticated',
      transport: fixture.registration({ transport: 'streamable-http', revision }),
    })
  const price = { currency: 'USD', price: { perSecond: '1' } }
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    ...price,
    name: 'stream time',
    match: { method: 'stream' },
  })
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    ...price,
    name: 'subscription time',
    match: { method: 'subscriptions/listen' },
  })
})

afterAll(async () => {
  await gateway.stop()
  await fixture.stop()
})

const nano = (amount: string): number => Math.round(Number(amount) * 1e9)

/** A new prepaid user at a server. */
async function payer(grant: string, server: ServerName) {
  const user = await gateway.member(`payer-${++named}`, { grant })
  payers.push(user)
  const { key } = await user.ok('POST', '/api/v1/keys', { name: 'streams' })
  const account = () => user.ok('GET', `/api/v1/billing/accounts/${user.accountId}`)
  return {
    destination: through(gateway.url, server, key),
    account,
    usage: async (method: string) =>
      (await user.all(`/api/v1/billing/usage?user=${user.userId}&method=${method}`)) as Usage[],
    spent: async () => nano(grant) - nano((await account()).balance),
  }
}

type Payer = Awaited<ReturnType<typeof payer>>

const openLegacy = (transport: TransportName, { destination }: Payer): Promise<Conversation> =>
  openFirst({ transport, revision: '2025-11-25', sdk: '1.32' } satisfies ClientKind, destination)
const openModern = (transport: TransportName, { destination }: Payer): Promise<Conversation> =>
  openSecond({ transport, revision: '2026-07-28', sdk: '2.4' } satisfies ClientKind, destination)

const held = async ({ account }: Payer): Promise<number> => nano((await account()).held)
const openFor = async (who: Payer, ms: number): Promise<void> => {
  // Money is held for a stream from when it opens.
  await until(async () => (await held(who)) > 0, 'the stream')
  await sleep(ms)
}

async function expectOneStay(who: Payer, method: string, leastMs: number): Promise<Usage> {
  await until(async () => (await who.usage(method)).length > 0, 'its record')
  await until(async () => (await held(who)) === 0, 'the hold to go')
  const [record, ...rest] = (await who.usage(method)) as [Usage]
  expect(rest).toEqual([])
  expect(record.durationMs).toBeGreaterThan(leastMs)
  expect(Math.abs(nano(record.cost) - record.durationMs * 1e6)).toBeLessThanOrEqual(1000)
  // Nothing but the stream has a price.
  expect(await who.spent()).toBe(nano(record.cost))
  return record
}

/** At both servers, and at everything at once. */
const cells = (transports: readonly TransportName[]) =>
  transports.flatMap((transport) =>
    (['legacy', 'modern', ''] as const).map((server) => [transport, server] as const),
  )
const atServer = (server: ServerName) =>
  server === '' ? { server: 'mcp', upstreamTransport: 'aggregate' } : { server, upstreamEra: server }

describe.concurrent('a stream that its client leaves is charged once, for its time', () => {
  test.each(cells(['streamable-http', 'sse', 'websocket', 'stdio']))(
    'standing stream of a legacy client over %s, at "%s"',
    async (transport, server) => {
      const who = await payer('100', server)
      const client = await openLegacy(transport, who)
      await openFor(who, 1200)
      await client.close()
      const record = await expectOneStay(who, 'stream', 1200)
      expect(record).toMatchObject({ outcome: 'success', transport, ...atServer(server) })
    },
  )

  test.each(cells(['streamable-http', 'websocket', 'stdio']))(
    'subscription of a modern client over %s, at "%s"',
    async (transport, server) => {
      const who = await payer('100', server)
      const client = await openModern(transport, who)
      const unsubscribe = await client.subscribe('matrix://watched/time')
      await openFor(who, 1200)
      await unsubscribe()
      const record = await expectOneStay(who, 'subscriptions/listen', 1200)
      expect(record).toMatchObject({ outcome: 'success', transport, ...atServer(server) })
      await client.close()
    },
  )
})

test.each(['legacy', 'modern', ''] as const)(
  'a socket that breaks ends what it listened to, at %s',
  async (server) => {
    const who = await payer('100', server)
    const { websocket, headers } = who.destination
    const socket = new WebSocket(websocket, 'mcp', { headers })
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    const say = (message: object): void => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }))
    const clientInfo = { name: 'breaks', version: '1' }
    const opened = new Promise((resolve) => socket.once('message', resolve))
    say({
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
    })
    await opened
    say({ method: 'notifications/initialized' })
    await openFor(who, 300)
    socket.terminate()
    const { durationMs } = await expectOneStay(who, 'stream', 300)
    expect(durationMs).toBeLessThan(3000)
  },
)

describe.concurrent('a stream ends when the prepaid balance does, and is charged no more than it had', () => {
  const expectSpent = async (who: Payer, method: string, asksAgain: boolean): Promise<void> => {
    await until(async () => (await who.usage(method)).length > 0, 'its record', 10_000)
    const [record] = (await who.usage(method)).toReversed()
    expect(record).toMatchObject({ outcome: 'success', error: 'balance_exhausted' })
    expect(record?.durationMs).toBeGreaterThan(1000)
    expect(record?.durationMs).toBeLessThan(3000)
    expect(nano(record?.cost ?? '')).toBeGreaterThan(1e9)
    await until(async () => (await held(who)) === 0, 'the hold to go')
    expect(nano((await who.account()).balance)).toBeGreaterThanOrEqual(0)
    // What was paid for is not given back, and nothing more is had for nothing.
    await sleep(2500)
    const all = await who.usage(method)
    expect(all.filter(({ outcome }) => outcome === 'success')).toHaveLength(1)
    expect(await who.spent()).toBe(all.reduce((sum, { cost }) => sum + nano(cost), 0))
    // A client that asks again is refused, and the gateway does not ask for it.
    expect(all.length).toBeLessThanOrEqual(asksAgain ? 4 : 1)
  }

  test.each(cells(['streamable-http', 'sse', 'websocket']))(
    'standing stream of a legacy client over %s, at "%s"',
    async (transport, server) => {
      const who = await payer('1.5', server)
      const client = await openLegacy(transport, who)
      await expectSpent(who, 'stream', transport === 'streamable-http')
      // Calls that cost nothing go on.
      expect((await client.listTools()).length).toBeGreaterThan(0)
      await client.close()
    },
  )

  test.each(cells(['streamable-http', 'websocket']))(
    'subscription of a modern client over %s, at "%s"',
    async (transport, server) => {
      const who = await payer('1.5', server)
      const client = await openModern(transport, who)
      await client.subscribe('matrix://watched/time')
      await expectSpent(who, 'subscriptions/listen', false)
      expect((await client.listTools()).length).toBeGreaterThan(0)
      await client.close()
    },
  )
})

test('after all of it nothing is held and verify agrees', async () => {
  expect(payers.length).toBeGreaterThan(20)
  for (const user of payers) {
    const read = () => user.ok('GET', `/api/v1/billing/accounts/${user.accountId}`)
    await expect.poll(async () => (await read()).held).toBe('0')
  }
  expect(await gateway.admin.ok('GET', '/api/v1/billing/verify')).toMatchObject({ ok: true, differences: [] })
})
