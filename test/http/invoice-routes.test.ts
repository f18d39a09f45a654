// Guarantees of invoices over the API: who sees what, each step by its route, the media, and the command line.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { startApi, type TestApi } from '../harness/api.ts'
import { recordingIo } from '../harness/cli.ts'
import type { ApiCaller } from '../harness/gateway.ts'
import { hashOf } from '../../src/invoicing/document.ts'
import { payOnce } from '../harness/metering.ts'
import { readPdf } from '../harness/pdf-text.ts'

let api: TestApi
let admin: ApiCaller
let ann: ApiCaller
let bob: ApiCaller
const path = '/api/v1/billing/invoices'
const folder = mkdtempSync(join(tmpdir(), 'tollbridge-pdf-'))

beforeAll(async () => {
  api = await startApi()
  admin = await api.user('root', 'admin')
  ann = await api.user('ann')
  bob = await api.user('bob')
  await admin.ok('POST', '/api/v1/billing/rules', {
    name: 'calls',
    currency: 'USD',
    price: { perCall: '0.105' },
  })
  for (let n = 0; n < 3; n++) await pay(ann)
  // The clock stands at 1 January 2026; credentials outlive what follows.
  api.clock.advance(60_000)
})
afterAll(async () => {
  await api.stop()
  rmSync(folder, { recursive: true, force: true })
})

const pay = ({ accountId, userId }: ApiCaller) => payOnce(api.metering, { accountId, userId })

const minute = { start: '2026-01-01T00:00:00Z', end: '2026-01-01T00:01:00Z' }
let id: string

test('a draft is for administrators; its owner sees it once it is final, and nobody else ever', async () => {
  const draft = await admin.ok('POST', path, { accountId: ann.accountId, period: minute, dueDays: 7 })
  id = draft.id
  expect(draft).toMatchObject({ status: 'draft', total: '0.32', subtotal: '0.32', exactTotal: '0.315' })
  expect(draft.lines).toMatchObject([{ description: 'forecast on weather', quantity: 3, unitPrice: '0.105' }])
  expect((await ann.call('GET', `${path}/${id}`)).status).toBe(404)
  expect((await ann.ok('GET', path)).items).toEqual([])
  expect((await admin.call('POST', `${path}/${id}/finalize`, { expectedTotal: '0.31' })).status).toBe(409)
  const final = await admin.ok('POST', `${path}/${id}/finalize`, { expectedTotal: '0.32' })
  expect(final).toMatchObject({ status: 'finalized', number: 'INV-2026-000001', amountLeft: '0.32' })
  expect(final.dueAt).toBe('2026-01-08T00:01:00.000Z')
  expect((await ann.ok('GET', `${path}/${id}`)).number).toBe('INV-2026-000001')
  expect((await ann.ok('GET', path)).items).toHaveLength(1)
  expect((await bob.call('GET', `${path}/${id}`)).status).toBe(404)
  expect((await bob.ok('GET', `${path}?account=${ann.accountId}`)).items).toEqual([])
  expect((await admin.ok('GET', `${path}?account=${ann.accountId}&status=finalized`)).items).toHaveLength(1)
  expect((await admin.ok('GET', `${path}?status=draft`)).items).toEqual([])
})

test('the link on a line lists exactly its calls, and they sum to its exact amount', async () => {
  const { lines } = await ann.ok('GET', `${path}/${id}`)
  const calls = await ann.all(lines[0].usage)
  expect(calls).toHaveLength(3)
  const sum = calls.reduce((total: number, { cost }: { cost: string }) => total + Number(cost) * 1000, 0)
  expect(sum / 1000).toBe(Number(lines[0].exactAmount))
})

test('a wrong request names the field, and nothing is made', async () => {
  const { accountId } = bob
  const wrong: [object, string][] = [
    [{ accountId }, '/month'],
    [{ accountId, month: '2026-01', period: minute }, '/month'],
    [{ accountId, month: '2026-13' }, '/month'],
    [{ accountId, period: { start: minute.end, end: minute.start } }, '/period/end'],
    [{ accountId, month: '2026-01', dueDays: -1 }, '/dueDays'],
    [{ accountId, month: '2026-01', extra: 1 }, '/extra'],
  ]
  for (const [body, field] of wrong) {
    const { status, json } = await admin.call('POST', path, body)
    expect([status, json.errors?.[0]?.field]).toEqual([400, field])
  }
  expect((await admin.call('POST', path, { accountId: 'acc_none', month: '2026-01' })).status).toBe(404)
  expect((await admin.ok('GET', `${path}?account=${accountId}`)).items).toEqual([])
})

test('an invoice comes as page, PDF, CSV and data, by format or by Accept', async () => {
  const get = (query: string, accept = '*/*') =>
    fetch(`${api.url}${path}/${id}${query}`, {
      headers: { authorization: `Bearer ${ann.credential}`, accept },
    })
  const html = await get('', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8')
  expect(html.headers.get('content-type')).toMatch(/^text\/html/)
  expect(html.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
  expect(await html.text()).toContain('Invoice INV-2026-000001')
  const pdf = await get('?format=pdf')
  expect(pdf.headers.get('content-disposition')).toBe('inline; filename="INV-2026-000001.pdf"')
  const { pages } = readPdf(Buffer.from(await pdf.arrayBuffer()))
  expect(pages[0]?.texts.map(({ text }) => text)).toEqual(expect.arrayContaining(['0.32 USD', 'Page 1 of 1']))
  const csv = await get('', 'application/json;q=0.1, text/csv')
  expect(csv.headers.get('content-type')).toMatch(/^text\/csv/)
  expect(await csv.text()).toContain('amount-due,Amount due')
  const shown = await ann.ok('GET', `${path}/${id}`)
  expect(hashOf(await (await get('?format=data')).text())).toBe(shown.contentSha256)
  expect((await get('', 'application/json')).headers.get('content-type')).toMatch(/^application\/json/)
  expect((await get('?format=docx')).status).toBe(400)
  const many = await Promise.all(Array.from({ length: 200 }, async () => (await get('?format=pdf')).status))
  expect(new Set(many)).toEqual(new Set([200, 503]))
  expect(many.filter((status) => status === 200).length).toBeGreaterThanOrEqual(32)
})

test('credit notes are made and listed, at most what is left, and not in fractions of a cent', async () => {
  const notes = `${path}/${id}/credit-notes`
  const refused = async (body: object) =>
    (await admin.call('POST', notes, { reason: 'late', ...body })).status
  expect(await refused({})).toBe(400)
  expect(await refused({ amount: '0.005' })).toBe(400)
  expect(await refused({ amount: '0' })).toBe(400)
  expect(await refused({ amount: '0.1', lines: [{ position: 1 }] })).toBe(400)
  expect(await refused({ amount: '0.33' })).toBe(422)
  expect(await refused({ lines: [{ position: 9 }] })).toBe(400)
  const made = await admin.ok('POST', notes, { amount: '0.12', reason: 'late' })
  expect(made).toMatchObject({ number: 'CN-2026-000001', total: '0.12', offDue: '0.12', granted: '0.00' })
  expect((await ann.ok('GET', notes)).items).toEqual([made])
  expect((await bob.call('GET', notes)).status).toBe(404)
  expect((await ann.ok('GET', `${path}/${id}`)).amountLeft).toBe('0.20')
})

test('a payment is booked, shown in the ledger, and the audit agrees', async () => {
  const paid = await admin.ok('POST', `${path}/${id}/pay`, { reference: 'bank 4711' })
  expect(paid).toMatchObject({ status: 'paid', reference: 'bank 4711', amountLeft: '0.00' })
  expect(paid.events.map(({ kind }: { kind: string }) => kind)).toEqual([
    'created',
    'finalized',
    'credited',
    'paid',
  ])
  const account = await ann.ok('GET', `/api/v1/billing/accounts/${ann.accountId}`)
  expect(account).toMatchObject({ balance: '0', spent: '0.315' })
  const ledger = await ann.all(`/api/v1/billing/accounts/${ann.accountId}/ledger`)
  expect(ledger.map(({ kind }) => kind).slice(0, 2)).toEqual(['payment', 'credit-note'])
  expect(await admin.ok('GET', '/api/v1/billing/verify')).toMatchObject({ ok: true })
})

test('billing details are set, taken away, and stand on the next invoice', async () => {
  const details = `/api/v1/billing/accounts/${bob.accountId}/billing`
  expect(await bob.ok('GET', details)).toEqual({})
  await admin.ok('PATCH', details, {
    name: 'Bob & Söhne',
    country: 'DE',
    taxId: 'DE1',
    email: 'bob@b.example',
  })
  expect(await admin.ok('PATCH', details, { taxId: null })).toEqual({
    name: 'Bob & Söhne',
    country: 'DE',
    email: 'bob@b.example',
  })
  for (const wrong of [{ country: 'Germany' }, { email: 'x' }, {}, { vat: '1' }])
    expect((await admin.call('PATCH', details, wrong)).status).toBe(400)
  expect((await bob.call('PATCH', details, { name: 'Nobody' })).status).toBe(403)
  const draft = await admin.ok('POST', path, { accountId: bob.accountId, month: '2026-01' })
  expect(draft.customer).toMatchObject({ name: 'Bob & Söhne', country: 'DE', accountName: 'bob' })
  await admin.call('DELETE', `${path}/${draft.id}`)
  expect((await admin.call('GET', `${path}/${draft.id}`)).status).toBe(404)
})

test('the command line lists, makes, shows, finalizes, voids, pays and saves invoices', async () => {
  const cli = async (line: string) => {
    const env = { TOLLBRIDGE_URL: api.url, TOLLBRIDGE_KEY: admin.credential, HOME: '/nonexistent' }
    const { io, out, talk } = recordingIo(env)
    const code = await runCli(line.split(' '), io)
    return { code, out: out.join('\n'), talk: talk.join('\n') }
  }
  await pay(bob)
  api.clock.advance(120_000)
  expect(await cli('invoice create bob')).toMatchObject({ code: 2 })
  const span = '--from 2026-01-01T00:00:00Z --to 2026-01-01T00:02:00Z'
  const made = JSON.parse((await cli(`invoice create bob ${span} --json`)).out)
  expect(made).toMatchObject({ status: 'draft', total: '0.11' })
  expect((await cli(`invoice finalize ${made.id}`)).out).toMatch(/number +INV-2026-000002/)
  expect((await cli('invoice void INV-2026-000002 --reason typo')).out).toMatch(/status +void/)
  api.clock.advance(1)
  const again = JSON.parse((await cli(`invoice create bob ${span} --json`)).out)
  await cli(`invoice finalize ${again.id}`)
  expect((await cli('invoice pay INV-2026-000003 --reference cash')).out).toMatch(/status +paid/)
  expect((await cli('invoice show INV-2026-000003')).out).toMatch(/forecast on weather +1 +0\.105 +0\.11/)
  expect((await cli('invoice ls --account bob')).out).toMatch(
    /INV-2026-000003.*paid[\s\S]*INV-2026-000002.*void/,
  )
  const file = join(folder, 'bob.pdf')
  expect(await cli(`invoice save INV-2026-000003 --out ${file}`)).toMatchObject({
    code: 0,
    talk: `Saved as ${file}.`,
  })
  expect(existsSync(file) && readPdf(readFileSync(file)).pages).toHaveLength(1)
  expect((await cli(`invoice save INV-2026-000003 --out ${file}`)).talk).toMatch(/--force/)
  expect((await cli('invoice show INV-1')).code).toBe(1)
  expect(await cli(`invoice save INV-2026-000003 --format csv --out ${file}.csv`)).toMatchObject({ code: 0 })
  expect(readFileSync(`${file}.csv`, 'utf8')).toMatch(/INV-2026-000003/)

  expect((await cli('invoice credit INV-2026-000003 --reason outage')).code).toBe(2)
  expect((await cli('invoice credit INV-2026-000003 0.05 --reason outage')).out).toMatch(/total +0\.05/)
  expect((await cli('invoice credit INV-2026-000003 --line 1=0.01 --reason again')).out).toMatch(
    /total +0\.01/,
  )
  expect((await cli('invoice credits INV-2026-000003')).out).toMatch(/0\.05 +USD.*outage[\s\S]*again/)
  const later = '--from 2026-01-01T00:02:00Z --to 2026-01-01T00:02:00.001Z'
  const draft = JSON.parse((await cli(`invoice create bob ${later} --json`)).out)
  expect((await cli(`invoice refresh ${draft.id}`)).out).toMatch(/status +draft/)
  expect(await cli(`invoice rm ${draft.id} --yes`)).toMatchObject({ code: 0, talk: `Deleted ${draft.id}` })
  expect((await cli(`invoice show ${draft.id}`)).code).toBe(1)
})

test('the command line gives up on an invoice', async () => {
  await pay(bob)
  const from = new Date(api.clock.now() - 1).toISOString()
  api.clock.advance(1000)
  const period = { start: from, end: new Date(api.clock.now()).toISOString() }
  const draft = await admin.ok('POST', path, { accountId: bob.accountId, period })
  await admin.ok('POST', `${path}/${draft.id}/finalize`)
  const { io, out } = recordingIo({
    TOLLBRIDGE_URL: api.url,
    TOLLBRIDGE_KEY: admin.credential,
    HOME: '/none',
  })
  expect(await runCli(['invoice', 'uncollectible', draft.id, '--reason', 'insolvent'], io)).toBe(0)
  expect(out.join('\n')).toMatch(/status +uncollectible/)
})
