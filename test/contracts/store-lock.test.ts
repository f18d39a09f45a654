// Who may work on a store at the same time: gateways with each other on PostgreSQL, a rebuild with nobody.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLog as log } from '../../src/base/log.ts'
import { lockStore } from '../../src/db/store-lock.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'store-lock-'))
let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(async () => {
  await cluster.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

const refused = { code: 'store_refused' }

test('on PostgreSQL gateways share a database, and none runs beside a rebuild', async () => {
  const place = { dataDir, databaseUrl: cluster.url(), log }
  const [one, two] = [await lockStore(place, 'shared'), await lockStore(place, 'shared')]
  await one()
  await expect(lockStore(place, 'alone')).rejects.toMatchObject(refused)
  await two()
  const alone = await lockStore(place, 'alone')
  await expect(lockStore(place, 'shared')).rejects.toMatchObject(refused)
  await expect(lockStore(place, 'alone')).rejects.toMatchObject(refused)
  await alone()
})

test('a gateway whose database went away takes its lock again when that is back', async () => {
  const place = { dataDir, databaseUrl: cluster.url(), log }
  const gateway = await lockStore(place, 'shared')
  await cluster.halt()
  await cluster.resume()
  const deadline = Date.now() + 20_000
  for (;;) {
    const unlock = await lockStore(place, 'alone').catch((error: unknown) => {
      expect(error).toMatchObject(refused)
    })
    if (!unlock) break
    await unlock()
    expect(Date.now()).toBeLessThan(deadline)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await gateway()
  await (
    await lockStore(place, 'alone')
  )()
})

test.runIf(process.platform === 'linux')('a data folder has one at a time', async () => {
  const place = { dataDir, databaseUrl: undefined, log }
  const gateway = await lockStore(place, 'shared')
  await expect(lockStore(place, 'alone')).rejects.toMatchObject(refused)
  await gateway()
  await (
    await lockStore(place, 'alone')
  )()
})
