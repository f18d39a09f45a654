// What bundles promise, run on SQLite and on PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { Seal } from '../../src/base/seal.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { registryTables } from '../../src/db/migrations/0002-registry.ts'
import { bundleTables } from '../../src/db/migrations/0009-bundles.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { aggregateServer } from '../../src/registry/bundle-server.ts'
import { BundleStore } from '../../src/registry/bundle-store.ts'
import { Bundles, type BundleChange } from '../../src/registry/bundles.ts'
import { Registry } from '../../src/registry/servers.ts'
import { ServerStore } from '../../src/registry/store.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const root = mkdtempSync(join(tmpdir(), 'bundles-'))
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
  ['sqlite', () => openSqlite({ file: join(root, 'test.db'), durability: 'disk', log: silentLog })],
  [
    'postgres',
    async () => {
      const name = `bundles_${places++}`
      await cluster.createDatabase(name)
      return openPostgres({ url: cluster.url(name), durability: 'disk', log: silentLog })
    },
  ],
]

const http = (name: string) => ({
  name,
  transport: { type: 'streamable-http', url: 'https://mcp.example.com/mcp' },
})
const by = { ownerId: 'usr_1', allowStdio: false, maySee: () => true }

describe.each(engines)('bundles on %s', (_, openStore) => {
  let db: Database
  const clock = new ManualClock()
  beforeAll(async () => {
    db = await openStore()
    await migrate(db, { log: silentLog, migrations: [registryTables, bundleTables] })
    const { registry } = await load()
    for (const name of ['weather', 'maps', 'secret']) await registry.create(http(name), by)
  })
  afterAll(() => db.close())

  async function load(options: object = {}) {
    const registry = new Registry({
      store: new ServerStore(db, new Seal(Buffer.alloc(32, 1))),
      rules: { stdioAllow: [], checkUrl: () => {} },
      clock,
      log: silentLog,
    })
    await registry.load()
    const bundles = new Bundles({ store: new BundleStore(db), registry, clock, log: silentLog, ...options })
    await bundles.load()
    return { registry, bundles }
  }

  test('are found after a restart as they were made and changed, members by their names of now', async () => {
    const { registry, bundles } = await load()
    const made = await bundles.create(
      {
        name: 'travel',
        description: 'd',
        members: [
          { server: 'weather', include: ['get_*'], exclude: ['*_old'], rename: { get_a: 'a' } },
          { server: registry.findByName('maps')?.id },
        ],
      },
      by,
    )
    expect(made).toMatchObject({ access: 'private', ownerId: 'usr_1', revision: 1 })
    const changed = await bundles.patch(
      made.id,
      { access: 'public', account: 'acc_1', description: null },
      by,
    )
    expect(changed).toMatchObject({ revision: 2, publicAccountId: 'acc_1', members: made.members })
    expect(changed.description).toBeUndefined()
    expect((await bundles.patch(made.id, { access: 'private' }, by)).publicAccountId).toBeUndefined()
    await registry.patch(registry.findByName('weather')?.id ?? '', { name: 'climate' }, by)
    const again = await load()
    const found = again.bundles.findByName('travel')
    expect(found).toEqual(bundles.findById(made.id))
    expect(again.bundles.find(made.id)).toBe(found)
    expect(found && again.bundles.membersOf(found).map(({ server, ...view }) => [server.name, view])).toEqual(
      [
        ['climate', { include: ['get_*'], exclude: ['*_old'], rename: { get_a: 'a' } }],
        ['maps', {}],
      ],
    )
    await again.registry.patch(again.registry.findByName('climate')?.id ?? '', { name: 'weather' }, by)
  })

  test('share one namespace with servers, however many ask at once', async () => {
    const { registry, bundles } = await load()
    const conflict = { code: 'conflict' }
    const members = [{ server: 'maps' }]
    await expect(bundles.create({ name: 'maps', members }, by)).rejects.toMatchObject(conflict)
    await expect(bundles.create({ name: 'travel', members }, by)).rejects.toMatchObject(conflict)
    await expect(registry.create(http('travel'), by)).rejects.toMatchObject(conflict)
    await expect(
      registry.patch(registry.findByName('maps')?.id ?? '', { name: 'travel' }, by),
    ).rejects.toMatchObject(conflict)
    await expect(bundles.create({ name: 'mcp', members }, by)).rejects.toMatchObject({
      fields: [{ field: '/name' }],
    })
    const results = await Promise.allSettled([
      bundles.create({ name: 'race', members }, by),
      registry.create(http('race'), by),
      bundles.create({ name: 'race', members }, by),
    ])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await bundles.remove(bundles.findByName('race')?.id ?? '')
    await registry.create(http('race'), by)
    expect(registry.findByName('race')).toBeDefined()
  })

  test('hold no server that their maker may not see, none twice, and keep what others have put there', async () => {
    const { bundles } = await load()
    const blind = { ...by, maySee: ({ name }: { name: string }) => name !== 'secret' }
    const wrong = [{ server: 'secret' }, { server: 'nobody' }, { server: 'maps' }, { server: 'maps' }]
    await expect(bundles.create({ name: 'wrong', members: wrong }, blind)).rejects.toMatchObject({
      fields: [
        { field: '/members/0/server', message: 'there is no such server' },
        { field: '/members/1/server', message: 'there is no such server' },
        { field: '/members/3/server', message: 'is in the bundle already' },
      ],
    })
    const { id } = await bundles.create({ name: 'kept', members: [{ server: 'secret' }] }, by)
    const changed = await bundles.patch(id, { description: 'x' }, blind)
    expect(bundles.membersOf(changed).map(({ server }) => server.name)).toEqual(['secret'])
    await bundles.remove(id)
    await expect(bundles.remove(id)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('say what is wrong with each field, and stay as they are', async () => {
    const { bundles } = await load({ accountExists: () => false, maxBundles: 2 })
    const before = bundles.findByName('travel')
    const members = [{ server: 'maps' }]
    const faults: [object, string][] = [
      [{ nope: 1 }, '/nope'],
      [{ members: [] }, '/members'],
      [{ members: [{ server: 'maps', include: [] }] }, '/members/0/include'],
      [{ members: [{ server: 'maps', exclude: [''] }] }, '/members/0/exclude/0'],
      [{ members: [{ server: 'maps', rename: { a: 'x', b: 'x' } }] }, '/members/0/rename'],
      [{ members: [{ server: 'maps', rename: { a: 'not a name' } }] }, '/members/0/rename/a'],
      [{ members: [{ server: 'maps', rename: { a: 'x'.repeat(123) } }] }, '/members/0/rename/a'],
      [{ access: 'public' }, '/account'],
      [{ account: 'acc_1' }, '/account'],
      [{ access: 'public', account: 'acc_2' }, '/account'],
    ]
    for (const [patch, field] of faults) {
      const refused = { fields: [{ field }] }
      await expect(bundles.patch(before?.id ?? '', patch, by)).rejects.toMatchObject(refused)
      await expect(bundles.create({ name: 'faulty', members, ...patch }, by)).rejects.toMatchObject(refused)
    }
    for (const patch of [[], 'x', null])
      await expect(bundles.patch(before?.id ?? '', patch, by)).rejects.toMatchObject({
        fields: [{ field: '' }],
      })
    expect((await load()).bundles.findByName('travel')).toEqual(before)
    await bundles.create({ name: 'second', members }, by)
    await expect(bundles.create({ name: 'third', members }, by)).rejects.toMatchObject({
      code: 'unprocessable',
    })
  })

  test('lose a server that is removed, at once and for good, and tell who listens', async () => {
    const { registry, bundles } = await load()
    const heard: BundleChange[] = []
    const stop = bundles.onChange((change) => heard.push(change))
    const bundle = bundles.findByName('travel')
    const maps = registry.findByName('maps')
    await registry.remove(maps?.id ?? '')
    const left = () => bundles.findByName('travel')?.members.map(({ serverId }) => serverId)
    expect(left()).toEqual([registry.findByName('weather')?.id])
    expect(heard[0]).toMatchObject({ kind: 'changed' })
    // Changes are made one after another, so this one comes after the bundle was written.
    const last = await bundles.patch(bundle?.id ?? '', { description: 'after' }, by)
    expect(last.members.map(({ serverId }) => serverId)).toEqual(left())
    expect((await load()).bundles.findByName('travel')).toEqual(last)
    await bundles.remove(last.id)
    expect(heard.at(-1)).toEqual({ kind: 'removed', id: last.id })
    stop()
    expect((await load()).bundles.findByName('travel')).toBeUndefined()
  })

  test('whose server went in the moment before the end have lost it at the next start', async () => {
    const { registry, bundles } = await load()
    await bundles.create({ name: 'orphan', members: [{ server: 'secret' }, { server: 'weather' }] }, by)
    await new ServerStore(db, new Seal(Buffer.alloc(32, 1))).remove(registry.findByName('secret')?.id ?? '')
    const again = (await load()).bundles
    const orphan = again.findByName('orphan')
    expect(orphan && again.membersOf(orphan).map(({ server }) => server.name)).toEqual(['weather'])
  })

  test('are listed by id, those that may be seen', async () => {
    const { bundles } = await load()
    const all = bundles.list({ limit: 10, after: undefined, visible: () => true })
    expect(all.length).toBeGreaterThan(1)
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted())
    expect(bundles.list({ limit: 10, after: all[0]?.id, visible: () => true })).toEqual(all.slice(1))
    expect(bundles.list({ limit: 1, after: undefined, visible: ({ id }) => id !== all[0]?.id })).toEqual([
      all[1],
    ])
    const [first] = all
    expect(aggregateServer(first)).toMatchObject({
      id: first?.id,
      name: first?.name,
      ownerId: 'usr_1',
      transport: { type: 'aggregate', bundle: first?.id },
    })
  })
})
