// `--demo`: a month of usage that adds up like any other, made once, in an empty store alone, on both engines.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ApiCaller, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { McpClient } from '../trust/bench.ts'

const api = '/api/v1'
const dayMs = 86_400_000

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
  await postgres.createDatabase('demo')
})
afterAll(() => postgres.stop())

const engines = { SQLite: () => [], PostgreSQL: () => ['--database-url', postgres.url('demo')] }

describe.each(Object.entries(engines))('the demo on %s', (_engine, argsOf) => {
  let gateway: TestGateway
  let data: string
  const start = () => startTestGateway({ data, args: ['--demo', ...argsOf()] })

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'tollbridge-demo-'))
    gateway = await start()
  })
  afterAll(async () => {
    await gateway.stop()
    rmSync(data, { recursive: true, force: true })
  })

  const summary = () => gateway.admin.ok('GET', `${api}/billing/usage/summary?groupBy=outcome`)

  test('has a month of calls up to now, on bills that add up', async () => {
    const { totalCalls, groups } = await summary()
    expect(totalCalls).toBeGreaterThan(8000)
    expect(groups.map(({ outcome }: { outcome: string }) => outcome)).toEqual(
      expect.arrayContaining(['success', 'tool_error', 'error', 'timeout', 'denied']),
    )
    expect(await gateway.admin.ok('GET', `${api}/billing/verify`)).toMatchObject({
      ok: true,
      checked: totalCalls,
    })
    const { items } = await gateway.admin.ok('GET', `${api}/billing/usage?limit=1`)
    const age = Date.now() - Date.parse(items[0].time)
    expect(age).toBeGreaterThanOrEqual(0)
    expect(age).toBeLessThan(dayMs)
  })

  test('has something in every list', async () => {
    const all = async (path: string) => gateway.admin.all(`${api}${path}`)
    expect((await all('/servers')).map(({ name }) => name)).toEqual([
      'maps',
      'papers',
      'warehouse',
      'everything',
    ])
    expect(new Set((await all('/billing/invoices')).map(({ status }) => status))).toEqual(
      new Set(['draft', 'finalized']),
    )
    const accounts = await all('/billing/accounts')
    expect(accounts.filter(({ parentId }) => parentId !== undefined).length).toBeGreaterThan(5)
    for (const list of ['/users', '/billing/budgets', '/billing/books', '/access-rules', '/limits'])
      expect([list, (await all(list)).length]).toEqual([list, expect.toSatisfy((many: number) => many > 0)])
    const rules = await all('/billing/rules')
    expect(rules.find(({ name }) => name === 'Maps: routes')).toMatchObject({
      version: 2,
      price: { perCall: '0.012' },
    })
  })

  test('has servers that run, and are billed', async () => {
    const credential = readFileSync(join(data, 'demo-key'), 'utf8').trim()
    for (const [server, name, inputs, cost] of [
      ['maps', 'route', { from: 'Lisbon', to: 'Porto' }, '0.012'],
      ['papers', 'summarize', { text: 'word '.repeat(1000) }, '0.01572'],
      ['warehouse', 'list_tables', {}, '0'],
    ] as const) {
      const client = new McpClient({ url: gateway.url, credential }, `/mcp/${server}`)
      const answer = await client.ask('modern', { method: 'tools/call', params: { name, arguments: inputs } })
      expect([answer.json.result?.isError, answer.headers['tollbridge-cost']]).toEqual([undefined, cost])
    }
  })

  test('is there once: the next start makes nothing, and its people log in with their password', async () => {
    const before = await summary()
    await gateway.stop()
    gateway = await start()
    expect((await summary()).totalCalls).toBe(before.totalCalls)
    const file = join(data, 'demo-password')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const lena = await new ApiCaller(gateway.url).login('lena', readFileSync(file, 'utf8').trim())
    const own = await lena.ok('GET', `${api}/billing/usage/summary`)
    expect(own.totalCalls).toBeGreaterThan(500)
    expect(own.totalCalls).toBeLessThan(before.totalCalls / 2)
  })
})

test('a store that was used is not filled', async () => {
  const data = mkdtempSync(join(tmpdir(), 'tollbridge-demo-'))
  try {
    await (await startTestGateway({ data })).stop()
    const gateway = await startTestGateway({ data, args: ['--demo'] })
    const { totalCalls } = await gateway.admin.ok('GET', `${api}/billing/usage/summary`)
    const servers = await gateway.admin.all(`${api}/servers`)
    await gateway.stop()
    expect([totalCalls, servers.map(({ name }) => name)]).toEqual([0, ['everything']])
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})
