// That the matrix's comparison of bills would see a wrong one.
import { expect, test } from 'vitest'
import { Bill, type BilledRecord } from './bill.ts'
import type { Pair } from './cells.ts'

const pair: Pair = {
  client: { transport: 'sse', revision: '2024-11-05', sdk: '1.32' },
  upstream: { transport: 'websocket', revision: '2026-07-28' },
}
const record = (change: Partial<BilledRecord> = {}): BilledRecord => ({
  method: 'tools/call',
  tool: 'echo',
  outcome: 'success',
  cost: '0.01',
  transport: 'sse',
  upstreamTransport: 'websocket',
  era: 'legacy',
  upstreamEra: 'modern',
  ...change,
})
const notice = record({
  method: 'notifications/initialized',
  tool: undefined,
  cost: '0',
})
const bill = new Bill()
bill.add('call', { method: 'tools/call', tool: 'echo', outcome: 'success', cost: '0.01' })
const faults = (records: BilledRecord[], failed: 'call'[] = []): string[] =>
  bill.faultsOf(records, pair, new Set(failed))

test('a bill as it must be has no fault', () => {
  expect(faults([record(), notice])).toEqual([])
  expect(faults([record({ cost: '0.010' })])).toEqual([])
})

test.each<[string, BilledRecord[], number]>([
  ['a call that is missing', [], 1],
  ['a call that is there twice', [record(), record()], 1],
  ['another cost', [record({ cost: '0.02' })], 2],
  ['another outcome', [record({ outcome: 'error' })], 2],
  ['another transport', [record({ transport: 'streamable-http' })], 1],
  ['another upstream transport and era', [record({ upstreamTransport: 'stdio', upstreamEra: 'legacy' })], 2],
  ['the wrong era', [record({ era: 'modern' })], 1],
  ['a notification that costs', [record(), { ...notice, cost: '0.01' }], 1],
])('%s is seen', (_, records, count) => {
  expect(faults(records)).toHaveLength(count)
})

test('a free round of a server that asks by itself is no fault, and only there', () => {
  const round = record({ cost: '0' })
  expect(faults([record(), round])).toHaveLength(1)
  const asked = new Bill()
  asked.asksByItself = true
  asked.add('call', { method: 'tools/call', tool: 'echo', outcome: 'success', cost: '0.01' })
  expect(asked.faultsOf([record(), round], pair, new Set())).toEqual([])
  expect(asked.faultsOf([record(), record()], pair, new Set())).toHaveLength(1)
})

test('lines of a behaviour that failed are not looked at', () => {
  expect(faults([], ['call'])).toEqual([])
  expect(faults([record(), record()], ['call'])).toEqual([])
})
