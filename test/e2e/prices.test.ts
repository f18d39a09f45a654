// Prices that count over a period, on the real gateway: parallel calls and killed processes add up to the period's amount.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Decimal } from 'decimal.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { McpClient, refusalCode, type Answer } from '../faults/callers.ts'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'
import { answer, delayed, type Reply } from '../upstreams/replies.ts'

const Exact = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_UP })
const steps = (mode: string, unit: string, ...given: [string | null, string, string?][]) => ({
  tiers: {
    mode,
    unit,
    steps: given.map(([upTo, unitPrice, flatPrice]) => ({
      upTo,
      unitPrice,
      ...(flatPrice && { flatPrice }),
    })),
  },
})
/** What 300 calls pass several bounds of. */
const prices = {
  'steps of calls': steps('graduated', 'call', ['40', '0.03'], ['150', '0.02', '1'], [null, '0.01']),
  'a volume that gets cheaper': steps('volume', 'call', ['90', '0.03'], ['150', '0.02'], [null, '0.01']),
  'steps of KB': steps('graduated', 'kb', ['10', '0'], ['50', '0.0123'], [null, '0.0457']),
  'packages of tokens': { package: { unit: 'token', size: '1000', price: '0.5', free: '500' } },
  'a share of the cost': {
    percentage: { rate: '0.2', of: 'upstreamCost', free: '1', fixed: '0.001' },
    flat: '3',
  },
  'a fee, calls and tokens': { flat: '2.5', perCall: '0.01', perToken: '0.000001' },
}
const grant = '500'

/** Reports as the call asks it to. */
const reporting: Reply = (exchange) => {
  const { use } = (exchange.message.params?.['arguments'] ?? {}) as { use?: object }
  const result = { content: [{ type: 'text', text: 'done' }], ...(use && { _meta: use }) }
  return delayed(5 + Math.random() * 40, answer(result))(exchange)
}

interface Payer {
  readonly api: ApiCaller
  readonly key: string
}

interface Usage {
  readonly outcome: string
  readonly cost: string
  readonly tokens?: number
  readonly upstreamCost?: string
  readonly requestBytes: number
  readonly responseBytes: number
}

let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('prices')
})
afterAll(() => cluster.stop())

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  const data = mkdtempSync(join(tmpdir(), 'tollbridge-prices-'))
  let gateway: TestGateway
  let upstream: Recorder
  let payers = 0

  const start = async (): Promise<void> => {
    const args = engine === 'postgres' ? ['--database-url', cluster.url('prices')] : []
    gateway = await startTestGateway({ data, args })
  }
  beforeAll(async () => {
    upstream = await startRecorder()
    upstream.reply(reporting)
    await start()
    await addServer(gateway, 'stub', upstream.url, {
      usageReport: { tokens: { key: 'x/tokens', max: 500 }, cost: { key: 'x/cost', max: '0.5' } },
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
    rmSync(data, { recursive: true, force: true })
  })

  /** A prepaid account with a price of its own. */
  async function newPayer(price: object, amount: string): Promise<Payer> {
    const api = await gateway.member(`payer-${++payers}`, { grant: amount })
    const { key } = await api.ok('POST', '/api/v1/keys', { name: 'key' })
    const match = { method: 'tools/call', account: api.accountId }
    await gateway.admin.ok('POST', '/api/v1/billing/rules', {
      name: `price-${payers}`,
      match,
      currency: 'USD',
      price,
    })
    return { api, key }
  }

  /** So many calls at once; what broke off is undefined. */
  const flood = ({ key }: Payer, count: number): Promise<(Answer | undefined)[]> => {
    const client = new McpClient(`${gateway.url}/mcp/stub`, key, 'modern')
    const sent = Array.from({ length: count }, (_, index) => {
      const use = { 'x/tokens': (index * 37) % 120, 'x/cost': `0.0${index % 9}1` }
      return client.call({ arguments: { use } }).catch(() => undefined)
    })
    return Promise.all(sent)
  }

  const usageOf = (payer: Payer) =>
    gateway.admin.all(`/api/v1/billing/usage?user=${payer.api.userId}&method=tools/call`) as Promise<Usage[]>
  const accountOf = (payer: Payer) =>
    gateway.admin.ok('GET', `/api/v1/billing/accounts/${payer.api.accountId}`)

  /** What the price says of all that was charged together. */
  async function quoted(price: object, charged: readonly Usage[]): Promise<Decimal> {
    const sum = (read: (one: Usage) => Decimal.Value): Decimal =>
      charged.reduce((all, one) => all.plus(read(one)), new Exact(0))
    const usage = {
      calls: String(charged.length),
      kb: sum((one) => one.requestBytes + one.responseBytes)
        .div(1024)
        .toFixed(),
      tokens: sum((one) => one.tokens ?? 0).toFixed(),
      upstreamCost: sum((one) => one.upstreamCost ?? 0).toFixed(),
    }
    const { amount } = await gateway.admin.ok('POST', '/api/v1/billing/quote', { price, usage })
    // A quote adds what is due for each costly call once.
    const fixed = (price as { percentage?: { fixed?: string } }).percentage?.fixed
    const costly = charged.filter((one) => Number(one.upstreamCost ?? 0) > 0).length
    return new Exact(amount).plus(new Exact(fixed ?? 0).times(Math.max(0, costly - 1))).toDecimalPlaces(9)
  }

  const verify = async (): Promise<void> => {
    const found = await gateway.admin.ok('GET', '/api/v1/billing/verify')
    expect(found).toMatchObject({ ok: true, differences: [] })
  }

  test('200 calls at once of each price, a restart and a killed process add up to the period’s amount', async () => {
    const entries = await Promise.all(
      Object.entries(prices).map(async ([name, price]) => ({
        name,
        price,
        payer: await newPayer(price, grant),
      })),
    )
    for (const { payer, name } of entries) {
      const answers = await flood(payer, 200)
      expect(
        answers.filter((one) => one?.message?.result?.isError !== undefined || !one?.message?.result),
        name,
      ).toEqual([])
    }
    await gateway.stop()
    await start()
    const seen = upstream.calls().length
    const broken = Promise.all(entries.map(({ payer }) => flood(payer, 40)))
    await upstream.until(() => upstream.calls().length >= seen + 60)
    await gateway.stop('SIGKILL')
    const answered = (await broken).map((answers) => answers.filter((one) => one?.message?.result).length)
    await start()
    await Promise.all(entries.map(({ payer }) => flood(payer, 30)))

    for (const [index, { name, price, payer }] of entries.entries()) {
      const charged = await usageOf(payer)
      expect(
        charged.every(({ outcome }) => outcome === 'success'),
        name,
      ).toBe(true)
      expect(charged.length, name).toBeGreaterThanOrEqual(230 + (answered[index] ?? 0))
      expect(charged.length, name).toBeLessThanOrEqual(270)
      const sum = charged.reduce((all, { cost }) => all.plus(cost), new Exact(0))
      expect(sum.toFixed(), name).toBe((await quoted(price, charged)).toFixed())
      expect(sum.gt(0), name).toBe(true)
      const { balance, held } = await accountOf(payer)
      expect([new Exact(balance).plus(sum).toFixed(), held], name).toEqual([grant, '0'])
    }
    await verify()
  })

  /** Each with the money for exactly so many calls. */
  const budgets = [
    [
      'steps that get dearer',
      steps('graduated', 'call', ['10', '0.1'], ['20', '0.5'], [null, '1']),
      '11',
      25,
    ],
    ['free calls first', steps('graduated', 'call', ['20', '0'], [null, '1']), '5', 25],
    ['one price for all', steps('graduated', 'call', [null, '1']), '25', 25],
    ['packages', { package: { unit: 'call', size: '10', price: '1' } }, '3', 30],
    [
      'fees of steps',
      steps('graduated', 'call', ['10', '0', '1'], ['20', '0', '2'], [null, '0', '100']),
      '3',
      20,
    ],
    [
      'steps that get cheaper',
      steps('graduated', 'call', ['10', '1'], ['20', '0.5'], [null, '0.1']),
      '15.5',
      25,
    ],
    ['a fee and calls', { flat: '5', perCall: '1' }, '15', 10],
  ] as const

  test.each(budgets)(
    'money for exactly some calls buys exactly these: %s',
    async (_name, price, money, affordable) => {
      const payer = await newPayer(price, money)
      const before = upstream.calls().length
      let ran = 0
      const answers = await flood(payer, 300)
      ran += answers.filter((one) => one && refusalCode(one) === undefined).length
      expect(upstream.calls().length - before).toBe(ran)
      expect(ran).toBeLessThanOrEqual(affordable)
      // What is held for calls on their way comes free as they settle: asked again, the rest is had to the last.
      const client = new McpClient(`${gateway.url}/mcp/stub`, payer.key, 'modern')
      for (;;) {
        const next = await client.call()
        if (refusalCode(next) !== undefined) break
        ran++
      }
      expect(ran).toBe(affordable)
      expect(await accountOf(payer)).toMatchObject({ balance: '0', held: '0' })
      const charged = (await usageOf(payer)).filter(({ outcome }) => outcome === 'success')
      const sum = charged.reduce((all, { cost }) => all.plus(cost), new Exact(0))
      expect(sum.toFixed()).toBe((await quoted(price, charged)).toFixed())
      await verify()
    },
  )
})
