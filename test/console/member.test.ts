// What a member sees: every view that is theirs, with their own in it and nothing of anybody else.
import { beforeAll, expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { useStage } from './stage.ts'

const api = '/api/v1'
const stage = useStage({ isRegistered: true })
/** Names and ids of another member, and of what is theirs. */
let foreign: readonly string[]

beforeAll(async () => {
  const { admin } = stage.gateway
  const [anna, zoe] = await Promise.all([
    stage.gateway.member('annabel', { grant: '5' }),
    stage.gateway.member('zoe-the-other', { grant: '7' }),
  ])
  const made = []
  for (const [name, member] of [
    ['of annabel', anna],
    ['of the other', zoe],
  ] as const) {
    const key = await member.ok('POST', `${api}/keys`, { name: `key ${name}` })
    const budget = await admin.ok('POST', `${api}/billing/budgets`, {
      name: `budget ${name}`,
      scope: { user: member.userId },
      amount: '3',
      window: 'month',
    })
    const called = await stage.callAs(member.credential)
    made.push([
      member.userId,
      member.accountId,
      key.id,
      budget.id,
      String(called.headers['tollbridge-call-id']),
    ])
  }
  foreign = ['zoe-the-other', 'of the other', ...(made[1] ?? [])]
})

const own = [
  '/',
  '/servers',
  '/servers/stub',
  '/calls',
  '/sessions',
  '/usage?by=user',
  '/usage?by=key',
  '/accounts',
  '/budgets',
  '/invoices',
  '/keys',
  '/me',
  '/connect',
]

test('a member opens every view of theirs, and nothing of another is in it', async () => {
  await stage.open('/', 'annabel')
  for (const path of own) {
    await stage.goto(path)
    await stage.page.locator('#main h1').waitFor()
    await until(async () => (await stage.page.locator('[aria-busy]').count()) === 0, `${path} to be there`)
    expect([path, await stage.page.getByRole('alert').count()]).toEqual([path, 0])
    const html = await stage.page.content()
    expect([path, foreign.filter((text) => html.includes(text))]).toEqual([path, []])
  }
  const places = await stage.page.getByRole('navigation', { name: 'Main' }).innerText()
  for (const place of ['Users', 'Audit', 'Policy', 'Prices']) expect(places).not.toContain(place)
})

test('a member sees their own cost, balance, budget and key', async () => {
  await stage.open('/accounts', 'annabel')
  await stage.page.getByText('4.75 USD').first().waitFor()
  await stage.goto('/budgets')
  await stage.page.getByRole('row', { name: /budget of annabel.*0\.25 USD of 3\.00 USD/ }).waitFor()
  await stage.goto('/keys')
  await stage.page.getByText('key of annabel').waitFor()
  await stage.goto('/')
  await stage.page.getByText('0.25 USD').first().waitFor()
})

test.each(['/users', '/audit', '/policy', '/prices'])(
  'a member who opens %s by its address is told whom it is for, and nothing is asked for',
  async (path) => {
    await stage.open(path, 'annabel')
    await stage.page.getByRole('heading', { name: 'This is for administrators and auditors' }).waitFor()
    expect(await stage.page.getByRole('alert').count()).toBe(0)
  },
)
