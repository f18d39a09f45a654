// Guarantees of prices over time, on the real gateway: books, drafts and the linter decide what a call costs, and only then.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { McpClient, newKey } from '../faults/callers.ts'
import { recordingIo } from '../harness/cli.ts'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'

let upstream: Recorder
let gateway: TestGateway
let ann: ApiCaller
let bob: ApiCaller
const from = new Date(Date.now() - 3_600_000).toISOString()
const billing = '/api/v1/billing'

beforeAll(async () => {
  upstream = await startRecorder({ tools: ['work', 'rest'] })
  gateway = await startTestGateway()
  await addServer(gateway, 'stub', upstream.url)
  ann = await gateway.member('ann')
  bob = await gateway.member('bob')
  for (const name of ['gold', 'acme']) await post('books', { name })
  await post('rules', { ...base, name: 'all', priority: 9, price: { perCall: '1' } })
  await post('rules', { ...base, name: 'gold', book: 'gold', price: { perCall: '0.5' } })
  await post('rules', { ...base, name: 'acme', book: 'acme', price: { perCall: '0.25' } })
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

const base = { currency: 'USD', match: { tool: 'work' } }
const post = (path: string, body: object) => gateway.admin.ok('POST', `${billing}/${path}`, body)
const patch = (path: string, body: object) => gateway.admin.ok('PATCH', `${billing}/${path}`, body)
const give = (who: ApiCaller, body: object) => patch(`accounts/${who.accountId}`, body)

/** The cost of one call, as its record has it. */
async function pay(who: ApiCaller, tool = 'work'): Promise<string> {
  const client = new McpClient(`${gateway.url}/mcp/stub`, await newKey(who), 'modern')
  await client.call({ tool })
  const { items } = await who.ok('GET', `${billing}/usage?limit=1`)
  return items[0].cost
}
async function cli(line: string) {
  const env = { TOLLBRIDGE_URL: gateway.url, TOLLBRIDGE_KEY: gateway.admin.credential, HOME: '/nonexistent' }
  const { io, out, talk } = recordingIo(env)
  const code = await runCli(line.split(' '), io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}

describe('an account with price books', () => {
  test('pays by its own before its plan, from the moment on in which it gets it, and nobody else does', async () => {
    expect([await pay(ann), await pay(bob)]).toEqual(['1', '1'])
    expect(await give(ann, { plan: 'gold' })).toMatchObject({ plan: 'gold' })
    expect([await pay(ann), await pay(bob)]).toEqual(['0.5', '1'])
    await give(ann, { priceBook: 'acme' })
    expect(await pay(ann)).toBe('0.25')
    const { items } = await ann.ok('GET', '/api/v1/servers/stub/tools')
    expect(
      items.map(({ name, price }: { name: string; price: { name: string } | null }) => [name, price?.name]),
    ).toEqual([
      ['work', 'acme'],
      ['rest', undefined],
    ])
  })

  test('is told why by explain, at any time', async () => {
    const call = { server: 'stub', method: 'tools/call', tool: 'work' }
    const { rule, price, candidates } = await post('explain', { ...call, userId: ann.userId })
    expect([rule.name, price]).toEqual(['acme', { perCall: '0.25' }])
    expect(candidates.map((own: { name: string; lostBecause?: string }) => own.lostBecause)).toEqual([
      undefined,
      'It is in the book "gold" and stands behind "acme" in the book "acme", the account\'s own.',
      'It is in no book and stands behind "acme" in the book "acme", the account\'s own.',
    ])
    const bobs = await post('explain', { ...call, userId: bob.userId, at: new Date().toISOString() })
    expect(bobs.candidates.slice(1).map((own: { lostBecause: string }) => own.lostBecause)).toEqual([
      'It is in the book "acme", which this account does not have.',
      'It is in the book "gold", which this account does not have.',
    ])
    const before = await post('explain', { ...call, at: '2020-01-01T00:00:00Z' })
    expect(before.rule).toBeUndefined()
  })

  test('has those of the nearest account above it where it has none, and pays by the others once it is moved', async () => {
    const cleo = await gateway.member('cleo')
    const team = await post('accounts', { kind: 'team', name: 'engineering' })
    await patch(`accounts/${team.id}`, { plan: 'gold' })
    expect(await pay(cleo)).toBe('1')
    await give(cleo, { parentId: team.id })
    expect(await pay(cleo)).toBe('0.5')
    await give(cleo, { plan: 'acme' })
    expect(await pay(cleo)).toBe('0.25')
    expect(await give(cleo, { plan: null })).not.toHaveProperty('plan')
    expect(await pay(cleo)).toBe('0.5')
    await give(cleo, { parentId: null })
    expect(await pay(cleo)).toBe('1')
  })

  test('cannot get a book that is not there, and keeps one from being removed', async () => {
    const refused = await gateway.admin.call('PATCH', `${billing}/accounts/${ann.accountId}`, {
      plan: 'none',
    })
    expect([refused.status, refused.json.errors[0].field]).toEqual([400, '/plan'])
    await post('books', { name: 'spare' })
    await give(bob, { plan: 'spare' })
    expect((await gateway.admin.call('DELETE', `${billing}/books/spare`)).status).toBe(409)
    await give(bob, { plan: null })
    expect((await gateway.admin.call('DELETE', `${billing}/books/spare`)).status).toBe(204)
    expect((await bob.call('GET', `${billing}/books`)).status).toBe(403)
  })
})

describe('a draft', () => {
  test('changes no price before it is published, and then says which version came of it', async () => {
    const { items } = await gateway.admin.ok('GET', `${billing}/rules`)
    const all = items.find(({ name }: { name: string }) => name === 'all')
    const draft = await post('drafts', { ruleId: all.id, price: { perCall: '2' } })
    expect(draft).toMatchObject({ state: 'draft', basedOn: 1, name: 'all', priority: 9 })
    expect(await pay(bob)).toBe('1')
    const now = await post('simulate', { drafts: [draft.id], from })
    const row = (name: string) => now.byRule.find(({ rule }: { rule: string }) => rule === name)
    expect(row('all')).toMatchObject({ ruleId: all.id, new: String(2 * row('all').calls) })
    // The books of now count, also for the calls before ann had one.
    expect(row('acme').new).toBe(String(0.25 * row('acme').calls))

    const version = await post(`drafts/${draft.id}/publish`, {})
    expect(version).toMatchObject({
      id: all.id,
      version: 2,
      state: 'published',
      createdBy: gateway.admin.userId,
    })
    expect(await pay(bob)).toBe('2')
    const versions = await gateway.admin.ok('GET', `${billing}/rules/${all.id}/versions`)
    expect(versions.items.map(({ state }: { state: string }) => state)).toEqual(['retired', 'published'])
    expect((await gateway.admin.call('GET', `${billing}/drafts/${draft.id}`)).status).toBe(404)
  })

  test('that names what is wrong is refused, member by member', async () => {
    const lacking = await gateway.admin.call('POST', `${billing}/drafts`, {
      name: 'x',
      price: { perCall: '-1' },
    })
    expect([
      lacking.status,
      lacking.json.errors.map(({ field }: { field: string }) => field).toSorted(),
    ]).toEqual([400, ['/price/perCall']])
    const half = await gateway.admin.call('POST', `${billing}/drafts`, { name: 'x', price: { perCall: '1' } })
    expect([half.status, half.json.errors[0].field]).toEqual([400, '/currency'])
  })

  test('that would never be chosen is refused with the findings, and published by force alone', async () => {
    const draft = await post('drafts', {
      ...base,
      name: 'hidden',
      match: { tool: 'work', server: 'stub' },
      price: { perCall: '3' },
    })
    const refused = await gateway.admin.call('POST', `${billing}/drafts/${draft.id}/publish`, {})
    expect(refused.status).toBe(422)
    expect(refused.json.findings).toMatchObject([
      { kind: 'shadowed', rules: [{ draft: draft.id }, { name: 'all' }] },
    ])
    expect(await cli('rule publish hidden')).toMatchObject({
      code: 1,
      talk: expect.stringMatching(/never chosen/),
    })
    expect(await cli('rule lint --drafts all --no-tools')).toMatchObject({ code: 1 })
    expect(await cli('rule publish hidden --force')).toMatchObject({ code: 0 })
    const lint = await post('lint', { tools: false })
    expect(lint.findings).toMatchObject([{ kind: 'shadowed', severity: 'error' }])
    expect((await cli('rule rm hidden --yes')).code).toBe(0)
  })
})

describe('the linter', () => {
  test('names tools of servers that no rule prices, and servers that do not say what they have', async () => {
    await addServer(gateway, 'gone', 'http://127.0.0.1:9/mcp')
    const lint = await post('lint', {})
    expect(lint.findings).toMatchObject([
      { kind: 'unpriced', severity: 'warning', server: 'stub', tools: ['rest'], rules: [] },
    ])
    expect(lint.unseen).toMatchObject([{ server: 'gone' }])
    expect(await cli('rule lint')).toMatchObject({
      code: 0,
      out: 'warning unpriced: The tool "rest" of "stub" is priced by no rule.',
    })
  })
})

describe('the command line', () => {
  test('drafts, shows, changes and publishes, and keeps price books', async () => {
    expect((await cli('book add silver --description plan')).code).toBe(0)
    expect((await cli('rule draft add rest --tool rest --per-call 4 --book silver')).code).toBe(0)
    expect((await cli('rule draft add --rule all --per-call 5')).code).toBe(0)
    expect((await cli('rule draft set rest --per-call 3')).code).toBe(0)
    expect((await cli('rule draft list')).out).toMatch(/rest .*silver .*perCall=3/)
    expect((await cli(`rule simulate --drafts all --from ${from} --json`)).code).toBe(0)
    expect(await cli('rule publish --all')).toMatchObject({
      code: 0,
      talk: expect.stringMatching(/rest: version 1/),
    })
    expect((await cli('account book bob silver --plan')).code).toBe(0)
    expect([await pay(bob, 'rest'), await pay(bob)]).toEqual(['3', '5'])
    expect((await cli('export')).out).toMatch(/books:\n\s+- name: acme/)
    expect((await cli('account book bob --plan')).code).toBe(0)
    expect(await cli('book rm silver --yes')).toMatchObject({ code: 1 })
    expect((await cli('rule set rest --no-book')).code).toBe(0)
    expect(await cli('book rm silver --yes')).toMatchObject({ code: 0 })
  })
})

test('the rules of now, simulated over all that was used, charge what they charge now, and the bill is still right', async () => {
  for (const who of [ann, bob]) await pay(who)
  const sinceMs = Date.now()
  for (const who of [ann, bob, ann]) for (const tool of ['work', 'rest']) await pay(who, tool)
  const since = new Date(sinceMs).toISOString()
  const { totalCost } = await gateway.admin.ok('GET', `${billing}/usage/summary?from=${since}`)
  const result = await post('simulate', { keep: true, from: since })
  expect([result.old, result.new, result.records]).toEqual([totalCost, totalCost, 6])
  for (const row of result.byRule) expect([row.rule, row.new]).toEqual([row.rule, row.old])
  expect(await gateway.admin.ok('GET', `${billing}/verify`)).toMatchObject({ ok: true })
})
