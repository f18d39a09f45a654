// Open streams as people see them: whose they are, how many there are, and what closing one by hand does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { metric } from '../faults/rig.ts'
import { recordingIo } from '../harness/cli.ts'
import { ApiCaller } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'
import { eras, openStream, startBench, type Bench, type Era, type OpenStream } from '../trust/bench.ts'
import type { Reply } from '../upstreams/replies.ts'

let bench: Bench
let auditor: ApiCaller

const silent: Reply = ({ response }) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
}

beforeAll(async () => {
  bench = await startBench()
  bench.upstream.on('subscriptions/listen', silent)
  auditor = await bench.gateway.member('audrey', { roles: ['auditor'] })
  await bench.gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'streams',
    match: { method: 'stream' },
    currency: 'USD',
    price: { perCall: '0.5' },
  })
})
afterAll(() => bench.stop())

const list = (caller: ApiCaller) => caller.all('/api/v1/streams')

/** What the recorder answers is silent in both eras. */
async function listen(caller: ApiCaller, era: Era): Promise<OpenStream> {
  const client = bench.client(caller)
  if (era === 'legacy') {
    await client.open()
    return client.get()
  }
  const { body, head } = await client.prepare('modern', { method: 'subscriptions/listen' })
  const headers = { ...client.own(), ...head }
  return openStream(client.url, { method: 'POST', path: client.path, headers, body })
}

describe.each(eras)('an open %s stream', (era) => {
  const method = era === 'modern' ? 'subscriptions/listen' : 'stream'

  test('is seen and counted while it is open, by its user and by who sees all', async () => {
    const stream = await listen(bench.a, era)
    const [seen] = await list(bench.a)
    expect(seen).toMatchObject({
      method,
      userId: bench.a.userId,
      transport: 'streamable-http',
      clientIp: '127.0.0.1',
    })
    expect(seen?.sessionId === undefined).toBe(era === 'modern')
    expect(Math.abs(Date.parse(String(seen?.openedAt)) - Date.now())).toBeLessThan(60_000)
    expect([await list(auditor), await list(bench.gateway.admin), await list(bench.b)]).toEqual([
      [seen],
      [seen],
      [],
    ])
    expect(await metric(bench.gateway, 'tollbridge_streams')).toBe(1)
    stream.close()
    await until(async () => (await list(bench.a)).length === 0, 'its end')
    expect(await metric(bench.gateway, 'tollbridge_streams')).toBe(0)
  })

  test('is closed by its user or an administrator alone, and recorded under its id', async () => {
    const streams = [await listen(bench.a, era), await listen(bench.a, era)]
    const [newer, older] = await list(bench.a)
    const path = (id: unknown): string => `/api/v1/streams/${String(id)}`
    expect((await bench.b.call('DELETE', path(newer?.id))).status).toBe(404)
    expect((await auditor.call('DELETE', path(newer?.id))).status).toBe(403)
    expect((await list(bench.a)).length).toBe(2)
    await bench.a.ok('DELETE', path(newer?.id))
    await bench.gateway.admin.ok('DELETE', path(older?.id))
    await until(() => streams.every((stream) => stream.isClosed()), 'the ends of both')
    expect(await list(bench.a)).toEqual([])
    for (const each of [newer, older])
      expect(await bench.a.ok('GET', `/api/v1/billing/usage/${String(each?.id)}`)).toMatchObject({
        method,
        outcome: 'success',
        cost: era === 'legacy' ? '0.5' : '0',
      })
    expect((await bench.a.call('DELETE', path(newer?.id))).status).toBe(404)
    const said = streams.map((stream) => stream.text().includes('50309'))
    expect(said).toEqual(era === 'modern' ? [true, true] : [false, false])
  })
})

test('the command line lists and closes them', async () => {
  const stream = await listen(bench.a, 'legacy')
  const [seen] = await list(bench.a)
  const { io, out, talk } = recordingIo({})
  const access = ['--url', bench.gateway.url, '--key', bench.gateway.admin.credential ?? '']
  expect(await runCli(['stream', 'ls', ...access], io)).toBe(0)
  expect(out.join('\n')).toContain(`${String(seen?.id)}  stream`)
  expect(await runCli(['stream', 'close', String(seen?.id), '--yes', ...access], io)).toBe(0)
  expect(talk.at(-1)).toBe(`Closed ${String(seen?.id)}`)
  await until(() => stream.isClosed(), 'its end')
})

test('a key that is limited to other servers sees and closes none', async () => {
  const stream = await listen(bench.a, 'modern')
  const [seen] = await list(bench.a)
  const { key } = await bench.a.ok('POST', '/api/v1/keys', { name: 'narrow', servers: ['another'] })
  const narrow = new ApiCaller(bench.gateway.url, key)
  expect(await list(narrow)).toEqual([])
  expect((await narrow.call('DELETE', `/api/v1/streams/${String(seen?.id)}`)).status).toBe(404)
  stream.close()
})

test('more than a page of them come newest first', async () => {
  const streams = await Promise.all(Array.from({ length: 3 }, () => listen(bench.a, 'modern')))
  await until(async () => (await list(bench.a)).length === 3, 'all three')
  const first = await bench.a.ok('GET', '/api/v1/streams?limit=2')
  const second = await bench.a.ok('GET', `/api/v1/streams?limit=2&cursor=${String(first.nextCursor)}`)
  const ids = [...first.items, ...second.items].map(({ id }) => id)
  expect([ids.length, second.nextCursor]).toEqual([3, null])
  expect(ids.toSorted((one, other) => (one > other ? -1 : 1))).toEqual(ids)
  expect((await bench.a.call('GET', '/api/v1/streams?cursor=x')).status).toBe(400)
  for (const stream of streams) stream.close()
})
