// Guarantees of one simulation: it is bounded, ends when nobody waits, and puts drafts in place of what they replace.
import { expect, test } from 'vitest'
import { compileRule, type RuleHistory } from '../pricing/choice.ts'
import { ruleInput } from '../pricing/rule-input.ts'
import type { UsageRecord } from '../usage/record.ts'
import { simulate, type SimulationOptions } from './simulate.ts'

const record = (at: number): UsageRecord => ({
  id: BigInt(at),
  userId: 'usr_1',
  accountId: 'acc_1',
  serverId: 'srv_1',
  server: 'stub',
  method: 'tools/call',
  tool: 'work',
  transport: 'streamable-http',
  upstreamTransport: 'streamable-http',
  era: 'modern',
  upstreamEra: 'modern',
  outcome: 'success',
  statusCode: 200,
  requestBytes: 100,
  responseBytes: 100,
  durationUs: 1000,
  cost: 0n,
  currency: 'USD',
  priced: false,
  client: { ip: '127.0.0.1', userAgent: 'test/1' },
})

/** Counts the pages that were asked for. */
function pages(count: number) {
  const read = { pages: 0 }
  async function* each() {
    for (let page = 0; page < count; page++) {
      read.pages++
      yield await Promise.resolve([record(2 * page + 1), record(2 * page + 2)])
    }
  }
  return { read, records: each() }
}

const rule = (name: string, perCall: string) => ruleInput.parse({ name, currency: 'USD', price: { perCall } })
const published = (ruleId: string, name: string, perCall: string): RuleHistory => {
  const own = { ...rule(name, perCall), ruleId, version: 1, effectiveFromMs: 0, createdAtMs: 0 }
  return { ruleId, versions: [compileRule(own)] }
}
const run = (options: Partial<SimulationOptions> & Pick<SimulationOptions, 'records'>) =>
  simulate({
    drafts: [],
    kept: [],
    findAccount: () => undefined,
    findVersion: () => undefined,
    maxRecords: 1000,
    signal: new AbortController().signal,
    ...options,
  })

test('more records than the limit are refused with what to do, and no further page is read', async () => {
  const { read, records } = pages(100)
  await expect(run({ records, maxRecords: 5 })).rejects.toMatchObject({
    code: 'unprocessable',
    message: expect.stringContaining('shorter period'),
  })
  expect(read.pages).toBe(3)
})

test('a caller who is gone ends it at the next page', async () => {
  const controller = new AbortController()
  const { read, records } = pages(100)
  async function* leaving() {
    for await (const page of records) {
      if (read.pages === 4) controller.abort()
      yield page
    }
  }
  await expect(run({ records: leaving(), signal: controller.signal })).rejects.toThrow()
  expect(read.pages).toBe(4)
})

test('a draft stands in place of the rule that it is of, and beside the others', async () => {
  const kept = [published('rul_1', 'old', '1'), published('rul_2', 'other', '5')]
  const result = await run({
    records: pages(2).records,
    kept: kept.slice(0, 1),
    drafts: [{ rule: rule('new', '3'), ruleId: 'rul_1' }],
  })
  expect(result.byRule).toEqual([
    { rule: 'new', ruleId: 'rul_1', currency: 'USD', calls: 4, old: '0', new: '12' },
  ])
  const other = await run({
    records: pages(1).records,
    kept,
    drafts: [{ rule: rule('new', '3'), ruleId: 'rul_1' }],
  })
  // Of two that tie, the newer id is chosen; the replaced one is not there at all.
  expect(other.byRule.map((row) => row.rule)).toEqual(['other'])
})
