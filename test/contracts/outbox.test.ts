// What the outbox promises of its cursor and its queue, on SQLite and on PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatCallId } from '../../src/base/id.ts'
import { silentLog as log } from '../../src/base/log.ts'
import type { Database } from '../../src/db/database.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Collector } from '../../src/outbox/collector.ts'
import { OutboxEventStore } from '../../src/outbox/event-store.ts'
import { WebhookStore } from '../../src/outbox/store.ts'
import type { Webhook } from '../../src/outbox/webhook.ts'
import { printedSeed, seeded } from '../faults/rig.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { openOutbox } from '../harness/outbox.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { startReceiver } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'

const root = mkdtempSync(join(tmpdir(), 'outbox-'))
let cluster: TestPostgres

beforeAll(async () => {
  cluster = await startPostgres()
  await Promise.all([cluster.createDatabase('cursor'), cluster.createDatabase('queue')])
})
afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

const engines: [string, (name: string) => Promise<Database>][] = [
  ['sqlite', (name) => openSqlite({ file: join(root, `${name}.db`), durability: 'process', log })],
  ['postgres', async (name) => openPostgres({ url: cluster.url(name), durability: 'process', log })],
]

const webhook: Webhook = {
  id: 'whk_1',
  url: 'http://127.0.0.1:9/',
  kinds: ['call.settled'],
  format: 'standard',
  active: true,
  createdBy: 'usr_1',
  createdAtMs: 0,
  updatedAtMs: 0,
}

describe.each(engines)('on %s', (_engine, openStore) => {
  test('in whatever order calls end, and whenever the process dies, each record becomes one delivery', async () => {
    const random = seeded(printedSeed('outbox cursor'))
    const db = await openStore('cursor')
    let money = await openMoney({ database: db, startMs: Date.UTC(2026, 0, 1) })
    const accountId = await money.addAccount('usr_1')
    const store = new WebhookStore(db)
    await store.insert({ webhook, secrets: {}, position: { cursor: 0n, waiting: [] } })
    /** As a start does: from what is stored. */
    const collectorOf = async ({ queries, openCalls, clock }: Money): Promise<Collector> => {
      const [stored] = await store.load()
      return new Collector(webhook, stored?.position ?? { cursor: 0n, waiting: [] }, {
        store,
        queries,
        openCalls,
        clock,
        source: () => 'http://gateway.test',
      })
    }
    let collector = await collectorOf(money)
    let running: (() => Promise<unknown>)[] = []
    const written = new Set<string>()
    const end = async (index: number): Promise<void> => {
      const [call] = running.splice(index, 1)
      const settled = (await call?.()) as { record: { id: bigint } }
      written.add(formatCallId(settled.record.id))
    }
    for (let step = 0; step < 600; step++) {
      const dice = random(0, 99)
      if (dice < 40) running.push(money.begin({ accountId }))
      else if (dice < 70 && running.length > 0) await end(random(0, running.length - 1))
      else if (dice < 80) money.clock.advance(random(0, 3000))
      else if (dice < 97) await collector.collect()
      else {
        running = []
        money = await openMoney({ database: db, startMs: Math.ceil(money.clock.now()) + 1 })
        collector = await collectorOf(money)
      }
    }
    while (running.length > 0) await end(0)
    for (let again = true; again;) ({ again } = await collector.collect())
    await collector.collect()
    expect(written.size).toBeGreaterThan(50)
    const made = await store.list(webhook.id, { limit: 10_000 })
    const due = await store.due(webhook.id, money.clock.now(), 10_000)
    expect(made.length).toBe(written.size)
    expect(new Set(due.map(({ body }) => JSON.parse(body).data.id))).toEqual(written)
    expect(collector.position.waiting).toEqual([])
    await money.close()
  }, 60_000)

  test('an event arrives once however often it is written, and only if its change is', async () => {
    const money = await openMoney({ database: await openStore('queue') })
    const receiver = await startReceiver()
    const { webhooks, start } = openOutbox(money)
    try {
      await start()
      const made = await webhooks.create(
        { url: receiver.url, kinds: ['budget.threshold'], format: 'standard', active: true },
        { createdBy: 'usr_1' },
      )
      const events = new OutboxEventStore(money.db)
      const event = (id: string) =>
        ({ id, kind: 'budget.threshold', accountId: 'acc_1', body: { id }, atMs: 1 }) as const
      await expect(money.db.write(events.add(event('evt_a')), events.add(event('evt_a')))).rejects.toThrow()
      await money.db.write(events.add(event('evt_b')))
      await until(() => receiver.received.length === 1, 'it arrives')
      await until(async () => {
        const [first] = await webhooks.deliveries(made.webhook.id, { limit: 1 })
        return first?.state === 'delivered'
      }, 'it is written down')
      await money.db.write(events.add(event('evt_b')), events.add(event('evt_c')))
      await until(() => receiver.received.length === 2, 'the next arrives')
      expect(receiver.received.map(({ id }) => id)).toEqual(['evt_b', 'evt_c'])
      expect(await events.oldest(10)).toEqual([])
    } finally {
      await webhooks.stop()
      await receiver.stop()
      await money.close()
    }
  })
})
