// Prices as a file: exported from one gateway, reviewed, changed and applied to another.
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
