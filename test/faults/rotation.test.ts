// The keys of a gateway replaced while it works: no call fails, nothing stored is lost, and nothing old is left.
import { DatabaseSync } from 'node:sqlite'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { adminPassword, ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { startReceiver } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'
import {
  cleanUp,
  client,
  expectClean,
  furnish,
  newFolder,
  onEnd,
  printedSeed,
  seeded,
  startGateway,
  startUpstream,
  toolCalls,
} from './rig.ts'

afterEach(cleanUp)

const sentinel = 'S3NTINEL-upstream-credential'
const more = { auth: { type: 'bearer', token: sentinel } }

/** All text that the store holds, whatever the table. */
function textOf(data: string): string {
  const db = new DatabaseSync(join(data, 'tollbridge.db'), { readOnly: true })
  try {
    const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    return tables.flatMap(({ name }) => rowsOf(db, String(name))).join('\n')
  } finally {
    db.close()
  }
}

function rowsOf(db: DatabaseSync, table: string): string[] {
  const statement = db.prepare(`SELECT * FROM "${table}"`)
  statement.setReadBigInts(true)
  return statement.all().map((row) => Object.values(row).map(String).join(' '))
}

const sealKeys = (text: string): string[] => [...new Set(text.match(/\bv1\.[0-9a-f]{12}\./g))]

const rotate = (gateway: TestGateway, body: object = {}) =>
  gateway.admin.ok('POST', '/api/v1/secrets/rotate', body)

test('rotated under load: every call is answered and billed, credentials and webhooks go on, no old text is left', async () => {
  const upstream = await startUpstream()
  const data = newFolder()
  const gateway = await startGateway({ data })
  const { key } = await furnish(gateway, upstream.url, { more })
  const to = await startReceiver()
  onEnd(() => to.stop())
  await gateway.admin.ok('POST', '/api/v1/billing/webhooks', { url: to.url, kinds: ['call.settled'] })
  const secretBefore = readFileSync(join(data, 'secret.key'), 'utf8').trim()

  const callers = [client(gateway, key, 'modern'), await client(gateway, key, 'legacy').open()]
  const state = { running: true, calls: 0 }
  const load = callers.map(async (caller) => {
    while (state.running) {
      expect((await caller.call()).status).toBe(200)
      state.calls++
    }
  })
  onEnd(() => (state.running = false))
  const ended = Promise.all(load)
  ended.catch(() => {})
  await until(() => state.calls > 20, 'the load runs')
  const former: string[] = []
  for (let round = 0; round < 5; round++) {
    former.push(...sealKeys(textOf(data)))
    const done = await rotate(gateway, { compromised: true })
    expect(done).toMatchObject({ masterReplaced: true, formerForgotten: true })
    // The access token of before is refused now; its login is not.
    expect((await gateway.admin.call('GET', '/api/v1/me')).status).toBe(401)
    await gateway.admin.login('admin', adminPassword)
    const calls = state.calls
    await until(() => state.calls > calls + 10, 'calls go on')
  }
  state.running = false
  await ended
  await expectClean(gateway)
  expect((await toolCalls(gateway)).length).toBe(state.calls)
  expect(new Set(upstream.calls().map(({ headers }) => headers.authorization))).toEqual(
    new Set([`Bearer ${sentinel}`]),
  )
  await until(() => to.received.length > 0, 'webhooks are sent')
  const left = sealKeys(textOf(data))
  expect(former.filter((each) => left.includes(each))).toEqual([])
  expect(readFileSync(join(data, 'secret.key'), 'utf8')).not.toContain(secretBefore)

  await gateway.stop()
  const again = await startGateway({ data })
  expect((await client(again, key, 'modern').call()).status).toBe(200)
  expect(upstream.calls().at(-1)?.headers.authorization).toBe(`Bearer ${sentinel}`)
})

test('killed in the middle of a rotation, again and again, it starts with everything it had', async () => {
  const random = seeded(printedSeed('rotation kills'))
  const upstream = await startUpstream()
  const data = newFolder()
  let key = ''
  for (let round = 0; round < 6; round++) {
    const gateway = await startGateway({ data })
    if (round === 0) ({ key } = await furnish(gateway, upstream.url, { more }))
    expect((await client(gateway, key, 'modern').call()).status).toBe(200)
    expect(upstream.calls().at(-1)?.headers.authorization).toBe(`Bearer ${sentinel}`)
    const rotating = rotate(gateway).catch(() => undefined)
    await sleep(random(0, 30))
    await gateway.stop('SIGKILL')
    await rotating
  }
  const gateway = await startGateway({ data })
  expect((await client(gateway, key, 'modern').call()).status).toBe(200)
  await expectClean(gateway)
})

test('a secret of the environment is replaced by giving both once', async () => {
  const data = newFolder()
  const [one, two] = ['a1b2c3d4e5f60718293a4b5c6d7e8f90', '0f9e8d7c6b5a493827160f5e4d3c2b1a'].map(
    (half) => half + half.split('').toReversed().join(''),
  )
  const upstream = await startUpstream()
  const secretsOf = (...secrets: (string | undefined)[]) => ({
    TOLLBRIDGE_SECRET_KEY: secrets[0] ?? '',
    ...(secrets[1] !== undefined && { TOLLBRIDGE_PREVIOUS_SECRET_KEY: secrets[1] }),
  })
  const first = await startGateway({ data, env: secretsOf(one) })
  const { key } = await furnish(first, upstream.url, { more })
  expect(await rotate(first)).toMatchObject({ masterReplaced: false })
  await first.stop()
  await (await startGateway({ data, env: secretsOf(two, one) })).stop()
  await expect(startGateway({ data, env: secretsOf(one) })).rejects.toThrow('TOLLBRIDGE_PREVIOUS_SECRET_KEY')
  const last = await startGateway({ data, env: secretsOf(two) })
  expect((await client(last, key, 'modern').call()).status).toBe(200)
  expect(upstream.calls().at(-1)?.headers.authorization).toBe(`Bearer ${sentinel}`)
})

test('an API key may not replace the keys', async () => {
  const gateway = await startGateway()
  const { key } = await gateway.admin.ok('POST', '/api/v1/keys', { name: 'k' })
  const caller = new ApiCaller(gateway.url, key)
  expect((await caller.call('POST', '/api/v1/secrets/rotate', {})).status).toBe(403)
})
