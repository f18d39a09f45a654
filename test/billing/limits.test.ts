// 500 calls at once against each kind of limit, on the real gateway over both stores: exactly what is affordable runs.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { McpClient, refusalCode, type Answer, type Era } from '../faults/callers.ts'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'
import { delayed } from '../upstreams/replies.ts'

const callsAtOnce = 500
const affordable = 10
/** Every call costs 1; the rest of a budget pays for none. */
const limit = '10.5'

let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('limits')
})
afterAll(() => cluster.stop())

interface Caller {
  readonly api: ApiCaller
  readonly key: string
  readonly keyId: string
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let gateway: TestGateway
  let upstream: Recorder
  let callers = 0

  beforeAll(async () => {
    upstream = await startRecorder()
    upstream.reply(delayed(30))
    const args = engine === 'postgres' ? ['--database-url', cluster.url('limits')] : []
    gateway = await startTestGateway({ args })
    await addServer(gateway, 'stub', upstream.url)
    await addServer(gateway, 'counted', upstream.url)
    const rule = { name: 'calls', match: { method: 'tools/call' }, currency: 'USD', price: { perCall: '1' } }
    await gateway.admin.ok('POST', '/api/v1/billing/rules', rule)
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function newCaller(options: { grant?: string; budget?: object } = {}): Promise<Caller> {
    const { budget, ...rest } = options
    const api = await gateway.member(`caller-${++callers}`, rest)
    const made = await api.ok('POST', '/api/v1/keys', { name: 'key', ...(budget && { budget }) })
    return { api, key: made.key, keyId: made.id }
  }

  const budget = (scope: object, more: object = {}) =>
    gateway.admin.ok('POST', '/api/v1/billing/budgets', { scope, amount: limit, window: 'month', ...more })

  async function client(key: string, era: Era = 'modern', server = 'stub'): Promise<McpClient> {
    return new McpClient(`${gateway.url}/mcp/${server}`, key, era).open()
  }

  /** Sends all at once, taking turns between the clients; returns the refusals. */
  async function flood(...clients: McpClient[]): Promise<Answer[]> {
    const before = upstream.calls().length
    const rounds = Array.from({ length: callsAtOnce / clients.length }, () => clients)
    const answers = await Promise.all(rounds.flat().map((each) => each.call()))
    expect(answers).toHaveLength(callsAtOnce)
    const refused = answers.filter((answer) => refusalCode(answer) !== undefined)
    expect(upstream.calls().length - before, 'calls that ran').toBe(affordable)
    expect(refused).toHaveLength(callsAtOnce - affordable)
    return refused
  }

  async function expectUsedUp(id: string, refused: readonly Answer[], subject?: string): Promise<void> {
    expect(new Set(refused.map(refusalCode))).toEqual(new Set(['budget_exhausted']))
    const path = `/api/v1/billing/budgets/${id}${subject ? `?subject=${subject}` : ''}`
    const shown = await gateway.admin.ok('GET', path)
    expect(shown).toMatchObject({ spent: '10', held: '0', remaining: '0.5', limit, state: 'warning' })
    const said = refused[0]?.message.result
    expect(said.isError).toBe(true)
    expect(said.structuredContent).toMatchObject({
      budget: id,
      amount: limit,
      required: '1',
      currency: 'USD',
    })
    if (shown.window !== 'lifetime') {
      expect(Date.parse(said.structuredContent.resetsAt)).toBeGreaterThan(Date.now())
      expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
    }
  }

  test('a balance', async () => {
    const { key, api } = await newCaller({ grant: limit })
    const refused = await flood(await client(key))
    expect(new Set(refused.map(refusalCode))).toEqual(new Set(['balance_exhausted']))
    const account = await gateway.admin.ok('GET', `/api/v1/billing/accounts/${api.accountId}`)
    expect(account).toMatchObject({ balance: '0.5', held: '0', spent: '10' })
  })

  test('a budget of an account that is postpaid', async () => {
    const { key, api } = await newCaller()
    const { id } = await budget({ account: api.accountId }, { window: 'lifetime' })
    await expectUsedUp(id, await flood(await client(key)))
  })

  test('a budget of an ancestor, shared by two', async () => {
    const accounts = '/api/v1/billing/accounts'
    const org = await gateway.admin.ok('POST', accounts, { kind: 'organisation', name: `org-${callers}` })
    const team = await gateway.admin.ok('POST', accounts, { kind: 'team', name: 'team', parentId: org.id })
    const both = [await newCaller(), await newCaller()]
    for (const { api } of both)
      await gateway.admin.ok('PATCH', `${accounts}/${api.accountId}`, { parentId: team.id })
    const { id } = await budget({ account: org.id })
    await expectUsedUp(id, await flood(...(await Promise.all(both.map(({ key }) => client(key))))))
  })

  test('a budget of a user, by the week', async () => {
    const { key, api } = await newCaller()
    const { id } = await budget({ user: api.userId }, { window: 'week', timeZone: 'Asia/Kathmandu' })
    await expectUsedUp(id, await flood(await client(key)))
  })

  test('a budget that a key was made with, rolling', async () => {
    const { key, keyId, api } = await newCaller({
      budget: { amount: limit, window: { rollingSeconds: 3600 } },
    })
    const shown = (await api.ok('GET', '/api/v1/keys')).items.find(
      (each: { id: string }) => each.id === keyId,
    )
    await expectUsedUp(shown.budget.id, await flood(await client(key)))
    expect((await api.ok('GET', `/api/v1/billing/budgets/${shown.budget.id}`)).spent).toBe('10')
  })

  test('a budget for each session', async () => {
    const { key } = await newCaller()
    const made = await budget({ session: '*' }, { window: 'lifetime' })
    const [one, other] = [await client(key, 'legacy'), await client(key, 'legacy')]
    const records = async () => (await gateway.admin.ok('GET', '/api/v1/billing/usage?limit=1')).items
    await flood(one)
    const [{ sessionId }] = await records()
    await expectUsedUp(made.id, await flood(other), sessionId)
    await gateway.admin.ok('DELETE', `/api/v1/billing/budgets/${made.id}`)
  })

  test('a budget of a server, by the day', async () => {
    const { key } = await newCaller()
    const { id } = await budget({ server: 'counted' }, { window: 'day' })
    await expectUsedUp(id, await flood(await client(key, 'modern', 'counted')))
  })

  test('a quota of calls, in both eras', async () => {
    const { key, api } = await newCaller()
    const { id, currency } = await budget(
      { user: api.userId },
      { amount: '10', unit: 'calls', window: 'day' },
    )
    expect(currency).toBeUndefined()
    const refused = await flood(await client(key), await client(key, 'legacy'))
    expect(new Set(refused.map(refusalCode))).toEqual(new Set(['quota_exhausted']))
    const shown = await gateway.admin.ok('GET', `/api/v1/billing/budgets/${id}`)
    expect(shown).toMatchObject({ unit: 'calls', spent: '10', held: '0', remaining: '0', state: 'exhausted' })
    for (const answer of refused) {
      const said = answer.message.result
      expect(said.isError).toBe(true)
      expect(said.content[0].text).toMatch(/^The quota .* of 10 calls a day is used up; wait until .* or ask/)
      expect(said.structuredContent).toMatchObject({ budget: id, calls: '10' })
      expect(Number(said.structuredContent.used) + Number(said.structuredContent.running)).toBe(10)
      expect(Date.parse(said.structuredContent.resetsAt)).toBeGreaterThan(Date.now())
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    }
  })

  test('several limits at once: the tightest decides', async () => {
    const { key, api, keyId } = await newCaller({ grant: '12' })
    const { id } = await budget({ key: keyId }, { window: { rollingSeconds: 86_400 } })
    await budget({ account: api.accountId }, { amount: '11' })
    await budget({ user: api.userId }, { amount: '3', mode: 'shadow' })
    await budget({ user: '*' }, { amount: '10000' })
    await expectUsedUp(id, await flood(await client(key)))
  })

  test('the books are clean, and every event was raised once', async () => {
    const { differences } = await gateway.admin.ok('GET', '/api/v1/billing/verify')
    expect(differences).toEqual([])
    const events = await gateway.admin.all('/api/v1/billing/events')
    const names = events.map(({ kind, data }) => [kind, data.budget, data.subject, data.threshold].join(' '))
    expect(names.length).toBe(new Set(names).size)
    const kinds = Map.groupBy(events, ({ kind, data }) => `${kind} ${data.threshold ?? data.mode}`)
    expect(kinds.get('budget.exhausted hard')?.length).toBeGreaterThan(6)
    expect(kinds.get('budget.exhausted shadow')).toHaveLength(1)
    expect(kinds.get('budget.threshold 0.5')?.length).toBeGreaterThan(6)
  })
})
