// Guarantees of an aggregate's subscription: acknowledged once, changes told as one, and a member that breaks is tried again.
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'
import { Bench, down, methodNotFound } from '../harness/aggregate.ts'
import type { Heard, ScriptedWay, Script, ServerSide } from '../harness/modern-calls.ts'
import { until } from '../harness/until.ts'

const idKey = 'io.modelcontextprotocol/subscriptionId'
const silence: Script = () => undefined

/** A member that agrees to what `honours` makes of the filter. */
const agrees =
  (honours: (filter: Record<string, unknown>) => object = (filter) => filter): Script =>
  ({ method, params }, side) => {
    if (method !== 'subscriptions/listen') return methodNotFound
    side.sink.head({ status: 200, contentType: 'event-stream' })
    const notifications = honours(params?.['notifications'] as Record<string, unknown>)
    tell(side, 'notifications/subscriptions/acknowledged', { notifications })
    return undefined
  }

function tell(side: ServerSide | undefined, method: string, params: object = {}): void {
  if (!side || side.aborted) throw new Error('nobody listens')
  const message: JsonRpcMessage = {
    jsonrpc: '2.0',
    method,
    params: { ...params, _meta: { [idKey]: side.request.id } },
  }
  side.sink.message({ message, bytes: Buffer.from(JSON.stringify(message)) })
}

const toolsChanged = 'notifications/tools/list_changed'
const promptsChanged = 'notifications/prompts/list_changed'
const updated = 'notifications/resources/updated'

const newest = (way: ScriptedWay): ServerSide | undefined => way.of('subscriptions/listen').at(-1)
const wanted = (way: ScriptedWay) => newest(way)?.request.params?.['notifications']
const acknowledged = (heard: Heard) =>
  heard.until(({ method }) => method === 'notifications/subscriptions/acknowledged')
const count = (heard: Heard, method: string): number =>
  heard.messages.filter((message) => message.method === method).length
const all = { toolsListChanged: true, promptsListChanged: true }

describe('a subscription', () => {
  test('is shared out by member, acknowledged once with what is honoured, all under the caller’s own id', async () => {
    const bench = new Bench()
    const a = bench.add('a', agrees())
    const b = bench.add(
      'b',
      agrees(() => ({ toolsListChanged: true })),
    )
    const c = bench.add('c', () => methodNotFound)
    const uris = ['a+u://1', 'a+u://2', 'b+u://1', 'x+u://1', 'u://1']
    const heard = bench.ask('subscriptions/listen', {
      notifications: { toolsListChanged: true, resourceSubscriptions: uris, taskIds: ['t'] },
    })
    const first = await acknowledged(heard)
    expect(wanted(a)).toEqual({ toolsListChanged: true, resourceSubscriptions: ['u://1', 'u://2'] })
    expect(wanted(b)).toEqual({ toolsListChanged: true, resourceSubscriptions: ['u://1'] })
    expect(wanted(c)).toEqual({ toolsListChanged: true })
    expect(first.params).toEqual({
      notifications: { toolsListChanged: true, resourceSubscriptions: ['a+u://1', 'a+u://2'] },
      _meta: { [idKey]: 'mine' },
    })
    tell(newest(a), updated, { uri: 'u://2' })
    tell(newest(a), updated, { uri: 'u://2/below' })
    tell(newest(a), updated, { uri: 'u://never-asked-for' })
    await until(() => count(heard, updated) >= 2)
    expect(heard.messages.slice(1).map(({ params }) => params)).toEqual([
      { uri: 'a+u://2', _meta: { [idKey]: 'mine' } },
      { uri: 'a+u://2/below', _meta: { [idKey]: 'mine' } },
    ])
    expect(count(heard, 'notifications/subscriptions/acknowledged')).toBe(1)
    heard.exchange?.abort()
  })

  test('asks only members that it is about', async () => {
    const bench = new Bench()
    bench.add('a', agrees())
    const b = bench.add('b', agrees())
    const heard = bench.ask('subscriptions/listen', { notifications: { resourceSubscriptions: ['a+u://1'] } })
    await acknowledged(heard)
    expect(b.sent).toEqual([])
    heard.exchange?.abort()
  })

  test('with a filter that is none is refused', async () => {
    const bench = new Bench({ maxUris: 2 })
    for (const notifications of [
      'x',
      { resourceSubscriptions: [1] },
      { resourceSubscriptions: ['a', 'b', 'c'] },
    ])
      expect((await bench.error('subscriptions/listen', { notifications }))?.code).toBe(-32602)
  })

  test('without members is acknowledged all the same, for some may come', async () => {
    const bench = new Bench()
    const heard = bench.ask('subscriptions/listen', { notifications: all })
    expect((await acknowledged(heard)).params?.['notifications']).toEqual(all)
    bench.add('a', agrees())
    bench.announce()
    await heard.until(({ method }) => method === promptsChanged)
    expect(count(heard, toolsChanged)).toBe(1)
    heard.exchange?.abort()
  })

  test('is acknowledged in time where a member hangs, whose resources may be heard of yet', async () => {
    const bench = new Bench({ acknowledgeMs: 100 })
    bench.add('a', agrees())
    const hung = bench.add('hung', silence)
    const begin = performance.now()
    const heard = bench.ask('subscriptions/listen', {
      notifications: { resourceSubscriptions: ['a+u://1', 'hung+u://1'] },
    })
    const { params } = await acknowledged(heard)
    expect(performance.now() - begin).toBeLessThan(400)
    expect(params?.['notifications']).toEqual({ resourceSubscriptions: ['a+u://1', 'hung+u://1'] })
    hung.script = agrees()
    const { params: update } = await heard.until(({ method }) => method === updated)
    expect(update?.['uri']).toBe('hung+u://1')
    heard.exchange?.abort()
  })
})

describe('changes', () => {
  test('of several members within a moment are told once for each kind', async () => {
    const bench = new Bench({ coalesceMs: 80 })
    const ways = ['a', 'b', 'c'].map((name) => bench.add(name, agrees()))
    const heard = bench.ask('subscriptions/listen', { notifications: all })
    await acknowledged(heard)
    for (const way of ways)
      for (let again = 0; again < 5; again++) {
        tell(newest(way), toolsChanged)
        tell(newest(way), promptsChanged)
        tell(newest(way), 'notifications/resources/list_changed')
      }
    await heard.until(({ method }) => method === promptsChanged)
    await sleep(120)
    expect([toolsChanged, promptsChanged].map((method) => count(heard, method))).toEqual([1, 1])
    expect(heard.messages).toHaveLength(3)
    expect(heard.messages.at(-1)?.params).toEqual({ _meta: { [idKey]: 'mine' } })
    heard.exchange?.abort()
  })

  test('that never cease are told all the same', async () => {
    const bench = new Bench({ coalesceMs: 40 })
    const way = bench.add('a', agrees())
    const heard = bench.ask('subscriptions/listen', { notifications: all })
    await acknowledged(heard)
    const flood = setInterval(() => tell(newest(way), toolsChanged), 5)
    await until(() => count(heard, toolsChanged) >= 3)
    clearInterval(flood)
    heard.exchange?.abort()
  })

  test('make what was remembered of the member’s list outdated', async () => {
    const bench = new Bench({ pageSize: 1 })
    const way = bench.add('a', (request, side) =>
      request.method === 'tools/list'
        ? { tools: [{ name: '1' }, { name: '2' }], ttlMs: 0, cacheScope: 'private' }
        : agrees()(request, side),
    )
    const heard = bench.ask('subscriptions/listen', { notifications: all })
    await acknowledged(heard)
    const { nextCursor: cursor } = await bench.result('tools/list')
    tell(newest(way), toolsChanged)
    await bench.result('tools/list', { cursor })
    expect(way.of('tools/list')).toHaveLength(2)
    heard.exchange?.abort()
  })

  test('wait for a caller that cannot keep up', async () => {
    const bench = new Bench({ coalesceMs: 20 })
    const way = bench.add('a', agrees())
    const heard = bench.ask('subscriptions/listen', {
      notifications: { ...all, resourceSubscriptions: ['a+u://1'] },
    })
    await acknowledged(heard)
    heard.exchange?.pause()
    tell(newest(way), toolsChanged)
    tell(newest(way), updated, { uri: 'u://1' })
    tell(newest(way), updated, { uri: 'u://1' })
    await sleep(60)
    expect(heard.messages).toHaveLength(1)
    heard.exchange?.resume()
    await heard.until(({ method }) => method === toolsChanged)
    expect(count(heard, updated)).toBe(1)
    heard.exchange?.abort()
  })

  test('are told when members come, go, or are shown differently, and not when nothing is different', async () => {
    const bench = new Bench({ coalesceMs: 20 })
    const a = bench.add('a', agrees())
    const heard = bench.ask('subscriptions/listen', { notifications: { toolsListChanged: true } })
    await acknowledged(heard)
    const after = async (change: () => void): Promise<number> => {
      const before = count(heard, toolsChanged)
      change()
      bench.announce()
      await sleep(60)
      return count(heard, toolsChanged) - before
    }
    expect(await after(() => {})).toBe(0)
    expect(await after(() => void bench.add('b', agrees()))).toBe(1)
    expect(
      await after(() => (bench.members = bench.members.map((member) => ({ ...member, exclude: ['x'] })))),
    ).toBe(1)
    expect(await after(() => bench.remove('a'))).toBe(1)
    expect(newest(a)?.aborted).toBe(true)
    const [b] = bench.members
    if (b)
      expect(
        await after(() => (bench.members = [{ ...b, server: { ...b.server, status: 'inactive' } }])),
      ).toBe(1)
    expect(newest(bench.ways.get('b') as ScriptedWay)?.aborted).toBe(true)
    heard.exchange?.abort()
  })
})

describe('a member', () => {
  test('that breaks is listened to again after a growing pause, and what may have changed is told', async () => {
    const bench = new Bench({ coalesceMs: 10, firstPauseMs: 20, longestPauseMs: 40 })
    const way = bench.add('a', agrees())
    const heard = bench.ask('subscriptions/listen', {
      notifications: { toolsListChanged: true, resourceSubscriptions: ['a+u://1'] },
    })
    await acknowledged(heard)
    way.script = down('down')
    newest(way)?.sink.end()
    await until(() => way.of('subscriptions/listen').length >= 4)
    way.script = agrees()
    await heard.until(({ method }) => method === toolsChanged)
    expect(heard.messages.some(({ params }) => params?.['uri'] === 'a+u://1')).toBe(true)
    const tries = way.of('subscriptions/listen').length
    await sleep(100)
    expect(way.of('subscriptions/listen').length).toBe(tries)
    expect(new Set(way.of('subscriptions/listen').map(({ request }) => request.id)).size).toBe(tries)
    expect(count(heard, 'notifications/subscriptions/acknowledged')).toBe(1)
    heard.exchange?.abort()
  })

  test('that has nothing to tell is let go and not asked again', async () => {
    const bench = new Bench({ firstPauseMs: 5 })
    const nothing = bench.add(
      'a',
      agrees(() => ({})),
    )
    const unable = bench.add('b', () => methodNotFound)
    const heard = bench.ask('subscriptions/listen', { notifications: all })
    await acknowledged(heard)
    await sleep(50)
    expect([nothing, unable].map((way) => way.sent.length)).toEqual([1, 1])
    expect(newest(nothing)?.aborted).toBe(true)
    heard.exchange?.abort()
  })

  test.each(['before', 'after'])(
    'is let go %s the acknowledgement when the caller gives up, and nothing is left',
    async (when) => {
      const bench = new Bench({ acknowledgeMs: 60_000 })
      const ways = ['a', 'b'].map((name) => bench.add(name, when === 'before' ? silence : agrees()))
      const broken = bench.add('c', down('down'))
      const way = bench.way()
      const heard = bench.ask('subscriptions/listen', { notifications: all }, way)
      await until(() => broken.sent.length > 1)
      if (when === 'after') await acknowledged(heard)
      expect(way.sizes).toMatchObject({ listens: 1, legs: 3 })
      expect(bench.watchers.size).toBe(1)
      heard.exchange?.abort()
      heard.exchange?.abort()
      expect(ways.map((one) => newest(one)?.aborted)).toEqual([true, true])
      expect(way.sizes).toEqual({ fanOuts: 0, visits: 0, listens: 0, legs: 0 })
      expect(bench.watchers.size).toBe(0)
      const tries = broken.sent.length
      await sleep(120)
      expect(broken.sent.length).toBe(tries)
    },
  )
})
