// Guarantees of simulated prices: the rules of today make the bill of today, others what they say, and nothing is changed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { McpClient, newKey } from '../faults/callers.ts'
import { recordingIo } from '../harness/cli.ts'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'

const tiers = {
  mode: 'graduated',
  unit: 'call',
  steps: [
    { upTo: '5', unitPrice: '0.1' },
    { upTo: null, unitPrice: '0.01', flatPrice: '1' },
  ],
}
const rule = (name: string, price: object, more: object = {}) => ({ name, currency: 'USD', price, ...more })
const today = [
  rule('cheap', { perCall: '0.01', perKb: '0.0005' }, { match: { tool: 'cheap' } }),
  rule('steps', { tiers, flat: '0.5' }, { match: { tool: 'steps' } }),
]

let upstream: Recorder
let gateway: TestGateway
const members: ApiCaller[] = []
const from = new Date(Date.now() - 3_600_000).toISOString()

beforeAll(async () => {
  upstream = await startRecorder()
  gateway = await startTestGateway()
  await addServer(gateway, 'stub', upstream.url)
  for (const body of today) await gateway.admin.ok('POST', '/api/v1/billing/rules', body)
  for (const name of ['ann', 'bob']) {
    const member = await gateway.member(name, { grant: '100' })
    members.push(member)
    const client = new McpClient(`${gateway.url}/mcp/stub`, await newKey(member), 'modern')
    const calls = Array.from({ length: 8 }, () => ['cheap', 'steps', 'free']).flat()
    await Promise.all(calls.map((tool) => client.call({ tool })))
  }
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

const simulate = (body: object) => gateway.admin.ok('POST', '/api/v1/billing/simulate', { from, ...body })
const sums = (list: readonly Record<string, unknown>[], key: string) =>
  Object.fromEntries(list.map(({ [key]: name, old, new: cost }) => [name, [old, cost]]))

describe('a simulation', () => {
  test('of the rules of today is the bill of today, whether they are named or kept', async () => {
    const { totalCost } = await gateway.admin.ok('GET', '/api/v1/billing/usage/summary')
    for (const body of [{ rules: today }, { rules: [], keep: true }]) {
      const result = await simulate(body)
      expect(result).toMatchObject({
        old: totalCost,
        new: totalCost,
        currency: 'USD',
        unpriced: { old: 16, new: 16 },
      })
      // 8 calls: 5 × 0.1 and 3 × 0.01, a step's price and a fee.
      expect(sums(result.byRule, 'rule')['steps']).toEqual(['4.06', '4.06'])
      for (const { old, new: cost } of result.byAccount) expect(cost).toBe(old)
    }
  })

  test('of other rules is what they say, by rule and by account', async () => {
    const result = await simulate({ rules: [rule('all', { perCall: '1' })] })
    expect(result).toMatchObject({ records: 48, new: '48', unpriced: { old: 16, new: 0 } })
    expect(sums(result.byAccount, 'accountId')).toMatchObject(
      Object.fromEntries(members.map(({ accountId }) => [accountId, [expect.any(String), '24']])),
    )
    const [ann] = members
    expect((await simulate({ rules: [rule('all', { perCall: '1' })], account: ann?.accountId })).new).toBe(
      '24',
    )
  })

  test('leaves the rules of today in force where it keeps them', async () => {
    const result = await simulate({ rules: [rule('rest', { perCall: '2' })], keep: true })
    expect(sums(result.byRule, 'rule')).toMatchObject({ rest: ['0', '32'], steps: ['4.06', '4.06'] })
  })

  test('changes nothing', async () => {
    const before = await gateway.admin.ok('GET', '/api/v1/billing/verify')
    await simulate({ rules: [rule('all', { perCall: '1' })] })
    expect(await gateway.admin.ok('GET', '/api/v1/billing/verify')).toEqual(before)
    expect((await gateway.admin.all('/api/v1/billing/rules')).length).toBe(today.length)
  })

  test('is for those who make rules, and names what is wrong with one', async () => {
    const refused = await members[0]?.call('POST', '/api/v1/billing/simulate', { rules: [] })
    expect(refused?.status).toBe(403)
    const faulty = await gateway.admin.call('POST', '/api/v1/billing/simulate', {
      rules: [rule('ok', { perCall: '1' }), rule('bad', { perCall: '-1' })],
    })
    expect([faulty.status, faulty.text.includes('/rules/1/price/perCall')]).toEqual([400, true])
  })

  test('takes a file of rules on the command line', async () => {
    const env = {
      TOLLBRIDGE_URL: gateway.url,
      TOLLBRIDGE_KEY: gateway.admin.credential,
      HOME: '/nonexistent',
    }
    const file = 'tollbridge: 1\nrules:\n  - { name: all, currency: USD, price: { perCall: 1 } }\n'
    const { io, out } = recordingIo(env, { readInput: () => Promise.resolve(file) })
    expect(await runCli(['rule', 'simulate', '-', '--from', from, '--json'], io)).toBe(0)
    expect(JSON.parse(out.join('\n'))).toMatchObject({ new: '48' })
  })
})
