// Guarantees of invoices, on each engine: they bill every call once, add up, have no gaps, and never change.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog as log } from '../../src/base/log.ts'
import { formatAmount, parseAmount } from '../../src/base/money.ts'
import { monthOf } from '../../src/base/zone.ts'
import { verify } from '../../src/billing/verify.ts'
import type { Database } from '../../src/db/database.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { AutomaticInvoices } from '../../src/invoicing/automatic.ts'
import type { FullInvoice, InvoiceLine } from '../../src/invoicing/invoice.ts'
import type { UsageFilter } from '../../src/usage/filter.ts'
import { openInvoices } from '../harness/invoices.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { Random } from '../harness/usage.ts'

interface Place {
  open(): Promise<Database>
  readonly address: { file?: string; url?: string }
}

const root = mkdtempSync(join(tmpdir(), 'tollbridge-invoices-'))
let cluster: TestPostgres
let places = 0
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

async function makePlace(engine: 'sqlite' | 'postgres'): Promise<Place> {
  const name = `invoices_${++places}`
  const file = join(root, name, 'test.db')
  if (engine === 'sqlite')
    return { open: () => openSqlite({ file, durability: 'process', log }), address: { file } }
  await cluster.createDatabase(name)
  const url = cluster.url(name)
  return { open: () => openPostgres({ url, durability: 'process', log }), address: { url } }
}

const october = monthOf(Date.UTC(2026, 9, 15), 'UTC')
const november = monthOf(Date.UTC(2026, 10, 15), 'UTC')
const act = { actor: 'usr_admin' }
const nano = (text: string): bigint => parseAmount(text) ?? -1n
const total = (lines: readonly InvoiceLine[], name: 'amount' | 'exactAmount'): bigint =>
  lines.reduce((sum, line) => sum + nano(line[name]), 0n)

/** The filter that a line's link asks for. */
function filterOf({ usage = '' }: InvoiceLine): UsageFilter {
  const { from, to, ruleVersion, unpriced, toolless, ...texts } = Object.fromEntries(
    new URL(usage, 'http://x').searchParams,
  )
  return {
    ...texts,
    fromMs: Date.parse(from ?? ''),
    toMs: Date.parse(to ?? ''),
    ...(ruleVersion && { ruleVersion: Number(ruleVersion) }),
    ...(unpriced && { unpriced: true }),
    ...(toolless && { toolless: true }),
  }
}

async function costsBehind(money: Money, line: InvoiceLine): Promise<{ calls: number; cost: bigint }> {
  const records = await money.queries.listRecords(filterOf(line), { limit: 100_000 })
  return { calls: records.length, cost: records.reduce((sum, { cost }) => sum + cost, 0n) }
}

async function charged(db: Database): Promise<bigint> {
  const query = sql<{
    amount: bigint
  }>`
    select coalesce(sum(case when kind = 'reprice' then -amount else amount end), 0) as amount
    from transfer where kind in ('charge', 'reprice')`
  const [row] = await db.read<{ amount: bigint }>({ compile: () => query.compile(db.builder<unknown>()) })
  return row?.amount ?? 0n
}

const audit = (money: Money) => verify({ ...money.audited, rules: money.rules })

async function expectClean(money: Money): Promise<void> {
  expect(await audit(money)).toMatchObject({ ok: true, differences: [] })
}

/** What the ledger account of a kind holds, all currencies together. */
async function balanceOf(db: Database, kind: string): Promise<bigint> {
  const query = sql<{ balance: bigint }>`select coalesce(sum(b.credits - b.debits), 0) as balance
    from ledger_balance b join ledger_account l on l.id = b.ledger_account where l.kind = ${kind}`
  const [row] = await db.read<{ balance: bigint }>({ compile: () => query.compile(db.builder<unknown>()) })
  return row?.balance ?? 0n
}

const vat = [{ name: 'VAT', rate: '0.19' }]

describe.each(['sqlite', 'postgres'] as const)('invoices on %s', (engine) => {
  const open = async (startMs = Date.UTC(2026, 9, 2)) => {
    const place = await makePlace(engine)
    const money = await openMoney({ startMs, database: await place.open() })
    await money.rules.create({
      name: 'calls',
      currency: 'USD',
      price: { perCall: '0.01' },
      match: { tool: 'forecast' },
    })
    await money.rules.create({
      name: 'bytes',
      currency: 'USD',
      price: { perKb: '0.000123' },
      match: { tool: 'search' },
    })
    return { money, place, ...openInvoices(money), accountId: await money.addAccount('usr_1') }
  }
  /** 0.10 for each of the first three calls of a month, 0.01 for each of them once there are more. */
  const addVolumePrice = (money: Money) =>
    money.rules.create({
      name: 'volume',
      currency: 'USD',
      match: { tool: 'volume' },
      price: {
        tiers: {
          mode: 'volume',
          unit: 'call',
          period: 'month',
          steps: [
            { upTo: '3', unitPrice: '0.10' },
            { upTo: null, unitPrice: '0.01' },
          ],
        },
      },
    })
  const accountOf = (money: Money, id: string) => {
    const account = money.ledger.findAccount(id)
    if (!account) throw new Error('no account')
    return account
  }

  test('every line is the sum of the calls that it opens, and all lines are what the ledger charged', async () => {
    const { money, invoices, accountId } = await open()
    const random = new Random()
    console.log(`invoice seed ${random.seed}`)
    await addVolumePrice(money)
    const other = await money.addAccount('usr_2')
    for (let n = 0; n < 150; n++) {
      money.clock.advance(random.below(3_600_000))
      await money.call({
        accountId: random.pick([accountId, accountId, other]),
        server: random.pick(['weather', 'news']),
        serverId: random.pick(['srv_1', 'srv_2']),
        ...random.pick([
          { tool: 'forecast' },
          { tool: 'search' },
          { tool: 'unpriced' },
          { tool: 'volume' },
          { method: 'tools/list', tool: undefined },
          { method: 'tools/call', tool: undefined },
        ]),
        outcome: random.pick(['success', 'success', 'success', 'tool_error']),
        responseBytes: random.below(100_000),
      })
      if (n === 80) {
        const [rule] = money.rules.listRules({ limit: 1 }).items
        await money.rules.change(rule?.ruleId ?? '', { price: { perCall: '0.015' } })
      }
    }
    money.clock.set(november.startMs + 1)
    const drafts = await Promise.all(
      [accountId, other].map((id) => invoices.create(accountOf(money, id), { period: october, ...act })),
    )
    const lines = drafts.flatMap(({ content }) => content.lines)
    expect(lines.length).toBeGreaterThan(12)
    for (const line of lines) {
      const behind = await costsBehind(money, line)
      expect(behind).toEqual({ calls: line.quantity + line.freeCalls, cost: nano(line.exactAmount) })
    }
    expect(lines.reduce((sum, line) => sum + line.quantity + line.freeCalls, 0)).toBe(150)
    expect(total(lines, 'exactAmount')).toBe(await charged(money.db))
    for (const { content } of drafts) {
      expect(total(content.lines, 'amount')).toBe(nano(content.subtotal))
      expect(content.total).toBe(content.subtotal)
      expect(content.amountDue).toBe(content.total)
    }
    const free = lines.filter((line) => line.tool === 'unpriced')
    expect(free.every(({ detail, amount }) => detail === 'No price was set' && amount === '0.00')).toBe(true)
    const simple = lines.filter(({ unitPrice }) => unitPrice !== undefined)
    expect(new Set(simple.map(({ unitPrice }) => unitPrice))).toEqual(new Set(['0.01', '0.015']))
    await expectClean(money)
    await money.close()
  })

  test('states go one way only, and a draft alone can be computed anew or taken away', async () => {
    const { money, invoices, accountId } = await open()
    const account = accountOf(money, accountId)
    await money.call({ accountId })
    const draft = await invoices.create(account, { period: october, ...act })
    await expect(invoices.create(account, { period: october, ...act })).rejects.toMatchObject({
      code: 'conflict',
    })
    await expect(invoices.finalize(draft.id, act)).rejects.toThrow(/has not ended/)
    for (const step of ['pay', 'void', 'giveUp'] as const)
      await expect(invoices[step](draft.id, act), step).rejects.toMatchObject({ code: 'conflict' })
    await money.call({ accountId })
    expect((await invoices.refresh(draft.id, act)).content.lines[0]?.quantity).toBe(2)
    money.clock.set(november.startMs + 1)
    await expect(invoices.finalize(draft.id, { ...act, expectedTotal: '0.01' })).rejects.toThrow(/0\.02/)
    const final = await invoices.finalize(draft.id, { ...act, expectedTotal: '0.02' })
    expect(final).toMatchObject({ status: 'finalized', number: 'INV-2026-000001' })
    for (const step of ['finalize', 'refresh', 'remove'] as const)
      await expect(invoices[step](draft.id, act), step).rejects.toMatchObject({ code: 'conflict' })
    const voided = await invoices.void(draft.id, { ...act, note: 'wrong' })
    for (const step of ['pay', 'void', 'giveUp', 'finalize'] as const)
      await expect(invoices[step](draft.id, act), step).rejects.toMatchObject({ code: 'conflict' })
    const again = await invoices.create(account, { period: october, ...act })
    expect(again.content.lines).toEqual(voided.content.lines)
    await invoices.remove(again.id, act)
    await expect(invoices.get(again.id)).rejects.toMatchObject({ code: 'not_found' })
    const third = await invoices.create(account, { period: october, ...act })
    await invoices.finalize(third.id, act)
    expect(await invoices.giveUp(third.id, act)).toMatchObject({
      status: 'uncollectible',
      number: 'INV-2026-000002',
    })
    await expect(invoices.pay(third.id, act)).rejects.toMatchObject({ code: 'conflict' })
    expect((await invoices.events(draft.id)).map(({ kind }) => kind)).toEqual([
      'created',
      'refreshed',
      'finalized',
      'void',
    ])
    await money.close()
  })

  test('a final invoice never changes, and its hash covers its text', async () => {
    const { money, invoices, accountId } = await open()
    await money.call({ accountId })
    money.clock.set(november.startMs + 1)
    const draft = await invoices.create(accountOf(money, accountId), { period: october, ...act })
    const final = await invoices.finalize(draft.id, act)
    await invoices.changeProfile(accountId, { name: 'Acme', country: 'DE' })
    const end = money.begin({ accountId })
    await end()
    await invoices.pay(draft.id, { ...act, note: 'bank 1' })
    const kept = await invoices.get(draft.id)
    expect(kept.contentText).toBe(final.contentText)
    expect(kept.contentHash).toBe(createHash('sha256').update(kept.contentText).digest('hex'))
    expect(kept).toMatchObject({ status: 'paid', reference: 'bank 1', contentHash: final.contentHash })
    await money.close()
  })

  test('a call that is recorded after its invoice comes on the next one, once, and names its period', async () => {
    const { money, invoices, accountId } = await open()
    const account = accountOf(money, accountId)
    await money.call({ accountId })
    money.clock.set(october.endMs - 1000)
    const slow = [money.begin({ accountId }), money.begin({ accountId, tool: 'search', responseBytes: 5000 })]
    money.clock.set(november.startMs + 60_000)
    await money.call({ accountId })
    const first = await invoices.create(account, { period: october, ...act })
    await invoices.finalize(first.id, act)
    for (const end of slow) await end()
    money.clock.set(november.endMs + 1)
    const next = await invoices.create(account, { period: november, ...act })
    const [own, ...late] = next.content.lines
    expect(own).toMatchObject({ kind: 'usage', quantity: 1 })
    expect(late).toHaveLength(2)
    for (const line of late) {
      expect(line).toMatchObject({ kind: 'late', quantity: 1, period: { start: '2026-10-01T00:00:00.000Z' } })
      expect(line.description).toMatch(/late from October 2026$/)
      const behind = await costsBehind(money, line)
      const before = line.alreadyBilled ?? { calls: 0, exactAmount: '0' }
      expect(behind.cost - nano(before.exactAmount)).toBe(nano(line.exactAmount))
      expect(behind.calls - before.calls).toBe(line.quantity + line.freeCalls)
    }
    expect(late.find(({ tool }) => tool === 'forecast')?.alreadyBilled).toEqual({
      calls: 1,
      exactAmount: '0.01',
    })
    await invoices.finalize(next.id, act)
    const both = (await Promise.all([first.id, next.id].map((id) => invoices.get(id)))).flatMap(
      ({ content }) => content.lines,
    )
    expect(total(both, 'exactAmount')).toBe(await charged(money.db))

    // Nothing is left, and what is voided is open again.
    money.clock.set(november.endMs + 40 * 86_400_000)
    const december = monthOf(november.endMs + 1, 'UTC')
    const empty = await invoices.create(account, { period: december, ...act })
    expect(empty.content.lines).toEqual([])
    await invoices.void(first.id, act)
    expect((await invoices.refresh(empty.id, act)).content.lines).toEqual([])
    const [start, end] = [october.startMs, october.startMs + 86_400_000]
    await expect(
      invoices.create(account, { period: { startMs: start, endMs: end }, ...act }),
    ).rejects.toThrow(/exactly that period/)
    const rest = await invoices.create(account, { period: october, ...act })
    expect(rest.content.lines).toMatchObject([{ kind: 'usage', quantity: 1, alreadyBilled: { calls: 1 } }])
    await invoices.finalize(rest.id, act)
    await invoices.void(next.id, act)
    expect((await invoices.refresh(empty.id, act)).content.lines.map(({ kind }) => kind)).toEqual([
      'late',
      'late',
    ])
    await invoices.void(rest.id, act)
    expect((await invoices.refresh(empty.id, act)).content.lines).toEqual([])
    const redone = await invoices.create(account, { period: october, ...act })
    expect(redone.content.lines.map(({ quantity }) => quantity)).toEqual([2, 1])
    await money.close()
  })

  test('two drafts that both have a late call bill it once', async () => {
    const { money, invoices, accountId } = await open()
    const account = accountOf(money, accountId)
    const slow = money.begin({ accountId })
    money.clock.set(november.startMs + 1)
    await invoices.finalize((await invoices.create(account, { period: october, ...act })).id, act)
    await slow()
    money.clock.set(november.endMs + 40 * 86_400_000)
    const december = monthOf(november.endMs + 1, 'UTC')
    const drafts = [
      await invoices.create(account, { period: november, ...act }),
      await invoices.create(account, { period: december, ...act }),
    ]
    expect(drafts.map(({ content }) => content.lines.length)).toEqual([1, 1])
    const finals = await Promise.all(drafts.map(({ id }) => invoices.finalize(id, act)))
    expect(finals.flatMap(({ content }) => content.lines)).toHaveLength(1)
    await money.close()
  })

  test('calls of a period that are no longer kept are billed as one line', async () => {
    const { money, invoices, accountId } = await open()
    for (let n = 0; n < 3; n++) await money.call({ accountId })
    money.clock.set(november.startMs + 1)
    await money.db.write({
      compile: () => sql`delete from usage_record`.compile(money.db.builder<unknown>()),
    })
    const { content } = await invoices.create(accountOf(money, accountId), { period: october, ...act })
    expect(content).toMatchObject({ exactTotal: '0.03', total: '0.03' })
    expect(content.lines).toMatchObject([{ kind: 'summary', quantity: 3, exactAmount: '0.03' }])
    await money.close()
  })

  test('what a volume price gives back is on the invoice, and stays with the account', async () => {
    const { money, invoices, accountId } = await open()
    await addVolumePrice(money)
    await money.ledger.grant(accountId, { amount: 300_000_000n, priority: 0, createdBy: 'usr_0' })
    for (let n = 0; n < 3; n++) await money.call({ accountId, tool: 'volume' })
    money.clock.set(october.endMs - 1)
    const last = money.begin({ accountId, tool: 'volume' })
    money.clock.set(november.startMs + 1)
    const early = await invoices.create(accountOf(money, accountId), { period: october, ...act })
    expect(early.content).toMatchObject({ total: '0.30', appliedCredit: '0.30', amountDue: '0.00' })
    await last()
    const { content } = await invoices.refresh(early.id, act)
    expect(content).toMatchObject({ total: '0.04', appliedCredit: '0.04', amountDue: '0.00' })
    await invoices.finalize(early.id, act)
    await invoices.pay(early.id, { ...act, note: 'nothing due' })
    expect(money.ledger.totals(accountId)).toMatchObject({ balance: 260_000_000n, spent: 40_000_000n })
    await money.ledger.reload()
    expect(money.ledger.totals(accountId)).toMatchObject({ balance: 260_000_000n, spent: 40_000_000n })
    await expectClean(money)
    await money.close()
  })

  test('a prepaid account sees what its credit has paid, and owes only the rest and the tax', async () => {
    const { money, accountId } = await open()
    const { invoices } = openInvoices(money, { tax: vat })
    await money.ledger.grant(accountId, { amount: 25_000_000n, priority: 0, createdBy: 'usr_0' })
    for (let n = 0; n < 4; n++) await money.call({ accountId })
    money.clock.set(november.startMs + 1)
    const draft = await invoices.create(accountOf(money, accountId), { period: october, ...act })
    expect(draft.content).toMatchObject({
      exactTotal: '0.04',
      exactAppliedCredit: '0.025',
      subtotal: '0.04',
      appliedCredit: '0.03',
      total: '0.05',
      amountDue: '0.02',
      taxes: [{ name: 'VAT', amount: '0.01' }],
    })
    await invoices.finalize(draft.id, act)
    await invoices.pay(draft.id, { ...act, note: 'cash' })
    expect(money.ledger.totals(accountId)).toMatchObject({ balance: 0n, spent: 40_000_000n })
    expect(await balanceOf(money.db, 'tax')).toBe(10_000_000n)
    expect(await balanceOf(money.db, 'rounding')).toBe(-5_000_000n)
    await money.ledger.reload()
    expect(money.ledger.totals(accountId)).toMatchObject({ balance: 0n, spent: 40_000_000n })
    await expectClean(money)
    await money.close()
  })

  test('credit notes lower what is due, then become credit, and never pass what the invoice has left', async () => {
    const { money, accountId } = await open()
    const { invoices, creditNotes } = openInvoices(money, { tax: vat })
    await Promise.all(Array.from({ length: 1000 }, () => money.call({ accountId })))
    money.clock.set(november.startMs + 1)
    const draft = await invoices.create(accountOf(money, accountId), { period: october, ...act })
    const credit = (input: Parameters<typeof creditNotes.create>[1]) =>
      creditNotes.create(draft.id, input, { ...act, reason: 'sorry' })
    await expect(credit({ amount: 1_000_000_000n })).rejects.toMatchObject({ code: 'conflict' })
    const final = await invoices.finalize(draft.id, act)
    expect(final.content).toMatchObject({ subtotal: '10.00', total: '11.90', amountDue: '11.90' })
    const first = await credit({ amount: 1_190_000_000n })
    expect(first).toMatchObject({
      number: 'CN-2026-000001',
      net: 1_000_000_000n,
      tax: 190_000_000n,
      granted: 0n,
    })
    expect(money.ledger.totals(accountId).balance).toBe(-9_000_000_000n)
    await credit({ lines: [{ position: 1, amount: 500_000_000n }] })
    expect(formatAmount(await invoices.amountLeft(final))).toBe('10.11')
    await expect(credit({ lines: [{ position: 1, amount: 9_600_000_000n }] })).rejects.toMatchObject({
      code: 'unprocessable',
    })
    await expect(credit({ lines: [{ position: 2 }] })).rejects.toMatchObject({ code: 'validation_failed' })
    await expect(credit({ amount: 10_120_000_000n })).rejects.toThrow(/10\.11/)
    await expect(invoices.void(draft.id, act)).rejects.toThrow(/credit notes/)
    await invoices.pay(draft.id, { ...act, note: 'bank' })
    expect(money.ledger.totals(accountId).balance).toBe(0n)
    const rest = await invoices.get(draft.id)
    expect(await invoices.amountLeft(rest)).toBe(0n)
    const last = await credit({ amount: 5_000_000_000n })
    expect(last.granted).toBe(5_000_000_000n)
    expect(money.ledger.totals(accountId).balance).toBe(5_000_000_000n)
    expect((await creditNotes.list(draft.id)).map(({ number }) => number)).toEqual([
      'CN-2026-000001',
      'CN-2026-000002',
      'CN-2026-000003',
    ])
    await money.ledger.reload()
    expect(money.ledger.totals(accountId)).toMatchObject({ balance: 5_000_000_000n, spent: 10_000_000_000n })
    await expectClean(money)
    await money.close()
  })

  test('credit notes that race never credit more than the invoice', async () => {
    const { money, accountId, invoices, creditNotes } = await open()
    await Promise.all(Array.from({ length: 100 }, () => money.call({ accountId })))
    money.clock.set(november.startMs + 1)
    const { id } = await invoices.create(accountOf(money, accountId), { period: october, ...act })
    await invoices.finalize(id, act)
    const rival = openInvoices(money)
    const tries = Array.from({ length: 12 }, (_, n) =>
      (n % 2 === 0 ? creditNotes : rival.creditNotes).create(
        id,
        { amount: 150_000_000n },
        { ...act, reason: 'x' },
      ),
    )
    const results = await Promise.allSettled(tries)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(6)
    expect((await creditNotes.list(id)).map(({ number }) => Number(number.slice(-6)))).toEqual([
      1, 2, 3, 4, 5, 6,
    ])
    expect(await invoices.amountLeft(await invoices.get(id))).toBe(100_000_000n)
    await expectClean(money)
    await money.close()
  })

  test('50 invoices finalized at once, by two writers, have the numbers 1 to 50', async () => {
    const { money, invoices } = await open()
    const rival = openInvoices(money)
    money.clock.set(november.startMs + 1)
    const accounts = await Promise.all(Array.from({ length: 25 }, (_, n) => money.addAccount(`usr_${n}`)))
    const drafts: FullInvoice[] = []
    const half = { startMs: october.startMs, endMs: october.startMs + 86_400_000 }
    for (const id of accounts)
      for (const period of [half, { ...october, startMs: half.endMs }])
        drafts.push(await invoices.create(accountOf(money, id), { period, ...act }))
    const finals = await Promise.all(
      drafts.map(({ id }, n) => (n % 2 === 0 ? invoices : rival.invoices).finalize(id, act)),
    )
    const numbers = finals.map(({ number = '' }) => Number(number.slice('INV-2026-'.length)))
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1))
    // The same invoice twice: one wins, and the other takes no number.
    const twice = await invoices.create(accountOf(money, accounts[0] ?? ''), { period: november, ...act })
    money.clock.set(november.endMs)
    const race = await Promise.allSettled(
      [invoices, rival.invoices].map((each) => each.finalize(twice.id, act)),
    )
    expect(race.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await invoices.get(twice.id)).number).toBe('INV-2026-000051')
    await money.close()
  })

  test('after kill -9 there is no gap, and no number without its invoice', async () => {
    const { money, place, accountId } = await open()
    await money.close()
    const script = fileURLToPath(new URL('./finalize-forever.ts', import.meta.url))
    const settings = JSON.stringify({ ...place.address, accountId })
    let day = 0
    let known = 0
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, [script, settings, String(day)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.split('\n').length > 5 + round * 3) child.kill('SIGKILL')
      })
      const [, signal] = (await once(child, 'close')) as [number, string]
      expect(signal).toBe('SIGKILL')
      const said = output.split('\n').slice(0, -1)
      const db = await place.open()
      const rows = await untilQuiet(() => documents(db))
      const numbered = rows.filter(({ number }) => number !== null)
      expect(numbered.map(({ seq }) => Number(seq))).toEqual(numbered.map((_, n) => n + 1))
      expect(numbered.every(({ status, given }) => status === 'finalized' && given)).toBe(true)
      expect(rows.filter(({ number }) => number === null).every(({ status }) => status === 'draft')).toBe(
        true,
      )
      expect(numbered.map(({ number }) => number)).toEqual(expect.arrayContaining(said))
      expect(numbered.length).toBeGreaterThanOrEqual(known + said.length)
      known = numbered.length
      day = rows.length
      await db.close()
    }
  })

  test('the monthly job bills closed months of accounts with calls, once', async () => {
    const { money, invoices, accountId } = await open()
    await money.addAccount('usr_idle')
    await money.call({ accountId })
    const parts = { invoices, queries: money.queries, clock: money.clock, log, mode: 'finalize' as const }
    const job = () => new AutomaticInvoices({ ...parts, listAccounts: () => money.ledger.listAccounts() })
    expect(await job().run()).toBe(0)
    money.clock.set(october.endMs + 30 * 60_000)
    expect(await job().run()).toBe(0)
    money.clock.set(october.endMs + 61 * 60_000)
    const one = job()
    expect([await one.run(), await one.run(), await job().run()]).toEqual([1, 0, 0])
    const made = await invoices.list({}, { limit: 10, before: undefined })
    expect(made).toMatchObject([{ accountId, status: 'finalized', periodStartMs: october.startMs }])

    // A zone that is changed in between leaves no hour out and bills none twice.
    for (const [timeZone, nowMs] of [
      ['Europe/Berlin', november.endMs],
      ['UTC', november.endMs + 31 * 86_400_000],
    ] as const) {
      await money.ledger.changeAccount(accountId, { timeZone })
      await money.call({ accountId })
      money.clock.set(nowMs + 61 * 60_000)
      expect(await job().run()).toBe(1)
    }
    const periods = (await invoices.list({}, { limit: 10, before: undefined })).toReversed()
    expect(periods.map(({ periodStartMs, periodEndMs }) => [periodStartMs, periodEndMs])).toEqual([
      [october.startMs, october.endMs],
      [october.endMs, november.endMs - 3_600_000],
      [november.endMs - 3_600_000, november.endMs + 31 * 86_400_000],
    ])
    await money.close()
  })
})

interface DocumentRow {
  readonly status: string
  readonly number: string | null
  readonly seq: bigint | null
  /** Whether the number in the series is the one on the invoice. */
  readonly given: bigint | boolean
}

async function documents(db: Database): Promise<DocumentRow[]> {
  const query = sql<DocumentRow>`select i.status, i.number, d.seq,
    case when d.number = i.number then 1 else 0 end as given
    from invoice i full join document_number d on d.document_id = i.id order by d.seq, i.id`
  return db.read<DocumentRow>({ compile: () => query.compile(db.builder<unknown>()) })
}

/** A server may still be ending the last transaction of a client that was killed. */
async function untilQuiet<Row>(read: () => Promise<Row[]>): Promise<Row[]> {
  const deadline = Date.now() + 10_000
  for (let before = await read(); ;) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    const now = await read()
    if (now.length === before.length || Date.now() > deadline) return now
    before = now
  }
}
