// Guarantees for a legacy client of an aggregate: the bridge between the eras finds in it a modern server like any other.
import { expect, test } from 'vitest'
import { LegacyOverModern } from '../../src/bridges/legacy-over-modern/bridge.ts'
import { Bench, tool } from '../harness/aggregate.ts'
import { Heard, sendTo } from '../harness/modern-calls.ts'
import { until } from '../harness/until.ts'

test('a legacy client initializes, lists, calls, is asked for input, and hears of changes', async () => {
  const bench = new Bench({ coalesceMs: 10 })
  const member = bench.add('a', ({ method, params }, side) => {
    if (method === 'server/discover')
      return { capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } }
    if (method === 'tools/list') return { tools: [tool('ask')], ttlMs: 0, cacheScope: 'private' }
    if (method === 'subscriptions/listen') {
      const { notifications } = params ?? {}
      const message = {
        jsonrpc: '2.0' as const,
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications },
      }
      side.sink.head({ status: 200, contentType: 'event-stream' })
      side.sink.message({ message, bytes: Buffer.from(JSON.stringify(message)) })
      return undefined
    }
    if (params?.['inputResponses'])
      return { resultType: 'complete', content: [{ type: 'resource_link', uri: 'u://1', name: 'one' }] }
    const question = {
      method: 'elicitation/create',
      params: { mode: 'form', message: '?', requestedSchema: { type: 'object', properties: {} } },
    }
    return { resultType: 'input_required', requestState: 's', inputRequests: { k: question } }
  })
  const aggregate = bench.way()
  const discover = await bench.result('server/discover')
  const bridge = new LegacyOverModern({
    way: () => aggregate,
    discover,
    toolSchema: () => Promise.resolve(undefined),
  })
  const ask = (id: number, method: string, params: object = {}) =>
    sendTo(bridge, { jsonrpc: '2.0', id, method, params: { ...params } })
  const client = { capabilities: { elicitation: {} }, clientInfo: { name: 'c', version: '1' } }
  const initialized = await ask(1, 'initialize', { protocolVersion: '2025-11-25', ...client }).answer()
  expect(initialized.result).toMatchObject({
    protocolVersion: '2025-11-25',
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
    serverInfo: { name: 'tollbridge', version: '1.2.3' },
  })
  const { result: list } = await ask(2, 'tools/list').answer()
  expect(list?.['tools']).toMatchObject([{ name: 'a__ask' }])

  const call = ask(3, 'tools/call', { name: 'a__ask', arguments: {} })
  const question = await call.until(({ method }) => method === 'elicitation/create')
  const { id = null } = question
  sendTo(bridge, { jsonrpc: '2.0', id, result: { action: 'accept', content: {} } })
  expect((await call.answer()).result?.['content']).toMatchObject([{ type: 'resource_link', uri: 'a+u://1' }])
  expect(member.of('tools/call').map(({ request }) => request.params?.['name'])).toEqual(['ask', 'ask'])
  expect((await ask(4, 'tools/call', { name: 'b__ask' }).answer()).error?.code).toBe(-32602)

  const stream = new Heard()
  const listening = bridge.listen({}, stream)
  await until(() => member.of('subscriptions/listen').length === 1)
  expect((await ask(5, 'resources/subscribe', { uri: 'a+u://1' }).answer()).result).toEqual({})
  const side = member.of('subscriptions/listen').at(-1)
  expect(side?.request.params?.['notifications']).toMatchObject({ resourceSubscriptions: ['u://1'] })
  const update = {
    jsonrpc: '2.0' as const,
    method: 'notifications/resources/updated',
    params: { uri: 'u://1' },
  }
  side?.sink.message({ message: update, bytes: Buffer.from(JSON.stringify(update)) })
  const heard = await stream.until(({ method }) => method === 'notifications/resources/updated')
  expect(heard.params).toEqual({ uri: 'a+u://1' })
  listening.abort()
  await bridge.close()
  expect(aggregate.sizes).toEqual({ fanOuts: 0, visits: 0, listens: 0, legs: 0 })
})
