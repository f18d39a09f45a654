// Prices, accounts, budgets, access rules and limits as a file: exported from one gateway, reviewed, changed and applied to another.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { recordingIo } from '../harness/cli.ts'
import { startTestGateway, type TestGateway } from '../harness/gateway.ts'

let first: TestGateway
let second: TestGateway
beforeAll(async () => {
  ;[first, second] = await Promise.all([startTestGateway(), startTestGateway()])
})
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()])
})

async function cli(gateway: TestGateway, line: string, input = '') {
  const env = { TOLLBRIDGE_URL: gateway.url, TOLLBRIDGE_KEY: gateway.admin.credential, HOME: '/nonexistent' }
  const { io, out, talk } = recordingIo(env, { readInput: () => Promise.resolve(input) })
  const code = await runCli(line.split(' '), io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}

const rules = (gateway: TestGateway) => gateway.admin.all('/api/v1/billing/rules')

test('what one gateway exports another takes, changes are told before they are made, and then there are none', async () => {
  const make = (body: object) => first.admin.ok('POST', '/api/v1/billing/rules', { currency: 'USD', ...body })
  await make({ name: 'basic', price: { perCall: '0.010' }, match: { server: 'weather' } })
  await make({ name: 'search', price: { perKb: '0.002', minimum: '0.01' }, priority: 5 })
  const { out: file } = await cli(first, 'export')
  expect((await cli(first, 'import plan - --check --prune', file)).code).toBe(0)

  expect((await cli(second, 'import plan - --check', file)).code).toBe(1)
  expect(await rules(second)).toEqual([])
  expect(await cli(second, 'import apply -', file)).toMatchObject({ code: 2 })
  expect(await cli(second, 'import apply - --yes', file)).toMatchObject({ code: 0 })
  expect(await rules(second)).toMatchObject([
    { name: 'basic', price: { perCall: '0.010' }, match: { server: 'weather' } },
    { name: 'search', price: { perKb: '0.002', minimum: '0.01' }, priority: 5 },
  ])

  const changed = file.replace('0.010', '0.02').replace(/ {2}- name: search[\s\S]*/, '')
  const plan = await cli(second, 'import plan - --prune', changed)
  expect(plan.out).toBe('~ rules basic\n    price.perCall: "0.010" → "0.02"\n- rules search')
  expect((await cli(second, 'import apply - --prune --yes', changed)).code).toBe(0)
  expect(await rules(second)).toMatchObject([{ name: 'basic', version: 2, price: { perCall: '0.02' } }])
  expect((await cli(second, 'import plan - --prune --check', changed)).code).toBe(0)
})

test('a fault stops before anything behind it is changed, and says what was done', async () => {
  const rule = (name: string, perCall: string) =>
    `  - { name: ${name}, currency: USD, price: { perCall: ${perCall} } }\n`
  const file = `tollbridge: 1\nrules:\n${rule('good', '1')}${rule('bad', '-1')}${rule('late', '2')}`
  const applied = await cli(first, 'import apply - --yes', file)
  expect(applied.code).toBe(1)
  expect(applied.talk).toMatch(/\+ rules bad: .*perCall.*\n1 of 3 changes were made/s)
  const names = new Set((await rules(first)).map(({ name }) => name))
  expect([names.has('good'), names.has('bad'), names.has('late')]).toEqual([true, false, false])
})

test('plans of accounts and budgets are in the file, by names, and what makes no difference is none', async () => {
  const make = (path: string, body: object) => first.admin.ok('POST', `/api/v1${path}`, body)
  await make('/billing/books', { name: 'gold' })
  const acme = await make('/billing/accounts', { kind: 'organisation', name: 'acme', plan: 'gold' })
  await make('/billing/accounts', { kind: 'team', name: 'ops', parentId: acme.id, timeZone: 'Asia/Tokyo' })
  await make('/billing/budgets', {
    name: 'all of acme',
    scope: { account: acme.id },
    amount: '10',
    window: 'month',
  })
  await make('/billing/budgets', { scope: { user: '*' }, amount: '1.50', window: { rollingSeconds: 3600 } })
  const quota = { scope: { user: '*' }, amount: '40', unit: 'calls', window: { rollingSeconds: 3600 } }
  await make('/billing/budgets', quota)
  const { out: file } = await cli(first, 'export')
  expect(file).toMatch(/- name: ops\n {4}kind: team\n {4}parent: acme/)
  expect(file).toMatch(/- name: all of acme\n {4}scope:\n {6}account: acme\n {4}amount: "10"/)
  expect(file).not.toContain(acme.id)

  expect(await cli(second, 'import apply - --yes', file)).toMatchObject({ code: 0 })
  const accounts = await second.admin.all('/api/v1/billing/accounts')
  const there = accounts.find(({ name }) => name === 'acme')
  expect(there).toMatchObject({ kind: 'organisation', plan: 'gold' })
  expect(accounts.find(({ name }) => name === 'ops')).toMatchObject({
    parentId: there?.id,
    timeZone: 'Asia/Tokyo',
  })
  expect(await second.admin.all('/api/v1/billing/budgets')).toMatchObject([
    { name: 'all of acme', scope: { account: there?.id }, amount: '10' },
    { scope: { user: '*' }, amount: '1.5', unit: 'money', window: { rollingSeconds: 3600 } },
    { scope: { user: '*' }, amount: '40', unit: 'calls', window: { rollingSeconds: 3600 } },
  ])

  const respelled = file.replace('amount: "10"', 'amount: 10.000').replace('"0.8"', '0.80')
  expect(await cli(second, 'import plan - --check', respelled)).toMatchObject({ code: 0, out: '' })

  const changed = file.replace('amount: "10"', 'amount: 12').replace(/parent: acme/, 'parent: null')
  expect((await cli(second, 'import plan -', changed)).out).toBe(
    '~ accounts ops\n    parent: "acme" → nothing\n~ budgets all of acme\n    amount: "10" → "12"',
  )
  expect(await cli(second, 'import apply - --yes', changed)).toMatchObject({ code: 0 })
  expect(await cli(second, 'import plan - --check', changed)).toMatchObject({ code: 0 })
  const pruned = await cli(
    second,
    'import apply - --yes --prune',
    file.replace(/budgets:[^]*/, 'budgets: []'),
  )
  expect(pruned.out).toBe(
    '~ accounts ops\n    parent: nothing → "acme"\n- budgets user * by rollingSeconds 3600 in calls\n- budgets user * by rollingSeconds 3600\n- budgets all of acme',
  )
  expect(await second.admin.all('/api/v1/billing/budgets')).toEqual([])
})

test('an account of a user who is not there, or another kind or currency, is refused before anything is done', async () => {
  const declared = (accounts: string) =>
    cli(second, 'import plan -', `tollbridge: 1\naccounts:\n  - ${accounts}\n`)
  expect(await declared('{ name: nobody, plan: gold }')).toMatchObject({
    code: 1,
    talk: expect.stringContaining('make the user first'),
  })
  expect(await declared('{ name: acme, kind: team }')).toMatchObject({
    code: 1,
    talk: expect.stringContaining('kind of accounts "acme" cannot be changed'),
  })
})

test('access rules and limits are in the file, with names of users, and a member that goes is gone', async () => {
  for (const gateway of [first, second]) await gateway.member('carol')
  const carolAt = async (gateway: TestGateway): Promise<string> =>
    (await gateway.admin.all('/api/v1/users')).find(({ username }) => username === 'carol').id
  const user = await carolAt(first)
  const { id: key } = await first.admin.ok('POST', '/api/v1/keys', { name: 'k' })
  const rule = (body: object) =>
    first.admin.ok('POST', '/api/v1/access-rules', { effect: 'deny', server: 'crm', ...body })
  await rule({
    name: 'carol-no',
    item: 'delete*',
    kind: 'tool',
    who: { users: [user], roles: ['auditor'] },
    until: '2030-01-01T00:00:00+01:00',
  })
  await rule({ name: 'one-key', who: { keys: [key] } })
  const limit = (body: object) => first.admin.ok('POST', '/api/v1/limits', body)
  await limit({
    name: 'slow',
    match: { user, server: 'crm' },
    rate: { calls: 5, seconds: 60 },
    concurrent: 2,
  })
  const { out: file } = await cli(first, 'export')
  expect(file).not.toMatch(/usr_|key_|one-key/)
  expect((await cli(first, 'import plan - --check --prune', file)).code).toBe(0)

  expect(await cli(second, 'import apply - --yes', file)).toMatchObject({ code: 0 })
  expect((await cli(second, 'import plan - --check', file)).code).toBe(0)
  const other = await carolAt(second)
  expect(await second.admin.ok('GET', '/api/v1/access-rules/carol-no')).toMatchObject({
    who: { users: [other], roles: ['auditor'] },
    until: '2029-12-31T23:00:00.000Z',
  })
  const [before = '', limits = ''] = file.split('\nlimits:')
  const edited = limits
    .replace(/\n\s+server: crm/, '')
    .replace('calls: 5', 'calls: 9')
    .replace('burst: 5', 'burst: 3')
  const changed = `${before}\nlimits:${edited}`
  const plan = await cli(second, 'import plan -', changed)
  expect(plan.out).toContain('rate.calls: 5 → 9')
  expect((await cli(second, 'import apply - --yes', changed)).code).toBe(0)
  expect((await cli(second, 'import plan - --check', changed)).code).toBe(0)
  const { match, rate } = await second.admin.ok('GET', '/api/v1/limits/slow')
  expect([match, rate]).toEqual([{ user: other }, { calls: 9, seconds: 60, burst: 3 }])
  const bad = 'tollbridge: 1\naccessRules:\n  - { name: x, effect: deny, who: { users: [nobody] } }\n'
  expect((await cli(second, 'import apply - --yes', bad)).talk).toContain('nobody is called "nobody"')
})
