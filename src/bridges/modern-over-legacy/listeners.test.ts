// Guarantees of subscriptions and log messages over a legacy conversation.
import { afterEach, describe, expect, test } from 'vitest'
import {
  asking,
  both,
  bridgeOver,
  closeBridges,
  during,
  finishConnection,
  http,
  stdio,
} from '../../../test/harness/modern-bridge.ts'
import { modernRequest, sendTo, type ServerSide } from '../../../test/harness/modern-calls.ts'
import { until } from '../../../test/harness/until.ts'
import { ManualClock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

afterEach(closeBridges)

describe.each(both)('a conversation %s', (_, make) => {
  test('sets the log level that is wanted, and brings logs to the only call that asked for them', async () => {
    const way = make()
    const sides: ServerSide[] = []
    way.script = (message, side) => (message.method === 'tools/call' ? void sides.push(side) : {})
    const { bridge } = bridgeOver(way)
    const logs = { meta: { 'io.modelcontextprotocol/logLevel': 'warning' } }
    const log = (level: string): JsonRpcMessage => ({
      jsonrpc: '2.0',
      method: 'notifications/message',
      params: { level, data: level },
    })
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, logs))
    await until(() => sides.length === 1)
    expect(way.of('logging/setLevel').map(({ request }) => request.params)).toEqual([{ level: 'warning' }])
    const [side] = sides
    if (!side) return
    if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
    during(way, side, log('info'))
    during(way, side, log('error'))
    finishConnection(way, side, {})
    await heard.answer()
    expect(heard.messages.map(({ params }) => params?.['level'])).toEqual(['error', undefined])
    // Nobody asks: nobody hears. The level stays as it is.
    const quiet = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await until(() => sides.length === 2)
    const [, next] = sides
    if (!next) return
    if (!way.multiplexed) next.sink.head({ status: 200, contentType: 'event-stream' })
    during(way, next, log('emergency'))
    finishConnection(way, next, {})
    await quiet.answer()
    expect(quiet.messages).toHaveLength(1)
    expect(way.of('logging/setLevel')).toHaveLength(1)
  })

  test('acknowledges a subscription first, and lets each listener hear what it asked for', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    const listen = (notifications: object, id: number) =>
      sendTo(bridge, modernRequest('subscriptions/listen', { notifications }, { id }))
    const tools = listen({ toolsListChanged: true, promptsListChanged: true }, 7)
    const files = [8, 9].map((id) => listen({ resourceSubscriptions: ['file:///a'] }, id))
    const heard = [tools, ...files]
    const firsts = await Promise.all(heard.map((one) => one.until(() => true)))
    expect(firsts.map(({ params }) => params?.['notifications'])).toEqual([
      { toolsListChanged: true },
      { resourceSubscriptions: ['file:///a'] },
      { resourceSubscriptions: ['file:///a'] },
    ])
    expect(way.of('resources/subscribe')).toHaveLength(1)
    expect(way.streams).toHaveLength(1)
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/prompts/list_changed' })
    const params = { uri: 'file:///a' }
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/resources/updated', params })
    expect(tools.messages.map(({ method }) => method)).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/tools/list_changed',
    ])
    expect(files.map(({ messages }) => messages[1]?.params)).toEqual([
      { ...params, _meta: { 'io.modelcontextprotocol/subscriptionId': 8 } },
      { ...params, _meta: { 'io.modelcontextprotocol/subscriptionId': 9 } },
    ])
    expect(bridge.counts()).toMatchObject({ listeners: 3, subscriptions: 1 })
    files[0]?.exchange?.abort()
    expect(way.of('resources/unsubscribe')).toHaveLength(0)
    files[1]?.exchange?.abort()
    await until(() => way.of('resources/unsubscribe').length === 1)
    await until(() => bridge.counts().subscriptions === 0)
    await bridge.close()
    expect(await tools.answer()).toMatchObject({ id: 7, result: { resultType: 'complete' } })
  })

  test('keeps one of each change for a listener that does not read', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    const heard = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await heard.until(() => true)
    heard.exchange?.pause()
    for (let i = 0; i < 100; i++)
      way.say(undefined, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    expect(heard.messages).toHaveLength(1)
    heard.exchange?.resume()
    expect(heard.messages).toHaveLength(2)
  })
})

describe('over HTTP', () => {
  test('a server without a GET stream honours no subscription, and is served all the same', async () => {
    const way = http()
    way.streamStatus = 405
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['a'] }
    const heard = sendTo(bridge, modernRequest('subscriptions/listen', { notifications }))
    expect((await heard.until(() => true)).params).toMatchObject({ notifications: {} })
    expect(way.of('resources/subscribe')).toEqual([])
    await sendTo(bridge, modernRequest('tools/list')).answer()
  })

  test('a GET stream that breaks off is opened again where it was, and what may be missed is announced', async () => {
    const way = http()
    const { bridge } = bridgeOver(way)
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['a'] }
    const heard = sendTo(bridge, modernRequest('subscriptions/listen', { notifications }))
    await heard.until(() => true)
    const [stream] = way.streams
    const frame = Buffer.from('id: e-5\ndata: {}\n\n')
    stream?.sink.message({ message: undefined, bytes: Buffer.alloc(0), frame })
    stream?.sink.end()
    await heard.until(({ method }) => method === 'notifications/resources/updated')
    expect(way.streams[1]?.headers['last-event-id']).toBe('e-5')
    expect(heard.messages.map(({ method }) => method)).toContain('notifications/tools/list_changed')
  })

  test('the GET stream is closed with the last listener', async () => {
    const way = http()
    const { bridge } = bridgeOver(way)
    const heard = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await heard.until(() => true)
    heard.exchange?.abort()
    expect(way.streams.map(({ aborted }) => aborted)).toEqual([true])
  })
})

describe('over a connection', () => {
  test('that cannot be opened again ends the subscriptions as a server does that closes', async () => {
    const way = stdio()
    const clock = new ManualClock()
    let opens = 0
    const { bridge } = bridgeOver(way, {
      clock,
      limits: { maxReopenings: 2 },
      open: () => {
        clock.advance(60_000)
        if (opens++ > 0) throw new GatewayError('upstream_unavailable')
        return way
      },
    })
    const heard = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await heard.until(() => true)
    way.streams[0]?.sink.fail({ stage: 'process', message: 'gone', sent: true, gone: true })
    expect(await heard.answer()).toMatchObject({ id: 1, result: { resultType: 'complete' } })
    expect(opens).toBeGreaterThan(1)
  })
})
