// What drafts and price books promise, run on SQLite and on PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildPrices } from '../../src/assembly/prices.ts'
import { ManualClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { booksOf } from '../../src/ledger/account-books.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import type { CallBooks } from '../../src/pricing/price.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const root = mkdtempSync(join(tmpdir(), 'prices-'))
let cluster: TestPostgres
let places = 0
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

const engines: [string, () => Promise<Database>][] = [
  ['sqlite', () => openSqlite({ file: join(root, `${places++}.db`), durability: 'disk', log: silentLog })],
  [
    'postgres',
    async () => {
      const name = `prices_${places++}`
      await cluster.createDatabase(name)
      return openPostgres({ url: cluster.url(name), durability: 'disk', log: silentLog })
    },
  ],
]

const web = { name: 'web', currency: 'USD', match: { tool: 'web_*' }, price: { perCall: '0.01' } }

describe.each(engines)('on %s', (_, openStore) => {
  let db: Database
  let clock: ManualClock
  let prices: Awaited<ReturnType<typeof buildPrices>>
  beforeAll(async () => {
    db = await openStore()
    clock = new ManualClock()
    await migrate(db, { log: silentLog, clock })
    prices = await buildPrices(db, clock)
  })
  afterAll(() => db.close())

  const ruleFor = (tool: string, books?: CallBooks) =>
    prices.rules.findRule({
      server: 'stub',
      method: 'tools/call',
      tool,
      user: 'usr_1',
      account: 'acc_1',
      transport: 'streamable-http',
      currency: 'USD',
      books,
      atMs: clock.now(),
    })?.rule
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => 'taken',
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    )

  describe('a draft', () => {
    test('prices nothing until it is published, and then is a version that says by whom', async () => {
      const draft = await prices.drafts.create({ ...web, match: { tool: 'drafted' } }, 'usr_maker')
      expect(ruleFor('drafted')).toBeUndefined()
      clock.advance(1000)
      const [version] = await prices.drafts.publish([draft.id], { by: 'usr_boss' })
      expect(version).toMatchObject({
        ruleId: draft.ruleId,
        version: 1,
        createdBy: 'usr_boss',
        effectiveFromMs: clock.now(),
      })
      expect(ruleFor('drafted')?.ruleId).toBe(draft.ruleId)
      expect(await refusal(prices.drafts.get(draft.id))).toMatch(/^not_found/)
      expect(prices.rules.lifeOf(version!)).toEqual({ state: 'published' })
    })

    test('of a rule takes over what it does not name, and makes its next version', async () => {
      const rule = await prices.rules.create({ ...web, priority: 3, match: { tool: 'next' } }, 'usr_maker')
      const draft = await prices.drafts.create({ ruleId: rule.ruleId, price: { perCall: '9' } })
      expect(draft).toMatchObject({ basedOn: 1, rule: { priority: 3, match: { tool: 'next' } } })
      expect(ruleFor('next')?.price).toEqual({ perCall: '0.01' })
      clock.advance(1000)
      await prices.drafts.publish([draft.id], { by: 'usr_boss' })
      expect(ruleFor('next')).toMatchObject({ version: 2, price: { perCall: '9' } })
      expect(prices.rules.lifeOf(rule)).toEqual({
        state: 'retired',
        retiredAtMs: clock.now(),
        retiredBy: 'usr_boss',
      })
    })

    test('that was overtaken is refused until somebody has looked at the newer version', async () => {
      const { ruleId } = await prices.rules.create({ ...web, match: { tool: 'overtaken' } })
      const draft = await prices.drafts.create({ ruleId, price: { perCall: '9' } })
      await prices.rules.change(ruleId, { price: { perCall: '5' } })
      expect(await refusal(prices.drafts.publish([draft.id], {}))).toMatch(/^conflict: .*version 2 by now/)
      await prices.drafts.change(draft.id, { basedOn: 2 })
      await prices.drafts.publish([draft.id], {})
      expect(ruleFor('overtaken')).toMatchObject({ version: 3, price: { perCall: '9' } })
    })

    test('may be published for a time to come', async () => {
      const atMs = clock.now() + 86_400_000
      const body = { ...web, match: { tool: 'later' }, effectiveFrom: new Date(atMs).toISOString() }
      const [version] = await prices.drafts.publish([(await prices.drafts.create(body)).id], {})
      expect([ruleFor('later'), prices.rules.lifeOf(version!).state]).toEqual([undefined, 'published'])
      clock.advance(86_400_000)
      expect(ruleFor('later')?.ruleId).toBe(version?.ruleId)
    })

    test('is published with the others at one moment, or none of them is', async () => {
      const { ruleId } = await prices.rules.create({ ...web, match: { tool: 'joint_a' } })
      const change = await prices.drafts.create({ ruleId, price: { perCall: '7' } })
      const fresh = await prices.drafts.create({ ...web, match: { tool: 'joint_b' } })
      await prices.rules.change(ruleId, { priority: 1 })
      expect(await refusal(prices.drafts.publish([fresh.id, change.id], {}))).toMatch(/^conflict/)
      expect([ruleFor('joint_a')?.version, ruleFor('joint_b')]).toEqual([2, undefined])
      expect((await prices.drafts.choose([fresh.id, change.id])).length).toBe(2)
      await prices.drafts.change(change.id, { basedOn: 2 })
      const versions = await prices.drafts.publish([fresh.id, change.id], {})
      expect(new Set(versions.map(({ effectiveFromMs }) => effectiveFromMs)).size).toBe(1)
      expect([ruleFor('joint_a')?.version, ruleFor('joint_b')?.version]).toEqual([3, 1])
    })

    test('is published once, also where two gateways publish it at the same time', async () => {
      const other = await buildPrices(db, clock)
      const draft = await prices.drafts.create({ ...web, match: { tool: 'twice' } })
      const outcomes = await Promise.all(
        [prices, other].map((own) => refusal(own.drafts.publish([draft.id], {}))),
      )
      expect(outcomes.filter((outcome) => outcome === 'taken')).toHaveLength(1)
      await prices.rules.reload()
      expect(prices.rules.getVersions(draft.ruleId)).toHaveLength(1)
    })

    test('that would tie with a rule is refused with the finding, and taken by force', async () => {
      await prices.rules.create({ ...web, match: { tool: 'tie_*' } })
      const draft = await prices.drafts.create({
        ...web,
        name: 'tie',
        match: { tool: '*_tie' },
        price: { perCall: '2' },
      })
      const refused = await prices.drafts.publish([draft.id], {}).catch((error: unknown) => error)
      expect(refused).toMatchObject({
        code: 'unprocessable',
        data: { findings: [{ kind: 'ambiguous', rules: expect.anything() }] },
      })
      expect(ruleFor('a_tie')).toBeUndefined()
      await prices.drafts.publish([draft.id], { force: true })
      expect(ruleFor('a_tie')?.name).toBe('tie')
    })
  })

  describe('a price book', () => {
    test('has rules for the accounts that have it, and for nobody else', async () => {
      await prices.books.create({ name: 'gold', description: 'for the large' }, 'usr_boss')
      await prices.books.create({ name: 'acme' })
      expect(await refusal(prices.books.create({ name: 'gold' }))).toMatch(/^conflict: There is a price book/)
      const base = { ...web, match: { tool: 'shelf' } }
      await prices.rules.create({ ...base, name: 'all', priority: 9 })
      await prices.rules.create({ ...base, name: 'gold', book: 'gold' })
      await prices.rules.create({ ...base, name: 'acme', book: 'acme' })
      expect(await refusal(prices.rules.create({ ...base, book: 'silver' }))).toMatch(/^validation_failed/)
      expect(
        [undefined, { plan: 'gold' }, { plan: 'gold', priceBook: 'acme' }, { plan: 'silver' }].map(
          (books) => ruleFor('shelf', books)?.name,
        ),
      ).toEqual(['all', 'gold', 'acme', 'all'])
      const again = await buildPrices(db, clock)
      expect(again.rules.listRules({ limit: 1000 })).toEqual(prices.rules.listRules({ limit: 1000 }))
    })

    test('stays while a rule is in it or an account has it', async () => {
      expect(await refusal(prices.books.remove('acme', () => 0))).toMatch(/^conflict: .*"acme"/)
      const inside = prices.rules.listRules({ limit: 100 }).items.find(({ book }) => book === 'acme')
      await prices.rules.change(inside!.ruleId, { book: null })
      expect(ruleFor('shelf', { priceBook: 'acme' })?.book).toBeUndefined()
      expect(await refusal(prices.books.remove('acme', () => 2))).toMatch(/2 accounts have/)
      await prices.books.remove('acme', () => 0)
      expect(await refusal(prices.books.get('acme'))).toMatch(/^not_found/)
    })

    test('is listed by name in pages, and described anew', async () => {
      for (const name of ['b-1', 'b-2', 'b-3']) await prices.books.create({ name })
      const page = await prices.books.list({ limit: 2, after: 'b-1' })
      expect(page.map(({ name }) => name)).toEqual(['b-2', 'b-3'])
      expect(await prices.books.change('b-1', { description: 'first' })).toMatchObject({
        description: 'first',
      })
      expect((await prices.books.change('b-1', { description: null })).description).toBeUndefined()
    })
  })

  test('an account has its own books, or those of the nearest account above it, also after a restart', async () => {
    const open = () =>
      Ledger.open(new LedgerStore(db), {
        clock,
        defaults: { mode: 'postpaid', currency: 'USD', timeZone: 'UTC' },
      })
    const ledger = await open()
    await ledger.addAccount({ id: 'acc_org', kind: 'organisation', name: 'org' })
    await ledger.addAccount({ id: 'acc_team', kind: 'team', name: 'team', parentId: 'acc_org' })
    await ledger.addAccount({ id: 'acc_ann', kind: 'user', name: 'ann', parentId: 'acc_team' })
    const books = (of: Ledger) => {
      const account = of.findAccount('acc_ann')
      return account && booksOf(account, of)
    }
    expect(books(ledger)).toBeUndefined()
    await ledger.changeAccount('acc_org', { plan: 'gold', priceBook: 'org' })
    expect(books(ledger)).toEqual({ plan: 'gold', priceBook: 'org' })
    await ledger.changeAccount('acc_team', { priceBook: 'team' })
    await ledger.changeAccount('acc_ann', { plan: 'silver' })
    expect(books(ledger)).toEqual({ plan: 'silver', priceBook: 'team' })
    expect(books(await open())).toEqual(books(ledger))
    await ledger.changeAccount('acc_ann', { plan: null })
    await ledger.changeAccount('acc_team', { priceBook: null })
    expect(books(ledger)).toEqual({ plan: 'gold', priceBook: 'org' })
    expect(books(await open())).toEqual(books(ledger))
  })
})
