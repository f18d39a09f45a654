// What the registry promises, run on SQLite and on PostgreSQL.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { Seal } from '../../src/base/seal.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { registryTables } from '../../src/db/migrations/0002-registry.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Registry, type RegistryChange } from '../../src/registry/servers.ts'
import { ServerStore } from '../../src/registry/store.ts'
import { serverView } from '../../src/registry/server-view.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const root = mkdtempSync(join(tmpdir(), 'registry-'))
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
  [
    'sqlite',
    () => openSqlite({ file: join(root, `${places++}`, 'test.db'), durability: 'disk', log: silentLog }),
  ],
  [
    'postgres',
    async () => {
      const name = `registry_${places++}`
      await cluster.createDatabase(name)
      return openPostgres({ url: cluster.url(name), durability: 'disk', log: silentLog })
    },
  ],
]

const sealWith = (byte: number): Seal => new Seal(Buffer.alloc(32, byte))

const http = (name: string, more: object = {}): object => ({
  name,
  transport: {
    type: 'streamable-http',
    url: 'https://mcp.example.com/mcp',
    headers: { 'X-Team': 'header-secret-1' },
  },
  auth: { type: 'bearer', token: 'token-secret-4242' },
  ...more,
})
const stdio = (name: string): object => ({
  name,
  transport: {
    type: 'stdio',
    command: 'node',
    args: ['a.js', '; ls'],
    env: { KEY: 'variable-secret' },
    cwd: '/tmp',
  },
})

describe.each(engines)('a registry on %s', (_, openStore) => {
  let db: Database
  const clock = new ManualClock()
  beforeAll(async () => {
    db = await openStore()
    await migrate(db, { log: silentLog, migrations: [registryTables] })
  })
  afterAll(() => db.close())

  async function load(seal = sealWith(1), options: object = {}): Promise<Registry> {
    const registry = new Registry({
      store: new ServerStore(db, seal),
      rules: { stdioAllow: ['node'], checkUrl: () => {} },
      clock,
      log: silentLog,
      healthFlushMs: 60_000,
      ...options,
    })
    await registry.load()
    return registry
  }
  const admin = { ownerId: 'usr_1', allowStdio: true }

  test('finds after a restart exactly what was registered, credentials included', async () => {
    const registry = await load()
    const web = await registry.create(
      http('web', { access: 'public', account: 'acc_1', description: 'd', reportCost: true }),
      admin,
    )
    const child = await registry.create(stdio('child'), admin)
    expect(web).toMatchObject({
      status: 'registered',
      revision: 1,
      publicAccountId: 'acc_1',
      ownerId: 'usr_1',
    })
    const old = await registry.create(
      {
        name: 'old',
        sharing: 'user',
        transport: {
          type: 'sse',
          url: 'https://old.example/{s}/sse',
          messageUrl: 'https://old.example/messages',
          headers: { 'x-k': 'header-secret-2' },
          sessionId: { in: 'path', name: 's' },
        },
      },
      admin,
    )
    const live = await registry.create(
      { name: 'live', transport: { type: 'websocket', url: 'wss://live.example/' } },
      admin,
    )
    const again = await load()
    expect([again.findByName('old'), again.findByName('live')]).toEqual([old, live])
    expect(again.findByName('web')).toEqual(web)
    expect(again.findById(child.id)).toEqual(child)
    expect(again.find('child')).toEqual(child)
    expect(again.find(child.id)).toEqual(child)
    expect(again.find('nobody')).toBeUndefined()
  })

  test('stores and shows no secret', async () => {
    const rows = await db.read(
      db
        .builder<{ servers: { id: string; definition: string; secrets: string } }>()
        .selectFrom('servers')
        .selectAll(),
    )
    const view = JSON.stringify((await load()).list().items.map(serverView))
    for (const secret of ['header-secret-1', 'header-secret-2', 'token-secret-4242', 'variable-secret']) {
      expect(
        JSON.stringify(rows, (_key, value) => (typeof value === 'bigint' ? String(value) : value)),
      ).not.toContain(secret)
      expect(view).not.toContain(secret)
    }
    expect(view).toContain('"last4":"4242"')
    if (db.engine === 'sqlite')
      for (const file of readdirSync(root, { recursive: true, withFileTypes: true }))
        if (file.isFile())
          expect(readFileSync(join(file.parentPath, file.name)).includes('token-secret-4242')).toBe(false)
  })

  test('refuses to start with another secret key', async () => {
    await expect(load(sealWith(2))).rejects.toThrow(/TOLLBRIDGE_SECRET_KEY/)
  })

  test('changes by merge patch, keeping secrets that are not named', async () => {
    const registry = await load()
    const server = await registry.create(http('patched'), admin)
    const changed = await registry.patch(
      server.id,
      { description: 'new', timeouts: { callMs: 500 }, transport: { headers: { 'X-More': 'more' } } },
      admin,
    )
    expect(changed).toMatchObject({
      revision: 2,
      description: 'new',
      timeouts: { callMs: 500, connectMs: server.timeouts.connectMs },
      transport: {
        url: 'https://mcp.example.com/mcp',
        headers: { 'X-Team': 'header-secret-1', 'X-More': 'more' },
      },
      auth: { type: 'bearer', token: 'token-secret-4242' },
    })
    const third = await registry.patch(
      server.id,
      { description: null, name: 'renamed', auth: { type: 'none' }, transport: { headers: null } },
      admin,
    )
    expect(third.transport).toEqual({ type: 'streamable-http', url: 'https://mcp.example.com/mcp' })
    expect(third).toMatchObject({ revision: 3, auth: { type: 'none' } })
    expect(third.description).toBeUndefined()
    expect(registry.findByName('patched')).toBeUndefined()
    expect((await load()).findByName('renamed')).toEqual(third)
    const swapped = await registry.patch(server.id, { transport: { type: 'stdio', command: 'node' } }, admin)
    expect(swapped.transport).toEqual({ type: 'stdio', command: 'node', args: [], env: {} })
  })

  test('drops the account of a server that stops being public', async () => {
    const registry = await load()
    const server = await registry.create(http('opened', { access: 'public', account: 'acc_1' }), admin)
    expect((await registry.patch(server.id, { access: 'private' }, admin)).publicAccountId).toBeUndefined()
    await expect(registry.patch(server.id, { access: 'public' }, admin)).rejects.toMatchObject({
      fields: [{ field: '/account' }],
    })
  })

  test('leaves everything as it was where a change is refused', async () => {
    const registry = await load()
    const before = await registry.create(http('kept'), admin)
    for (const patch of [
      { nope: 1 },
      { name: 'web' },
      { name: null },
      [],
      'x',
      { transport: { type: 'sse' } },
    ])
      await expect(registry.patch(before.id, patch, admin)).rejects.toBeInstanceOf(GatewayError)
    expect(registry.findByName('kept')).toEqual(before)
    expect((await load()).findByName('kept')).toEqual(before)
  })

  test('gives one name to one server, however many ask at once', async () => {
    const registry = await load()
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => registry.create(http('race'), admin)),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' })
    const other = await load()
    const [first, second] = [await load(), other].map((one) => one.findByName('race'))
    await registry.patch(first?.id ?? '', { description: 'mine' }, admin)
    await expect(other.patch(second?.id ?? '', { description: 'theirs' }, admin)).rejects.toMatchObject({
      code: 'conflict',
    })
  })

  test('lets only who may register commands touch a stdio server', async () => {
    const registry = await load()
    const operator = { ownerId: 'usr_2', allowStdio: false }
    await expect(registry.create(stdio('refused'), operator)).rejects.toMatchObject({ code: 'forbidden' })
    const child = registry.findByName('child')
    await expect(registry.patch(child?.id ?? '', { description: 'x' }, operator)).rejects.toMatchObject({
      code: 'forbidden',
    })
    const web = registry.findByName('web')
    await expect(
      registry.patch(web?.id ?? '', { transport: { type: 'stdio', command: 'node' } }, operator),
    ).rejects.toMatchObject({ code: 'forbidden' })
  })

  test('removes a server for good, and tells who listens of every change', async () => {
    const registry = await load()
    const heard: RegistryChange[] = []
    const stop = registry.onChange((change) => heard.push(change))
    const server = await registry.create(http('brief'), admin)
    await registry.patch(server.id, { description: 'x' }, admin)
    await registry.setStatus(server.id, 'inactive')
    await registry.remove(server.id)
    await expect(registry.remove(server.id)).rejects.toMatchObject({ code: 'not_found' })
    stop()
    await registry.create(http('unheard'), admin)
    expect(heard.map((change) => (change.kind === 'changed' ? change.server.revision : change.id))).toEqual([
      1,
      2,
      2,
      server.id,
    ])
    expect((await load()).findByName('brief')).toBeUndefined()
  })

  test('pages through all servers by id, each once, those that may be seen', async () => {
    const registry = await load()
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page = registry.list({ limit: 2, cursor, visible: ({ name }) => name !== 'web' })
      seen.push(...page.items.map(({ name }) => name))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toHaveLength(registry.size - 1)
    expect(new Set(seen).size).toBe(seen.length)
    expect(() => registry.list({ cursor: 'x' })).toThrow(GatewayError)
  })

  test('remembers failures with their beginning, and writes them later', async () => {
    const registry = await load()
    const { id } = await registry.create(http('shaky'), admin)
    const begin = clock.now()
    registry.recordFailure(id, { stage: 'connect', message: 'refused' })
    clock.advance(1000)
    registry.recordFailure(id, { stage: 'call', message: 'broke off' })
    expect(registry.findById(id)).toMatchObject({
      status: 'error',
      revision: 1,
      lastFailure: { stage: 'call', message: 'broke off', atMs: begin + 1000, sinceMs: begin },
    })
    expect((await load()).findById(id)?.status).toBe('registered')
    await registry.flush()
    expect((await load()).findById(id)).toEqual(registry.findById(id))
    registry.recordSuccess(id)
    expect(registry.findById(id)?.status).toBe('active')
    await registry.close()
    expect((await load()).findById(id)?.status).toBe('active')
    await registry.setStatus(id, 'inactive')
    registry.recordSuccess(id)
    registry.recordFailure(id, { stage: 'call', message: 'x' })
    expect(registry.findById(id)?.status).toBe('inactive')
    expect((await registry.setStatus(id, 'active')).status).toBe('active')
    registry.recordFailure('srv_unknown', { stage: 'call', message: 'x' })
  })

  test('refuses an account that is not there, and more servers than its limit', async () => {
    const registry = await load(sealWith(1), { accountExists: (id: string) => id === 'acc_1', maxServers: 1 })
    await expect(
      registry.create(http('nobody-pays', { access: 'public', account: 'acc_2' }), admin),
    ).rejects.toMatchObject({ fields: [{ field: '/account' }] })
    await expect(registry.create(http('one-more'), admin)).rejects.toMatchObject({ code: 'unprocessable' })
  })
})
