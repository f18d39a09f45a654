// A caller without balance: told where to top up, asked to where its client can, and served once it has.
import { createHmac } from 'node:crypto'
import { Client as ModernClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startFixture, type Fixture } from '../matrix/fixture.ts'

const about = { name: 'top-up-test', version: '1.0.0' }
const modern = '2026-07-28'
const template = 'https://pay.example/top-up?for={account}&amount={amount}&in={currency}'

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`

let fixture: Fixture
let gateway: TestGateway
let members = 0

beforeAll(async () => {
  fixture = await startFixture()
  gateway = await startTestGateway({
    env: { TOLLBRIDGE_BILLING_TOP_UP_URL: template, TOLLBRIDGE_BILLING_TOP_UP_WEBHOOK_SECRET: secret },
  })
  await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'alpha',
    access: 'authenticated',
    transport: fixture.registration({ transport: 'streamable-http', revision: modern }),
  })
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'echo',
    currency: 'USD',
    match: { tool: '*' },
    price: { perCall: '0.125' },
  })
})

afterAll(async () => {
  await gateway.stop()
  await fixture.stop()
})

/** Has 0.1 USD, where a call costs 0.125. */
const poor = () => gateway.member(`poor-${members++}`, { grant: '0.1' })

const postTopUp = (body: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/api/v1/billing/top-ups/standard`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })

const topUp = (caller: ApiCaller, amount = '0.05') =>
  gateway.admin.ok('POST', `/api/v1/billing/accounts/${caller.accountId}/grants`, { amount })

/** What is missing, rounded up to whole cents. */
const linkOf = ({ accountId }: ApiCaller) => `https://pay.example/top-up?for=${accountId}&amount=0.03&in=USD`

const url = () => new URL(`${gateway.url}/mcp/alpha`)
const init = ({ credential }: ApiCaller) => ({
  requestInit: { headers: { authorization: `Bearer ${credential}` } },
})

async function legacyClient(caller: ApiCaller, capabilities: object) {
  const client = new Client(about, { capabilities })
  await client.connect(new FirstTransport(url(), init(caller)))
  return client
}

async function modernClient(caller: ApiCaller, answer: (url: string) => Promise<'accept' | 'decline'>) {
  const asked: string[] = []
  const client = new ModernClient(about, {
    capabilities: { elicitation: { url: {} } },
    versionNegotiation: { mode: { pin: modern } },
  })
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    const to = 'url' in params ? params.url : ''
    asked.push(to)
    return { action: await answer(to) }
  })
  await client.connect(new StreamableHTTPClientTransport(url(), init(caller)))
  return { client, asked }
}

const echo = { name: 'echo', arguments: { message: 'toll' } }

const callsOf = async (caller: ApiCaller) =>
  ((await caller.all('/api/v1/billing/usage?method=tools/call')) as { outcome: string; cost: string }[])
    .map(({ outcome, cost }) => [outcome, cost])
    .toReversed()

const refused = (caller: ApiCaller) => ({
  isError: true,
  structuredContent: {
    code: 'balance_exhausted',
    balance: '0.1',
    required: '0.125',
    topUpUrl: linkOf(caller),
  },
})

describe('a legacy client', () => {
  test('that opens URLs gets error -32042 with the link, and its next call runs once it was paid for', async () => {
    const caller = await poor()
    const client = await legacyClient(caller, { elicitation: { url: {} } })
    const error = await client.callTool(echo).then(
      () => undefined,
      (reason: unknown) => reason as { code: number; data: Record<string, unknown> },
    )
    expect(error).toMatchObject({
      code: -32042,
      data: {
        elicitations: [
          {
            mode: 'url',
            url: linkOf(caller),
            elicitationId: expect.stringMatching(/^use_/),
            message: expect.stringContaining('0.1 USD'),
          },
        ],
      },
    })
    await topUp(caller)
    expect((await client.callTool(echo)).isError).not.toBe(true)
    await client.close()
    expect(await callsOf(caller)).toEqual([
      ['denied', '0'],
      ['success', '0.125'],
    ])
  })

  test.each([{}, { elicitation: {} }, { elicitation: { form: {} } }])(
    'that declares %j gets the refusal with the link',
    async (capabilities) => {
      const caller = await poor()
      const client = await legacyClient(caller, capabilities)
      expect(await client.callTool(echo)).toMatchObject(refused(caller))
      await client.close()
    },
  )
})

describe('a modern client', () => {
  test('that opens URLs is asked, comes back, and is served and charged once', async () => {
    const caller = await poor()
    const { client, asked } = await modernClient(caller, async () => {
      await topUp(caller)
      return 'accept'
    })
    const answer = await client.callTool(echo)
    expect(answer.isError).not.toBe(true)
    expect(JSON.stringify(answer.content)).toContain('toll')
    expect(asked).toEqual([linkOf(caller)])
    await client.close()
    expect(await callsOf(caller)).toEqual([
      ['denied', '0'],
      ['success', '0.125'],
    ])
    const { balance, held } = await caller.ok('GET', `/api/v1/billing/accounts/${caller.accountId}`)
    expect([balance, held]).toEqual(['0.025', '0'])
  })

  test.each(['accept', 'decline'] as const)(
    'that comes back unpaid (%s) gets the refusal',
    async (action) => {
      const caller = await poor()
      const { client, asked } = await modernClient(caller, () => Promise.resolve(action))
      expect(await client.callTool(echo)).toMatchObject(refused(caller))
      expect(asked).toHaveLength(1)
      await client.close()
      expect(await callsOf(caller)).toEqual([
        ['denied', '0'],
        ['denied', '0'],
      ])
    },
  )

  test('brings its idempotency key through the question, and the key still means one charge', async () => {
    const caller = await poor()
    const { client } = await modernClient(caller, async () => {
      await topUp(caller, '1')
      return 'accept'
    })
    const keyed = { ...echo, _meta: { 'tollbridge/idempotency-key': 'once' } }
    await client.callTool(keyed)
    await client.callTool(keyed)
    await client.close()
    expect((await callsOf(caller)).filter(([, cost]) => cost !== '0')).toEqual([['success', '0.125']])
  })
})

test('a refusal for lack of budget has the link, and asks nobody to pay for what payment would not change', async () => {
  const caller = await gateway.member(`thrifty-${members++}`, { grant: '100' })
  await gateway.admin.ok('POST', '/api/v1/billing/budgets', {
    scope: { account: caller.accountId },
    amount: '0.1',
    window: 'lifetime',
  })
  const { client, asked } = await modernClient(caller, () => Promise.resolve('accept'))
  expect(await client.callTool(echo)).toMatchObject({
    isError: true,
    structuredContent: { code: 'budget_exhausted', topUpUrl: expect.stringContaining(caller.accountId) },
  })
  expect(asked).toEqual([])
  await client.close()
})

test('a session that cannot be paid for is refused with the link', async () => {
  const caller = await poor()
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'sessions',
    currency: 'USD',
    match: { method: 'session/create' },
    price: { perCall: '0.125' },
  })
  const { status, json } = await caller.call('POST', '/api/v1/servers/alpha/sessions', {})
  expect([status, json.topUpUrl]).toEqual([402, linkOf(caller)])
})

describe('the webhook of the real gateway', () => {
  test('tops the account up that a call is refused for', async () => {
    const caller = await poor()
    const client = await legacyClient(caller, {})
    expect(await client.callTool(echo)).toMatchObject(refused(caller))
    const body = JSON.stringify({ id: 'pay_1', account: caller.accountId, amount: '0.03', currency: 'USD' })
    const at = Math.floor(Date.now() / 1000)
    const mac = createHmac('sha256', Buffer.alloc(32, 5)).update(`msg_1.${at}.${body}`).digest('base64')
    const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': `${at}`, 'webhook-signature': `v1,${mac}` }
    expect((await postTopUp(body, headers)).status).toBe(200)
    expect((await client.callTool(echo)).isError).not.toBe(true)
    await client.close()
  })

  test('reads no more than 256 KiB, and is not there without a secret', async () => {
    const large = await postTopUp(JSON.stringify({ id: 'x'.repeat(256 * 1024) }))
    expect(large.status).toBe(413)
    const stripe = await gateway.admin.call('POST', '/api/v1/billing/top-ups/stripe', {})
    expect(stripe.status).toBe(404)
  })
})
