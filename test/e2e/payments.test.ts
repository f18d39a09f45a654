// A caller without credit pays for single calls: asked, verified, run, settled for what it cost; once, whatever breaks.
import { Client as ModernClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eras, McpClient, newKey, type Era } from '../faults/callers.ts'
import { expectClean, nano, newFolder, cleanUp } from '../faults/rig.ts'
import { facilitatorAddress, TestFacilitator, type Payer, type Payment } from '../harness/facilitator.ts'
import { until } from '../harness/until.ts'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'
import { answer, bigAnswer, hang, toolError } from '../upstreams/replies.ts'

const network = 'eip155:84532'
const payTo = `0x${'ab'.repeat(20)}`
const asset = `0x${'cd'.repeat(20)}`
const token = 'facilitator-token-1'
/** 0.01 a call and 0.002 a KB, of at most 1 MiB; `flat` costs 0.0130005, which is not a whole unit of the token. */
const flatPrice = '0.0130005'

let facilitator: TestFacilitator
let upstream: Recorder
let gateway: TestGateway
let folder: string
let members = 0

const start = () =>
  startTestGateway({
    data: folder,
    env: {
      TOLLBRIDGE_LOG_LEVEL: 'trace',
      TOLLBRIDGE_X402_FACILITATOR_URL: facilitator.url,
      TOLLBRIDGE_X402_FACILITATOR_TOKEN: token,
      TOLLBRIDGE_X402_PAY_TO: payTo,
      TOLLBRIDGE_X402_NETWORK: network,
      TOLLBRIDGE_X402_ASSET: asset,
      TOLLBRIDGE_X402_TIMEOUT_MS: '700',
      TOLLBRIDGE_X402_RETRY_MS: '100',
      TOLLBRIDGE_BILLING_TOP_UP_URL: 'https://pay.example/{account}',
    },
  })

beforeAll(async () => {
  folder = newFolder()
  facilitator = await new TestFacilitator(network).live()
  upstream = await startRecorder({ tools: ['work', 'flat'] })
  gateway = await start()
  const limits = { maxResponseBytes: 1024 * 1024 }
  await addServer(gateway, 'alpha', upstream.url, { limits, reportCost: true })
  const rule = (tool: string, price: object) =>
    gateway.admin.ok('POST', '/api/v1/billing/rules', {
      name: tool,
      currency: 'USD',
      match: { method: 'tools/call', tool },
      price,
    })
  await rule('*work', { perCall: '0.01', perKb: '0.002' })
  await rule('*flat', { perCall: flatPrice })
})

beforeEach(async () => {
  facilitator.manners['/verify'] = 'well'
  facilitator.manners['/settle'] = 'well'
  facilitator.isIdempotent = true
  upstream.reply(answer())
  await facilitator.live()
})

afterEach(async () => {
  await expectClean(gateway)
})

afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
  await facilitator.die()
  await cleanUp()
})

/** Prepaid, with a credit that pays for nothing. */
async function poor(): Promise<ApiCaller> {
  return gateway.member(`poor-${members++}`, { grant: '0.000000001' })
}

// oxlint-disable-next-line typescript/no-explicit-any
type Result = any

async function caller(era: Era, server = 'alpha') {
  const member = await poor()
  const key = await newKey(member)
  const client = await new McpClient(`${gateway.url}/mcp/${server}`, key, era).open()
  return { member, key, client, payer: facilitator.newPayer() }
}

const call = async (client: McpClient, payment?: Payment, tool = 'work'): Promise<Result> => {
  const meta = payment !== undefined && { 'x402/payment': payment }
  const { text, message } = await client.call({ tool, ...(meta && { meta }) })
  if (message?.result === undefined) throw new Error(text)
  return message.result
}

const asked = async (client: McpClient, tool = 'work'): Promise<Result> =>
  (await call(client, undefined, tool)).structuredContent

const recordsOf = async (member: ApiCaller): Promise<Result[]> =>
  (await member.all('/api/v1/billing/usage?method=tools/call')).toReversed()

const accountOf = (member: ApiCaller): Promise<Result> =>
  gateway.admin.ok('GET', `/api/v1/billing/accounts/${member.accountId}`)

const balanceOf = async (member: ApiCaller): Promise<bigint> => nano((await accountOf(member)).balance) - 1n

const movedBy = (payer: Payer) => facilitator.moved.filter(({ from }) => from === payer.address)

const costsOf = async (member: ApiCaller) =>
  (await recordsOf(member)).map(({ outcome, cost }) => [outcome, cost])

/** The smallest units of the token that a cost comes to. */
const unitsOf = (cost: string): bigint => (nano(cost) + 999n) / 1000n

describe.each(eras)('an official client of the %s era', (era) => {
  async function connect(member: ApiCaller) {
    const init = { requestInit: { headers: { authorization: `Bearer ${member.credential}` } } }
    const url = new URL(`${gateway.url}/mcp/alpha`)
    const about = { name: 'payments', version: '1' }
    if (era === 'legacy') {
      const client = new Client(about)
      await client.connect(new FirstTransport(url, init))
      return client
    }
    const client = new ModernClient(about, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
    await client.connect(new StreamableHTTPClientTransport(url, init))
    return client
  }

  test('is told what to pay, pays at most that, and is charged what the call cost', async () => {
    const member = await poor()
    const payer = facilitator.newPayer()
    const client = await connect(member)
    const sent = { name: 'work', arguments: { a: 1 } }
    const refusal: Result = await client.callTool(sent)
    expect(refusal).toMatchObject({
      isError: true,
      structuredContent: {
        code: 'balance_exhausted',
        topUpUrl: `https://pay.example/${member.accountId}`,
        x402Version: 2,
        error: expect.stringContaining('balance'),
        resource: { url: 'mcp://alpha/tools/work' },
        accepts: [
          {
            scheme: 'upto',
            network,
            asset,
            payTo,
            extra: { name: 'USDC', version: '2', facilitatorAddress },
          },
        ],
      },
    })
    expect(JSON.parse(refusal.content[0].text)).toEqual(refusal.structuredContent)
    expect(upstream.calls('work').filter(({ message }) => message?.params?.['arguments'])).toEqual(
      upstream.calls('work'),
    )
    const before = upstream.calls().length
    upstream.once(bigAnswer(10_000))
    const payment = payer.pay(refusal.structuredContent)
    const result: Result = await client.callTool({ ...sent, _meta: { 'x402/payment': payment, mine: 7 } })
    expect(result.isError).toBeUndefined()
    expect(result.content[0].text).toHaveLength(10_000)
    const cost = result._meta['tollbridge/cost'].amount
    const [moved] = movedBy(payer)
    expect(result._meta['x402/payment-response']).toEqual({
      success: true,
      transaction: moved?.transaction,
      network,
      payer: payer.address,
      amount: String(unitsOf(cost)),
    })
    expect(movedBy(payer)).toHaveLength(1)
    expect(moved?.amount).toBe(unitsOf(cost))
    expect(moved?.amount).toBeLessThan(BigInt(payment.accepted.amount) / 10n)
    expect(moved?.to).toBe(payTo)
    expect(await costsOf(member)).toEqual([
      ['denied', '0'],
      ['success', cost],
    ])
    // What was not used is no credit.
    expect(await balanceOf(member)).toBe(0n)
    const hits = upstream.calls().slice(before)
    expect(hits).toHaveLength(1)
    expect(hits[0]?.body.toString()).not.toContain('x402')
    expect(hits[0]?.message?.params?._meta?.['mine']).toBe(7)
    expect(facilitator.asked.every(({ authorization }) => authorization === `Bearer ${token}`)).toBe(true)
    await client.close()
  })
})

describe.each(eras)('in the %s era', (era) => {
  test('`exact` is offered where every call costs the same, and moves the whole amount', async () => {
    const { member, client, payer } = await caller(era)
    expect((await asked(client)).accepts.map(({ scheme }: Payment['accepted']) => scheme)).toEqual(['upto'])
    const required = await asked(client, 'flat')
    expect(required.accepts).toMatchObject([
      { scheme: 'upto', amount: '13001' },
      { scheme: 'exact', amount: '13001' },
    ])
    const result = await call(client, payer.pay(required, { scheme: 'exact' }), 'flat')
    expect(result._meta['x402/payment-response']).toMatchObject({ success: true, amount: '13001' })
    expect(movedBy(payer).map(({ amount }) => amount)).toEqual([13_001n])
    expect((await recordsOf(member)).at(-1)).toMatchObject({ outcome: 'success', cost: flatPrice })
    expect(await balanceOf(member)).toBe(0n)
    const grants = await gateway.admin.all(`/api/v1/billing/accounts/${member.accountId}/grants`)
    expect(grants.find(({ createdBy }) => createdBy === 'x402')).toMatchObject({
      amount: '0.013001',
      remaining: '0',
    })
  })

  test('a payment pays for one call, also when 50 come with it at the same time and one later', async () => {
    const { member, client, payer } = await caller(era)
    const required = await asked(client)
    const payment = payer.pay(required)
    const before = upstream.calls().length
    const results = await Promise.all(Array.from({ length: 50 }, () => call(client, payment)))
    const ran = results.filter(({ isError }) => isError !== true)
    expect(ran).toHaveLength(1)
    const codes = results.filter(({ isError }) => isError).map((each) => each.structuredContent.code)
    expect(new Set(codes)).toEqual(new Set(['payment_used']))
    expect(upstream.calls().length - before).toBe(1)
    const again = await call(client, payment)
    expect(again.structuredContent).toMatchObject({ code: 'payment_used', x402Version: 2 })
    // The same money, written in another way.
    const nonce = `0x00${BigInt(payment.payload.permit2Authorization?.nonce ?? 0)
      .toString(16)
      .toUpperCase()}`
    const permit2Authorization = { ...payment.payload.permit2Authorization, nonce: nonce.slice(0, 66) }
    if (nonce.length <= 66) {
      const other = { ...payment, payload: { ...payment.payload, permit2Authorization } } as Payment
      expect((await call(client, other)).structuredContent.code).toBe('payment_used')
    }
    expect(movedBy(payer)).toHaveLength(1)
    expect((await costsOf(member)).filter(([outcome]) => outcome === 'success')).toHaveLength(1)
    expect(await balanceOf(member)).toBe(0n)
  })

  test('a call that is done for free leaves the payment unsettled', async () => {
    const { member, client, payer } = await caller(era)
    const payment = payer.pay(await asked(client))
    upstream.once(toolError())
    const result = await call(client, payment)
    expect(result).toMatchObject({ isError: true, content: [{ text: 'the tool failed' }] })
    expect(result._meta['x402/payment-response']).toMatchObject({ amount: '0', transaction: '' })
    expect((await call(client, payment)).structuredContent.code).toBe('payment_used')
    expect(movedBy(payer)).toEqual([])
    expect(await balanceOf(member)).toBe(0n)
  })

  test('an answer whose payment is refused after the call is withheld, and the account owes the call', async () => {
    const { member, client, payer } = await caller(era)
    const required = await asked(client, 'flat')
    facilitator.manners['/settle'] = 'refusing'
    const result = await call(client, payer.pay(required), 'flat')
    expect(result).toMatchObject({
      isError: true,
      structuredContent: {
        code: 'payment_failed',
        x402Version: 2,
        accepts: [{ scheme: 'upto' }, { scheme: 'exact' }],
        'x402/payment-response': { success: false, errorReason: 'insufficient_funds', network },
      },
    })
    expect(JSON.stringify(result)).not.toContain('arguments')
    expect(await balanceOf(member)).toBe(-13_001_000n)
    const transfers = await gateway.admin.all(`/api/v1/billing/accounts/${member.accountId}/ledger`)
    expect(transfers[0]).toMatchObject({ kind: 'bounce', amount: '0.013001' })
    // What is owed stays owed, and the next payment pays for its own call alone.
    facilitator.manners['/settle'] = 'well'
    expect((await call(client, payer.pay(required), 'flat')).isError).toBeUndefined()
    expect(await balanceOf(member)).toBe(-13_001_000n)
  })

  test('an answer whose settlement is not known leaves, and its payment is settled later, once', async () => {
    const { member, client, payer } = await caller(era)
    const required = await asked(client)
    facilitator.manners['/settle'] = 'late'
    const result = await call(client, payer.pay(required))
    expect(result.isError).toBeUndefined()
    expect(result._meta['x402/payment-response']).toMatchObject({
      success: false,
      errorReason: 'settlement_pending',
    })
    facilitator.manners['/settle'] = 'failing'
    const result2 = await call(client, payer.pay(required))
    expect(result2._meta['x402/payment-response']).toMatchObject({ errorReason: 'settlement_pending' })
    const settled = await metricOf('settled')
    facilitator.manners['/settle'] = 'well'
    await until(async () => (await metricOf('settled')) - settled === 2, 'both are settled')
    const asks = facilitator.timesAsked('/settle')
    await new Promise((done) => setTimeout(done, 400))
    expect(facilitator.timesAsked('/settle')).toBe(asks)
    expect(movedBy(payer)).toHaveLength(2)
    expect(await balanceOf(member)).toBe(0n)
  })
})

const metricOf = async (outcome: string): Promise<number> => {
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  return Number(new RegExp(`call_payments_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0)
}

describe('a payment that is not what was asked for', () => {
  const wrong: [string, (payment: Payment) => unknown][] = [
    ['another network', (p) => ({ ...p, accepted: { ...p.accepted, network: 'eip155:1' } })],
    ['another asset', (p) => ({ ...p, accepted: { ...p.accepted, asset: payTo } })],
    ['another recipient', (p) => ({ ...p, accepted: { ...p.accepted, payTo: asset } })],
    ['too little', (p) => ({ ...p, accepted: { ...p.accepted, amount: '100' } })],
    ['more than was signed', (p) => ({ ...p, accepted: { ...p.accepted, amount: '999999999' } })],
    ['another resource', (p) => ({ ...p, resource: { url: 'mcp://alpha/tools/flat' } })],
    ['no resource', (p) => ({ ...p, resource: undefined })],
    ['an unknown member', (p) => ({ ...p, more: true })],
    ['version 1', (p) => ({ ...p, x402Version: 1 })],
    ['a text', () => 'money'],
    ['null', () => null],
    ['too long', (p) => ({ ...p, extensions: { a: 'x'.repeat(9000) } })],
    ['a forged signature', (p) => ({ ...p, payload: { ...p.payload, signature: '0x12' } })],
    [
      'over before the call may be',
      (p) => ({
        ...p,
        payload: {
          ...p.payload,
          permit2Authorization: { ...p.payload.permit2Authorization, deadline: '1700000000' },
        },
      }),
    ],
  ]

  test.each(wrong)('%s: is refused, nothing is sent and nothing is charged', async (_what, change) => {
    const { member, client, payer } = await caller('modern')
    const payment = payer.pay(await asked(client))
    const [calls, settles] = [upstream.calls().length, facilitator.timesAsked('/settle')]
    const result = await call(client, change(payment) as Payment)
    expect(result).toMatchObject({ isError: true, structuredContent: { code: 'payment_invalid' } })
    expect(result.structuredContent.accepts).toHaveLength(1)
    expect(upstream.calls().length).toBe(calls)
    expect(facilitator.timesAsked('/settle')).toBe(settles)
    expect((await costsOf(member)).every(([outcome, cost]) => outcome === 'denied' && cost === '0')).toBe(
      true,
    )
    // It was not used up.
    expect((await call(client, payment)).isError).toBeUndefined()
  })
})

describe('while the facilitator', () => {
  const broken: [string, () => Promise<unknown> | void][] = [
    ['is dead', () => facilitator.die()],
    ['hangs', () => void (facilitator.manners['/verify'] = 'hanging')],
    ['fails', () => void (facilitator.manners['/verify'] = 'failing')],
  ]

  test.each(broken)(
    '%s, calls are refused and nothing is sent; the payment stays good',
    async (_how, breakIt) => {
      const { member, client, payer } = await caller('legacy')
      const payment = payer.pay(await asked(client))
      const calls = upstream.calls().length
      await breakIt()
      const result = await call(client, payment)
      expect(result).toMatchObject({
        isError: true,
        structuredContent: { code: 'payment_unavailable', retryAfterS: 5 },
      })
      expect(upstream.calls().length).toBe(calls)
      expect(await costsOf(member)).toEqual([
        ['denied', '0'],
        ['denied', '0'],
      ])
      facilitator.manners['/verify'] = 'well'
      await facilitator.live()
      expect((await call(client, payment)).isError).toBeUndefined()
    },
  )
})

describe('besides', () => {
  test('an account with credit keeps it where a call brings a payment, and a free call leaves the payment alone', async () => {
    const member = await gateway.member('rich', { grant: '5' })
    const client = await new McpClient(`${gateway.url}/mcp/alpha`, member.credential ?? '', 'modern').open()
    const { client: other } = await caller('modern')
    const payer = facilitator.newPayer()
    const payment = payer.pay(await asked(other))
    expect((await call(client, payment))._meta['x402/payment-response']).toMatchObject({ success: true })
    expect((await accountOf(member)).balance).toBe('5')
    const free = await call(client, payer.pay(await asked(other)), 'gratis')
    expect(free._meta?.['x402/payment-response']).toBeUndefined()
    expect(movedBy(payer)).toHaveLength(1)
  })

  test('a rule or a limit that comes while a payment is verified does not touch the call that was let in', async () => {
    const { member, client, payer } = await caller('modern')
    const required = await asked(client)
    const payment = payer.pay(required)
    facilitator.meanwhile = async () => {
      const who = { users: [member.userId] }
      await gateway.admin.ok('POST', '/api/v1/access-rules', { name: 'sudden', effect: 'deny', who })
      const match = { user: member.userId }
      await gateway.admin.ok('POST', '/api/v1/limits', {
        name: 'sudden',
        match,
        concurrent: 1,
        rate: { calls: 1, seconds: 3600 },
      })
    }
    expect((await call(client, payment))._meta['x402/payment-response']).toMatchObject({ success: true })
    expect(movedBy(payer)).toHaveLength(1)
    await gateway.admin.ok('DELETE', '/api/v1/access-rules/sudden')
    // It is not on the limit's count, since it was let in before there was one; the next two are.
    expect((await call(client, payer.pay(required)))._meta['x402/payment-response']).toMatchObject({
      success: true,
    })
    expect((await call(client, payer.pay(required))).structuredContent).toMatchObject({
      code: 'rate_limited',
    })
    await gateway.admin.ok('DELETE', '/api/v1/limits/sudden')
    expect(movedBy(payer)).toHaveLength(2)
    expect((await accountOf(member)).held).toBe('0')
  })

  test('a call that outgrows its payment is cut, and no more than the payment is settled', async () => {
    const { member, client, payer } = await caller('modern')
    const required = await asked(client)
    upstream.once(bigAnswer(100_000))
    const result = await call(client, payer.pay(required, { change: { amount: '25000' } }))
    expect(result.structuredContent).toMatchObject({ code: 'balance_exhausted', payment: '0.025' })
    expect(movedBy(payer).every(({ amount }) => amount <= 25_000n)).toBe(true)
    expect(await balanceOf(member)).toBe(0n)
  })

  test('a repeat with the same idempotency key gets the first answer and pays nothing', async () => {
    const { client, payer } = await caller('modern')
    const payment = payer.pay(await asked(client))
    const once = {
      meta: { 'x402/payment': payment },
      headers: { 'idempotency-key': 'pay-once' },
      tool: 'work',
    }
    const first = (await client.call(once)).message.result
    const second = (await client.call(once)).message.result
    expect(second.content).toEqual(first.content)
    expect(movedBy(payer)).toHaveLength(1)
  })

  test('calls through all servers at once are paid for in the same way', async () => {
    const { member, payer } = await caller('modern')
    const url = `${gateway.url}/mcp`
    const client = await new McpClient(url, member.credential ?? '', 'modern').open()
    const listed = (await client.request('tools/list')).message.result.tools as { name: string }[]
    const name = listed.find((tool) => tool.name.endsWith('work'))?.name ?? ''
    const required = await asked(client, name)
    const result = await call(client, payer.pay(required), name)
    expect(result._meta['x402/payment-response']).toMatchObject({ success: true })
    expect((await recordsOf(member)).at(-1)).toMatchObject({
      server: 'alpha',
      tool: 'work',
      outcome: 'success',
    })
  })

  test('a call of a modern client at a legacy server is paid for in the same way', async () => {
    const old = await startRecorder({ tools: ['work'], era: 'legacy' })
    await addServer(gateway, 'old', old.url, { limits: { maxResponseBytes: 65_536 } })
    const { client, payer } = await caller('modern', 'old')
    const result = await call(client, payer.pay(await asked(client)))
    expect(result._meta['x402/payment-response']).toMatchObject({ success: true })
    expect(movedBy(payer)).toHaveLength(1)
    expect(old.calls().map(({ body }) => body.toString().includes('x402'))).toEqual([false])
    await old.stop()
  })

  test('no payment is ever logged', () => {
    const signatures = facilitator.asked.map(({ body }) => body.paymentPayload.payload.signature)
    expect(signatures.length).toBeGreaterThan(20)
    for (const signature of signatures) expect(gateway.log()).not.toContain(signature)
    expect(gateway.log()).not.toContain(token)
  })
})

describe('after kill -9', () => {
  test('between the call and its settlement, the payment is settled, once', async () => {
    const { member, key, client, payer } = await caller('modern')
    const payment = payer.pay(await asked(client))
    facilitator.manners['/settle'] = 'hanging'
    const settles = facilitator.timesAsked('/settle')
    const broken = call(client, payment).catch(() => 'broken')
    await until(() => facilitator.timesAsked('/settle') > settles, 'the call is to be settled')
    await gateway.stop('SIGKILL')
    expect(await broken).toBe('broken')
    expect(movedBy(payer)).toEqual([])
    facilitator.manners['/settle'] = 'well'
    gateway = await start()
    await until(() => movedBy(payer).length === 1, 'it is settled')
    await until(async () => (await metricOf('settled')) === 1, 'the gateway knows')
    const again = await new McpClient(`${gateway.url}/mcp/alpha`, key, 'modern').open()
    expect((await call(again, payment)).structuredContent.code).toBe('payment_used')
    expect(await balanceOf(member)).toBe(0n)
    expect(movedBy(payer)).toHaveLength(1)
  })

  test('while the call runs, nothing is charged, and the payment is not taken again', async () => {
    const { member, key, client, payer } = await caller('modern')
    const payment = payer.pay(await asked(client))
    const calls = upstream.calls().length
    upstream.once(hang())
    const broken = call(client, payment).catch(() => 'broken')
    await until(() => upstream.calls().length > calls, 'the call runs')
    await gateway.stop('SIGKILL')
    expect(await broken).toBe('broken')
    gateway = await start()
    const again = await new McpClient(`${gateway.url}/mcp/alpha`, key, 'modern').open()
    expect((await call(again, payment)).structuredContent.code).toBe('payment_used')
    expect(movedBy(payer)).toEqual([])
    expect(await balanceOf(member)).toBe(0n)
  })

  test('at a facilitator that does not tell again what it settled, nothing is charged twice', async () => {
    const { member, client, payer } = await caller('modern')
    const payment = payer.pay(await asked(client))
    facilitator.isIdempotent = false
    facilitator.manners['/settle'] = 'late'
    const broken = call(client, payment).catch(() => 'broken')
    await until(() => movedBy(payer).length === 1, 'it is settled')
    await gateway.stop('SIGKILL')
    await broken
    facilitator.manners['/settle'] = 'well'
    gateway = await start()
    await until(async () => (await metricOf('unclear')) === 1, 'it is given up')
    expect(movedBy(payer)).toHaveLength(1)
    expect(await balanceOf(member)).toBe(0n)
  })
})
