// Guarantees of the rule book on a real store: versions never change, nothing is in memory that is not on disk.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { pricingTables } from '../db/migrations/0003-pricing.ts'
import { priceBookTables } from '../db/migrations/0014-price-books.ts'
import { openSqlite } from '../db/sqlite.ts'
import type { CallFacts } from './price.ts'
import { breakdown, rate } from './rating.ts'
import { toRuleObject } from './rule-input.ts'
import { RuleBook, type RuleBookLimits } from './rules.ts'
import { RuleStore } from './store.ts'

let folder: string
let db: Database
let clock: ManualClock

async function openDb(): Promise<Database> {
  const opened = await openSqlite({ file: join(folder, 'rules.db'), durability: 'process', log: silentLog })
  await migrate(opened, { log: silentLog, clock, migrations: [pricingTables, priceBookTables] })
  return opened
}
const openBook = (limits: Partial<RuleBookLimits> = {}): Promise<RuleBook> =>
  RuleBook.open({ store: new RuleStore(db), clock, limits })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollbridge-rules-'))
  clock = new ManualClock()
  db = await openDb()
})
afterEach(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

const web = { name: 'web', priority: 5, active: true, currency: 'USD', match: { tool: 'web_*' } }
const input = (more: object = {}): object => ({ ...web, price: { perCall: '0.01' }, ...more })
const someCall = { server: 'stub', method: 'tools/call', tool: 'web_search', user: 'ann', account: 'acc_1' }
const facts = (more: Partial<CallFacts> = {}): CallFacts => {
  const own = { transport: 'streamable-http', currency: 'USD', books: undefined, atMs: clock.now() }
  return { ...someCall, ...own, ...more }
}
const call = { calls: 1, bytes: 2048, durationUs: 1000 }
test('rules are ranked as they are asked, each book by itself', async () => {
  const book = await openBook()
  const make = async (name: string, more: object) =>
    [(await book.create(input({ name, priority: 0, ...more }))).ruleId, name] as const
  const made = new Map([
    await make('any tool', { match: {} }),
    await make('glob', {}),
    await make('exact', { match: { tool: 'web_search' } }),
    await make('first', { match: {}, priority: 1 }),
  ])
  const ranked = [...book.ranks()].sort(([, one], [, other]) => one - other)
  expect(ranked.map(([id, rank]) => [made.get(id), rank])).toEqual([
    ['first', 1],
    ['exact', 2],
    ['glob', 3],
    ['any tool', 4],
  ])
  expect(book.explain(facts()).candidates.map(({ name }) => name)).toEqual(ranked.map(([id]) => made.get(id)))
})

describe('a rule', () => {
  test('has the shape of the contract, with the defaults filled in', async () => {
    const book = await openBook()
    const rule = await book.create({ name: 'all', currency: 'USD', price: { perCall: '0.001' } }, 'usr_1')
    expect(toRuleObject(rule)).toEqual({
      id: expect.stringMatching(/^rul_[0-9a-z]{26}$/),
      version: 1,
      name: 'all',
      priority: 0,
      active: true,
      currency: 'USD',
      match: {},
      price: { perCall: '0.001' },
      billOn: ['success'],
      effectiveFrom: '2026-01-01T00:00:00.000Z',
      createdAt: '2026-01-01T00:00:00.000Z',
      createdBy: 'usr_1',
    })
    const ending = await book.create(input({ effectiveTo: '2026-02-01T00:00:00+01:00' }))
    expect(toRuleObject(ending).effectiveTo).toBe('2026-01-31T23:00:00.000Z')
  })

  test('that ends before it begins is refused', async () => {
    const book = await openBook()
    const refusal = { code: 'validation_failed', fields: [{ field: '/effectiveTo' }] }
    const early = { effectiveTo: '2025-01-01T00:00:00Z' }
    await expect(book.create(input(early))).rejects.toMatchObject(refusal)
    const { ruleId } = await book.create(input())
    await expect(book.change(ruleId, early)).rejects.toMatchObject(refusal)
    await expect(book.create(input({ colour: 'red' }))).rejects.toMatchObject({ code: 'validation_failed' })
    expect(book.listRules({ limit: 10 }).items).toHaveLength(1)
    expect(book.getVersions(ruleId)).toHaveLength(1)
  })
})

describe('a change', () => {
  test('makes a new version, and the old one keeps its price to the last digit', async () => {
    const book = await openBook()
    const old = await book.create(input({ price: { perCall: '0.01', perKb: '0.0005' } }))
    const before = book.findRule(facts())
    const seen = JSON.stringify(old)
    clock.advance(1000)
    await book.change(old.ruleId, { price: { perCall: '0.5' } }, 'usr_2')
    await book.change(old.ruleId, { price: { perCall: '0.7' }, match: { server: 'other' } })
    expect(JSON.stringify(book.getVersions(old.ruleId)[0])).toBe(seen)
    expect(before && rate(before.rates, call)).toBe(11_000_000n)

    await db.close()
    db = await openDb()
    const reopened = await openBook()
    expect(JSON.stringify(reopened.getVersions(old.ruleId)[0])).toBe(seen)
    const first = reopened.findVersion(old.ruleId, 1)
    expect(first && breakdown(first.rates, call).amount).toBe('0.011')
    expect(reopened.getVersions(old.ruleId)).toEqual(book.getVersions(old.ruleId))
  })

  test('replaces whole members, keeps the others, and takes effect at once', async () => {
    const book = await openBook()
    const { ruleId } = await book.create(input({ price: { perCall: '0.01', maximum: '1' } }))
    expect(book.findRule(facts())?.rule.version).toBe(1)
    clock.advance(1)
    const next = await book.change(ruleId, { price: { perKb: '0.1' } })
    expect(next).toMatchObject({ version: 2, name: 'web', priority: 5, price: { perKb: '0.1' } })
    expect(next.price).toEqual({ perKb: '0.1' })
    expect(next.effectiveFromMs).toBe(clock.now())
    expect(book.findRule(facts())?.rule.version).toBe(2)
    expect(book.findRule(facts({ atMs: clock.now() - 1 }))?.rule.version).toBe(1)
    expect(book.findRule(facts({ tool: 'ls' }))).toBeUndefined()
  })

  test('that lies in the future starts at its time', async () => {
    const book = await openBook()
    const { ruleId } = await book.create(input())
    const later = new Date(clock.now() + 60_000).toISOString()
    await book.change(ruleId, { price: { perCall: '2' }, effectiveFrom: later })
    expect(book.findRule(facts())?.rule.version).toBe(1)
    // A further change without a time belongs to the scheduled version.
    expect(toRuleObject(await book.change(ruleId, { name: 'dear' })).effectiveFrom).toBe(later)
    expect(book.findRule(facts())?.rule.version).toBe(1)
    clock.advance(60_000)
    expect(book.findRule(facts())?.rule).toMatchObject({ version: 3, name: 'dear', price: { perCall: '2' } })
  })

  test('can end a rule and take the end away', async () => {
    const book = await openBook()
    const { ruleId } = await book.create(input())
    await book.change(ruleId, { effectiveTo: new Date(clock.now() + 1000).toISOString() })
    clock.advance(1000)
    expect(book.findRule(facts())).toBeUndefined()
    expect(book.explain(facts()).candidates[0]?.lostBecause).toMatch(/ended/)
    await expect(book.change(ruleId, { active: true })).rejects.toMatchObject({
      fields: [{ field: '/effectiveTo' }],
    })
    await book.change(ruleId, { effectiveTo: null })
    expect(book.findRule(facts())?.rule.version).toBe(3)
  })

  test('that names nothing, or a rule that is not there, is refused', async () => {
    const book = await openBook()
    const { ruleId } = await book.create(input())
    await expect(book.change(ruleId, {})).rejects.toMatchObject({ code: 'validation_failed' })
    await expect(book.change('rul_x', { name: 'y' })).rejects.toMatchObject({ code: 'not_found' })
    expect(() => book.getRule('rul_x')).toThrow(GatewayError)
    expect(() => book.getVersions('rul_x')).toThrow(GatewayError)
  })

  test('loses none of 50 parallel ones, on one node or two', async () => {
    const [here, there] = [await openBook(), await openBook()]
    const { ruleId } = await here.create(input())
    await there.reload()
    const names = Array.from({ length: 50 }, (_, i) => `name ${i}`)
    await Promise.all(names.map((name, i) => (i % 2 ? here : there).change(ruleId, { name })))
    await Promise.all([here.reload(), there.reload()])
    const versions = here.getVersions(ruleId)
    expect(versions.map((rule) => rule.version)).toEqual(Array.from({ length: 51 }, (_, i) => i + 1))
    expect(versions.map((rule) => rule.name).sort()).toEqual([...names, 'web'].sort())
    expect(there.getVersions(ruleId)).toEqual(versions)
  })

  test('is in force only when the store has it', async () => {
    const book = await openBook()
    const { ruleId } = await book.create(input())
    const write = db.write.bind(db)
    db.write = () => Promise.reject(new GatewayError('store_unavailable'))
    const gone = { code: 'store_unavailable' }
    await expect(book.change(ruleId, { price: { perCall: '9' } })).rejects.toMatchObject(gone)
    await expect(book.create(input({ name: 'new' }))).rejects.toMatchObject(gone)
    await expect(book.retire(ruleId)).rejects.toMatchObject(gone)
    expect(book.listRules({ limit: 10 }).items).toMatchObject([{ ruleId, version: 1 }])
    expect(book.findRule(facts())?.rule.version).toBe(1)
    db.write = write
    expect(await book.change(ruleId, { price: { perCall: '9' } })).toMatchObject({ version: 2 })
  })
})

describe('a retired rule', () => {
  test('prices no call from then on, and its versions stay readable', async () => {
    const book = await openBook()
    const { ruleId } = await book.create(input())
    clock.advance(10)
    expect(book.findRule(facts())).toBeDefined()
    await book.retire(ruleId)
    for (const own of [book, await openBook()]) {
      expect(own.findRule(facts())).toBeUndefined()
      expect(own.explain(facts()).candidates).toEqual([])
      expect(own.explain(facts({ atMs: clock.now() - 1 })).chosen?.rule.ruleId).toBe(ruleId)
      expect(own.listRules({ limit: 10 }).items).toEqual([])
      expect(() => own.getRule(ruleId)).toThrow(GatewayError)
      expect(own.getVersions(ruleId)).toHaveLength(1)
      expect(own.findVersion(ruleId, 1)?.rule.price).toEqual({ perCall: '0.01' })
    }
    await expect(book.retire(ruleId)).rejects.toMatchObject({ code: 'not_found' })
    await expect(book.change(ruleId, { name: 'back' })).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('the book', () => {
  test('is the same after it is opened again', async () => {
    const book = await openBook()
    await book.create(input({ effectiveTo: '2027-01-01T00:00:00Z', billOn: ['success', 'tool_error'] }))
    await book.create(input({ match: { server: 's*b' }, price: { minimum: '0.1', maximum: '0.2' } }))
    const again = await openBook()
    expect(again.listRules({ limit: 10 })).toEqual(book.listRules({ limit: 10 }))
    expect(again.explain(facts()).candidates).toEqual(book.explain(facts()).candidates)
    expect(again.explain(facts()).chosen?.rule).toEqual(book.explain(facts()).chosen?.rule)
  })

  test('pages through all rules once, in a fixed order', async () => {
    const book = await openBook()
    for (let i = 0; i < 7; i++) await book.create(input({ name: `${i}` }))
    const seen: string[] = []
    let cursor: string | null | undefined
    do {
      const page = book.listRules({ limit: 3, ...(cursor ? { cursor } : {}) })
      seen.push(...page.items.map((rule) => rule.ruleId))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(new Set(seen).size).toBe(7)
    expect(seen).toEqual(seen.toSorted())
  })

  test('gives what applies at a time in the order of choice', async () => {
    const book = await openBook()
    await book.create(input({ name: 'low', priority: 1 }))
    await book.create(input({ name: 'off', active: false }))
    await book.create(input({ name: 'high', priority: 9, effectiveFrom: '2026-03-01T00:00:00Z' }))
    const names = (iso: string): string[] => book.at(Date.parse(iso)).map(({ rule }) => rule.name)
    expect(names('2026-02-01T00:00:00Z')).toEqual(['low'])
    expect(names('2026-04-01T00:00:00Z')).toEqual(['high', 'low'])
  })

  test('keeps no more rules, versions and waiting changes than its limits', async () => {
    const book = await openBook({ maxRules: 2, maxVersions: 2, maxPending: 3 })
    const { ruleId } = await book.create(input())
    await book.create(input())
    await expect(book.create(input())).rejects.toMatchObject({ code: 'unprocessable' })
    await book.change(ruleId, { name: 'b' })
    await expect(book.change(ruleId, { name: 'c' })).rejects.toMatchObject({ code: 'unprocessable' })
    const crowd = await Promise.allSettled(Array.from({ length: 5 }, () => book.reload()))
    expect(crowd.filter((own) => own.status === 'fulfilled')).toHaveLength(3)
    await book.retire(ruleId)
    await book.create(input())
  })
})
