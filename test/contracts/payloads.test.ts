// The table of payloads on both stores: sealed to its call, gone at its time, and gone with its record.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CallIds, formatCallId } from '../../src/base/id.ts'
import { ManualClock } from '../../src/base/clock.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog } from '../../src/base/log.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { PayloadStore } from '../../src/payloads/store.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('payloads')
})
afterAll(() => cluster.stop())

const open = {
  sqlite: () => openMoney(),
  postgres: async () => {
    const options = { url: cluster.url('payloads'), durability: 'process', log: silentLog } as const
    return openMoney({ database: await openPostgres(options) })
  },
}

describe.each(['sqlite', 'postgres'] as const)('payloads on %s', (engine) => {
  let money: Money
  let store: PayloadStore
  const clock = new ManualClock(1_790_000_000_000)
  const ids = new CallIds(clock)
  beforeAll(async () => {
    money = await open[engine]()
    await migrate(money.db, { log: silentLog })
    store = new PayloadStore(money.db, new Keyring(derivedKeys(Buffer.alloc(32, 7))))
  })
  afterAll(() => money.close())

  const insert = async (days: number, serverId = 'srv_1') => {
    clock.advance(1)
    const id = ids.next()
    const expiresAtMs = clock.now() + days * 86_400_000
    const payload = { arguments: { n: String(id) }, result: { text: 'Sentinel' }, cut: false }
    await store.insert([{ id, serverId, expiresAtMs, payload }])
    return { id, expiresAtMs, payload }
  }

  test('come back as they went in, until their time, and are sealed to their own call', async () => {
    const { id, expiresAtMs, payload } = await insert(2)
    const other = await insert(2)
    expect(await store.find(id, expiresAtMs - 1)).toEqual({ ...payload, expiresAtMs })
    expect(await store.find(id, expiresAtMs)).toBeUndefined()
    expect(await store.find(ids.next(), 0)).toBeUndefined()
    const sql = money.db.builder<{ payload: { id: string; sealed: string } }>()
    const rows = await money.db.read(sql.selectFrom('payload').selectAll())
    expect(
      JSON.stringify(rows, (_, value: unknown) => (typeof value === 'bigint' ? '' : value)),
    ).not.toContain('Sentinel')
    const sealed = rows.find((row) => row.id === formatCallId(id))?.sealed ?? ''
    await money.db.write(sql.updateTable('payload').set({ sealed }).where('id', '=', formatCallId(other.id)))
    await expect(store.find(other.id, 0)).rejects.toMatchObject({ code: 'internal' })
    // Written twice, the first stands.
    await store.insert([{ id, serverId: 'srv_1', expiresAtMs: 1, payload: { cut: true } }])
    expect((await store.find(id, 0))?.cut).toBe(false)
  })

  test('go when their time is over, with their server, or with the records before a time; many at once', async () => {
    const [short, long] = [await insert(1), await insert(30)]
    for (let n = 0; n < 450; n++) await insert(1)
    expect(await store.deleteExpired(short.expiresAtMs + 3_600_000)).toBeGreaterThan(450)
    expect(await store.find(short.id, 0)).toBeUndefined()
    expect(await store.find(long.id, 0)).toBeDefined()
    const [mine, yours] = [await insert(5, 'srv_mine'), await insert(5, 'srv_yours')]
    expect(await store.deleteOf('srv_mine')).toBe(1)
    expect(await store.find(mine.id, 0)).toBeUndefined()
    expect(await store.find(yours.id, 0)).toBeDefined()
    await store.deleteBefore(yours.id)
    expect(await store.find(long.id, 0)).toBeUndefined()
    expect(await store.find(yours.id, 0)).toBeDefined()
    expect(await store.deleteExpired(Number.MAX_SAFE_INTEGER, AbortSignal.abort())).toBe(0)
  })
})
