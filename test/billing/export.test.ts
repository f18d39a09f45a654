// Guarantees of exports: every visible call once and in order, sums that agree, and nothing that a spreadsheet carries out.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAmount } from '../../src/base/money.ts'
import { runCli } from '../../src/commands/program.ts'
import { recordingIo } from '../harness/cli.ts'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { McpClient, newKey } from '../faults/callers.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'

const tools = ['plain', '=HYPERLINK("http://evil")', 'comma, "quoted"', '-1+1', 'line\nbreak', 'Zürich']
const perTool = 7

let upstream: Recorder
let gateway: TestGateway
let ann: ApiCaller

beforeAll(async () => {
  upstream = await startRecorder()
  gateway = await startTestGateway()
  await addServer(gateway, 'stub', upstream.url)
  const match = { method: 'tools/call' }
  const rule = { name: 'calls', currency: 'USD', match, price: { perCall: '0.01', perKb: '0.0001' } }
  await gateway.admin.ok('POST', '/api/v1/billing/rules', rule)
  ann = await gateway.member('ann', { grant: '10' })
  // A modern client names the tool in a header, which not every name fits in.
  const own = await new McpClient(`${gateway.url}/mcp/stub`, await newKey(ann), 'legacy').open()
  for (let round = 0; round < perTool; round++)
    for (const name of tools) await own.call({ arguments: { round }, tool: name })
  const other = new McpClient(`${gateway.url}/mcp/stub`, await newKey(gateway.admin), 'modern')
  await other.call({ tool: 'plain' })
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

async function exported(caller: ApiCaller, query: string): Promise<{ text: string; headers: Headers }> {
  const response = await fetch(`${gateway.url}/api/v1/billing/export?${query}`, {
    headers: { authorization: `Bearer ${caller.credential}` },
  })
  expect(response.status).toBe(200)
  return { text: await response.text(), headers: response.headers }
}

/** RFC 4180, as a reader of CSV does it. */
function readCsv(text: string): Record<string, string>[] {
  const rows: string[][] = [[]]
  const pattern = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)/gy
  for (const [, field = '', end] of text.matchAll(pattern)) {
    rows.at(-1)?.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field)
    if (end === '\r\n') rows.push([])
  }
  const [head = [], ...rest] = rows.slice(0, -1)
  return rest.map((row) => {
    expect(row.length).toBe(head.length)
    return Object.fromEntries(head.map((name, index) => [name, row[index] ?? '']))
  })
}

const sum = (amounts: readonly (string | undefined)[]): bigint =>
  amounts.reduce((all, amount) => all + (parseAmount(amount ?? '') ?? 0n), 0n)
const totalOf = async (caller: ApiCaller): Promise<bigint> =>
  parseAmount((await caller.ok('GET', '/api/v1/billing/usage/summary')).totalCost) ?? 0n

test('CSV has every own call once, oldest first, and its costs sum to the summary', async () => {
  const { text, headers } = await exported(ann, 'format=csv&method=tools/call')
  expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
  expect(headers.get('content-disposition')).toBe('attachment; filename="usage.csv"')
  const rows = readCsv(text)
  expect(rows.length).toBe(tools.length * perTool)
  const ids = rows.map(({ id = '' }) => id)
  expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => (a < b ? -1 : 1)))
  expect(sum(rows.map(({ cost }) => cost))).toBe(await totalOf(ann))
  const shown = new Set(rows.map(({ tool }) => tool))
  expect(shown).toEqual(new Set(tools.map((name) => (/^[=-]/.test(name) ? `'${name}` : name))))
})

test('an auditor or administrator exports all, a member its own alone', async () => {
  const all = readCsv((await exported(gateway.admin, 'format=csv&method=tools/call')).text)
  expect(all.length).toBe(tools.length * perTool + 1)
  const foreign = await exported(ann, `format=csv&account=${gateway.admin.accountId}`)
  expect(readCsv(foreign.text)).toEqual([])
})

test('JSON lines are the records of the API', async () => {
  const lines = (await exported(ann, 'format=jsonl')).text.trimEnd().split('\n')
  const records = lines.map((line) => JSON.parse(line) as { id: string })
  expect(records.toReversed()).toEqual(await ann.all('/api/v1/billing/usage'))
})

test('CloudEvents carry their specification, and one id for each call', async () => {
  const lines = (await exported(ann, 'format=cloudevents&method=tools/call')).text.trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(events.length).toBe(tools.length * perTool)
  for (const event of events) {
    expect(event).toMatchObject({
      specversion: '1.0',
      source: gateway.url,
      type: 'tollbridge.call.settled',
      subject: ann.accountId,
      datacontenttype: 'application/json',
      data: { id: event['id'], accountId: ann.accountId },
    })
    expect(new Date(String(event['time'])).toISOString()).toBe(event['time'])
  }
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
})

describe('FOCUS 1.2', () => {
  /** Mandatory columns and what may stand in them (focus.finops.org, version 1.2): decimals, times, closed sets, texts. */
  const decimal = /^-?\d+(\.\d+)?$/
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
  const present = /^.+$/s
  const mandatory: Record<string, RegExp> = {
    BilledCost: decimal,
    BillingAccountId: present,
    BillingAccountName: present,
    BillingCurrency: /^[A-Z]{3}$/,
    BillingPeriodEnd: time,
    BillingPeriodStart: time,
    ChargeCategory: /^(?:Usage|Purchase|Tax|Credit|Adjustment)$/,
    ChargeClass: /^(?:|Correction)$/,
    ChargeDescription: present,
    ChargePeriodEnd: time,
    ChargePeriodStart: time,
    ContractedCost: decimal,
    EffectiveCost: decimal,
    InvoiceIssuerName: present,
    ListCost: decimal,
    PricingQuantity: decimal,
    PricingUnit: present,
    ProviderName: present,
    PublisherName: present,
    ServiceCategory: present,
    ServiceName: present,
  }

  test('rows have every mandatory column in its format, and other columns of their own kind alone', async () => {
    const { text, headers } = await exported(ann, 'format=focus&method=tools/call')
    expect(headers.get('content-disposition')).toContain('usage.focus.csv')
    const rows = readCsv(text)
    expect(rows.length).toBe(tools.length * perTool)
    for (const row of rows) {
      for (const [name, pattern] of Object.entries(mandatory)) expect(row[name], name).toMatch(pattern)
      const [start = '', end = ''] = [row['ChargePeriodStart'], row['ChargePeriodEnd']]
      expect(start < end).toBe(true)
      expect((row['BillingPeriodStart'] ?? '') <= start && start < (row['BillingPeriodEnd'] ?? '')).toBe(true)
      for (const name of Object.keys(row)) expect(name).toMatch(/^(?:[A-Z][A-Za-z]+|x_[A-Z][A-Za-z]+)$/)
    }
    expect(sum(rows.map(({ BilledCost }) => BilledCost))).toBe(await totalOf(ann))
  })
})

test('a client that goes away in the middle ends the export', async () => {
  const controller = new AbortController()
  const response = await fetch(`${gateway.url}/api/v1/billing/export?format=jsonl`, {
    headers: { authorization: `Bearer ${ann.credential}` },
    signal: controller.signal,
  })
  await response.body?.getReader().read()
  controller.abort()
  await gateway.admin.ok('GET', '/api/v1/billing/health')
})

test('an unknown format and a stranger are refused', async () => {
  expect((await ann.call('GET', '/api/v1/billing/export?format=xls')).status).toBe(400)
  expect((await fetch(`${gateway.url}/api/v1/billing/export`)).status).toBe(401)
})

test('the command line writes the same', async () => {
  const env = { TOLLBRIDGE_URL: gateway.url, TOLLBRIDGE_KEY: ann.credential, HOME: '/nonexistent' }
  const { io, out } = recordingIo(env)
  expect(await runCli('usage export --format jsonl --method tools/call'.split(' '), io)).toBe(0)
  expect(`${out.join('\n')}\n`).toBe((await exported(ann, 'format=jsonl&method=tools/call')).text)
})
