// What an operator does from the command line, on a real gateway: people, sessions, any price, and statements.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { recordingIo } from '../harness/cli.ts'
import { ApiCaller, startTestGateway, type TestGateway } from '../harness/gateway.ts'

let gateway: TestGateway
const folder = mkdtempSync(join(tmpdir(), 'tollbridge-commands-'))
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function cli(words: readonly string[], input = 'Ann-secret-passw0rd\n') {
  const env = { TOLLBRIDGE_URL: gateway.url, TOLLBRIDGE_KEY: gateway.admin.credential, HOME: '/nonexistent' }
  const { io, out, talk } = recordingIo(env, { readInput: () => Promise.resolve(input) })
  const code = await runCli(words, io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}
const line = (text: string, input?: string) => cli(text.split(' '), input)

test('a user is added, changed, shut out, let in again and deleted', async () => {
  expect((await line('user add ann')).talk).toMatch(/--password-stdin/)
  expect((await line('user add ann --roles member,auditor --password-stdin')).out).toMatch(
    /roles +member,auditor/,
  )
  const login = () => new ApiCaller(gateway.url).login('ann', 'Ann-secret-passw0rd')
  await login()
  expect((await line('user ls')).out).toMatch(/ann +usr_\w+ +auditor,member/)
  expect((await line('user set ann --disabled --email ann@a.example')).out).toMatch(/disabled +true/)
  await expect(login()).rejects.toThrow('401')
  await line('user set ann --no-disabled')
  await login()
  await line('user set ann --password-stdin', 'Another-passw0rd\n')
  await expect(login()).rejects.toThrow('401')
  expect(JSON.parse((await line('user show ann --json')).out)).toMatchObject({ email: 'ann@a.example' })
  expect((await line('user rm ann')).code).toBe(2)
  expect(await line('user rm ann --yes')).toMatchObject({ code: 0, talk: 'Deleted ann' })
  expect((await line('user show ann')).talk).toMatch(/tollbridge user ls/)
})

test('any price can be written on the command line or in a file, its decimals as they stand there', async () => {
  const tiers = 'tiers: { unit: call, mode: graduated, period: month, per: account, steps: '
  const steps = '[{ upTo: 10, unitPrice: 0.10 }, { upTo: null, unitPrice: 0.05 }] }'
  const added = await cli([
    'rule',
    'add',
    'steps',
    '--tool',
    'web',
    '--price',
    tiers + steps,
    '--minimum',
    '0.01',
  ])
  expect(added.code).toBe(0)
  const [rule] = await gateway.admin.all('/api/v1/billing/rules')
  expect(rule.price).toEqual({
    tiers: {
      unit: 'call',
      mode: 'graduated',
      period: 'month',
      per: 'account',
      steps: [
        { upTo: '10', unitPrice: '0.10' },
        { upTo: null, unitPrice: '0.05' },
      ],
    },
    minimum: '0.01',
  })
  expect((await line('rule ls')).out).toMatch(/minimum=0\.01 tiers=\{…\} USD/)
  const file = join(folder, 'price.yaml')
  writeFileSync(file, `${tiers}\n  ${steps}\n`)
  expect((await line(`rule quote --price @${file} --calls 12`)).out).toMatch(/amount +1\.1\b/)
  expect((await line('rule quote --per-token 0.001 --tokens 30')).out).toMatch(/amount +0\.03\b/)
  expect(await line('rule quote --price @/nowhere --calls 1')).toMatchObject({ code: 2 })
  expect((await cli(['rule', 'quote', '--price', 'tiers: [', '--calls', '1'])).talk).toMatch(
    /^tollbridge: --price: /,
  )
  expect((await cli(['rule', 'quote', '--price', 'free', '--calls', '1'])).talk).toMatch(/must have members/)
})

test('an account tells what moved on it, what its budgets raised, and who is billed', async () => {
  await line('account grant admin 5 --reason welcome')
  expect((await line('account ledger admin')).out).toMatch(/grant +5 +USD/)
  expect((await line('account events')).talk).toBe('No event yet.')
  const billing = await cli(['account', 'billing', 'admin', '--name', 'Ann & Söhne', '--tax-id', 'DE1'])
  expect(billing.out).toMatch(/name +Ann & Söhne\ntaxId +DE1/)
  expect((await cli(['account', 'billing', 'admin', '--tax-id', ''])).out).toBe('name  Ann & Söhne')
  expect((await line('account billing')).out).toBe('name  Ann & Söhne')
})

test('sessions are listed, shown and closed', async () => {
  const server = { name: 'far', transport: { type: 'streamable-http', url: 'https://far.example/mcp' } }
  const { id } = await gateway.admin.ok('POST', '/api/v1/servers', {
    ...server,
    access: 'authenticated',
  })
  const session = await gateway.admin.ok('POST', `/api/v1/servers/${id}/sessions`)
  expect((await line('session ls')).out).toContain(session.id)
  expect((await line(`session show ${session.id}`)).out).toMatch(/status +created/)
  expect((await line(`session close ${session.id} --yes`)).talk).toBe(`Closed ${session.id}`)
  expect((await line(`session show ${session.id}`)).out).toMatch(/status +closed/)
})
