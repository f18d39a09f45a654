// Guarantees of the bridge from modern callers to a legacy server, against a scripted server.
import { afterEach, describe, expect, test } from 'vitest'
import {
  answersOf,
  asked,
  asking,
  askingServer,
  both,
  bridgeOver,
  closeBridges,
  during,
  finishConnection,
} from '../../../test/harness/modern-bridge.ts'
import { modernRequest, sendTo, type ServerSide } from '../../../test/harness/modern-calls.ts'
import { until } from '../../../test/harness/until.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

afterEach(closeBridges)

describe.each(both)('a conversation %s', (_, make) => {
  test('is opened by its first use, once for everybody who waits, and answers server/discover itself', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    expect(way.sent).toEqual([])
    const heard = [1, 2, 3].map((id) => sendTo(bridge, modernRequest('server/discover', {}, { id })))
    const answers = await Promise.all(heard.map((one) => one.answer()))
    expect(way.of('initialize')).toHaveLength(1)
    expect(way.of('notifications/initialized')).toHaveLength(1)
    expect(way.of('server/discover')).toHaveLength(0)
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3])
    expect(answers[0]?.result).toMatchObject({ supportedVersions: ['2026-07-28'], cacheScope: 'private' })
    expect(way.of('initialize')[0]?.request.params).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    })
  })

  test('carries callers with the same ids, each to its own answer', async () => {
    const way = make()
    way.script = ({ params }) => ({ echoed: params?.['name'] })
    const { bridge } = bridgeOver(way)
    const heard = ['a', 'b', 'c'].map((name) =>
      sendTo(bridge, modernRequest('tools/call', { name }, { id: 5 })),
    )
    const answers = await Promise.all(heard.map((one) => one.answer()))
    expect(answers.map(({ id, result }) => [id, result?.['echoed']])).toEqual([
      [5, 'a'],
      [5, 'b'],
      [5, 'c'],
    ])
    expect(new Set(way.of('tools/call').map(({ request }) => request.id)).size).toBe(3)
  })

  test('changes no number that it has to write again, in either direction', async () => {
    const way = make()
    const numbers = '{"a":12345678901234567890,"b":1.0,"c":-0,"d":1e2}'
    const answerText = (id: unknown) =>
      `{"jsonrpc":"2.0","id":${String(id)},"result":{"structuredContent":${numbers}}}`
    way.script = (message, side) => {
      if (message.method !== 'tools/call') return {}
      side.sink.head({ status: 200, contentType: 'json' })
      const text = answerText(message.id)
      side.sink.message({ message: JSON.parse(text) as JsonRpcMessage, bytes: Buffer.from(text) })
      side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const asked = modernRequest('tools/call', { name: 'a', arguments: 0 })
    const body = Buffer.from(JSON.stringify(asked).replace('"arguments":0', `"arguments":${numbers}`))
    const answer = await new Promise<string>((resolve, reject) => {
      let text = ''
      bridge.send(
        { body, message: JSON.parse(body.toString()) as JsonRpcMessage, headers: {} },
        {
          head: () => {},
          message: ({ bytes }) => (text = Buffer.from(bytes).toString()),
          end: () => resolve(text),
          fail: ({ message }) => reject(new Error(message)),
        },
      )
    })
    expect(answer).toContain(`"structuredContent":${numbers}`)
    expect(way.bodies.find((sent) => sent.includes('tools/call'))).toContain(`"arguments":${numbers}`)
  })

  test('brings progress to the caller whose it is, under its own token', async () => {
    const way = make()
    const sides: ServerSide[] = []
    way.script = (message, side) => (message.method === 'tools/call' ? void sides.push(side) : {})
    const { bridge } = bridgeOver(way)
    const heard = ['a', 'b'].map((name) =>
      sendTo(bridge, modernRequest('tools/call', { name }, { meta: { progressToken: 't' } })),
    )
    await until(() => sides.length === 2)
    for (const [i, side] of sides.entries()) {
      const meta = side.request.params?.['_meta'] as { progressToken?: number } | undefined
      const progressToken = meta?.progressToken
      if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
      const params = { progressToken, progress: i }
      during(way, side, { jsonrpc: '2.0', method: 'notifications/progress', params })
    }
    for (const side of sides) finishConnection(way, side, {})
    await Promise.all(heard.map((one) => one.answer()))
    expect(heard.map(({ messages }) => messages[0]?.params)).toEqual([
      { progressToken: 't', progress: 0 },
      { progressToken: 't', progress: 1 },
    ])
  })

  test('tells the server by its own id when a caller gives up, and the caller hears nothing more', async () => {
    const way = make()
    way.script = ({ method }) => (method === 'tools/call' ? undefined : {})
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { id: 'mine' }))
    await until(() => way.of('tools/call').length === 1)
    heard.exchange?.abort()
    heard.exchange?.abort()
    const [side] = way.of('tools/call')
    expect(side?.aborted).toBe(true)
    expect(way.of('notifications/cancelled').map(({ request }) => request.params?.['requestId'])).toEqual([
      side?.request.id,
    ])
    expect([heard.headed, heard.ends]).toEqual([undefined, 0])
    expect(bridge.counts()).toMatchObject({ rounds: 0, calls: 0 })
  })

  test('frees a caller that gives up before the conversation is open, and sends nothing for it', async () => {
    const way = make()
    let open: (() => void) | undefined
    way.script = (message, side) => {
      if (message.method !== 'initialize') return {}
      open = () => way.answer(side, { result: { protocolVersion: '2025-06-18', capabilities: {} } })
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const first = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    const second = sendTo(bridge, modernRequest('tools/call', { name: 'b' }))
    await until(() => open !== undefined)
    first.exchange?.abort()
    expect(bridge.counts()).toMatchObject({ rounds: 1, calls: 1 })
    open?.()
    await second.answer()
    expect(way.of('tools/call').map(({ request }) => request.params?.['name'])).toEqual(['b'])
    expect(way.of('notifications/cancelled')).toEqual([])
    expect(way.of('tools/call')[0]?.headers['mcp-protocol-version']).toBe('2025-06-18')
  })

  test('that cannot be opened fails the calls that wait as not sent, and is tried again after a pause', async () => {
    const way = make()
    let refuses = true
    way.script = ({ method }) =>
      method === 'initialize' && refuses ? { error: { code: -32603, message: 'not today' } } : {}
    const { bridge, clock } = bridgeOver(way)
    const heard = [1, 2].map((id) => sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { id })))
    for (const one of heard)
      expect((await one.ended()).failure).toMatchObject({ sent: false, stage: 'handshake' })
    expect((await sendTo(bridge, modernRequest('tools/list')).ended()).failure?.sent).toBe(false)
    expect(way.of('initialize')).toHaveLength(1)
    refuses = false
    clock.advance(251)
    await sendTo(bridge, modernRequest('tools/list')).answer()
    expect(way.of('initialize')).toHaveLength(2)
  })

  test('answers a ping of the server, and refuses what it cannot carry', async () => {
    const way = make()
    way.script = (message, side) => {
      if (message.method !== 'tools/call') return {}
      if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
      during(way, side, { jsonrpc: '2.0', id: 'p', method: 'ping' })
      during(way, side, { jsonrpc: '2.0', id: 'x', method: 'x/unknown' })
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await until(() => answersOf(way).length === 2)
    expect(answersOf(way)).toMatchObject([
      { id: 'p', result: {} },
      { id: 'x', error: { code: -32601 } },
    ])
    heard.exchange?.abort()
  })

  test('refuses the methods of the legacy era, and never sends them', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    for (const method of ['ping', 'initialize', 'logging/setLevel', 'resources/subscribe', 'tasks/list']) {
      const heard = sendTo(bridge, modernRequest(method))
      expect(await heard.answer()).toMatchObject({ error: { code: -32601 } })
      expect(heard.headed?.status).toBe(404)
    }
    expect(way.sent).toEqual([])
  })

  test('passes unknown methods and notifications on, and drops those that name another caller’s id', async () => {
    const way = make()
    way.script = ({ method }) => (method === 'x/own' ? { fine: true } : {})
    const { bridge } = bridgeOver(way)
    expect(await sendTo(bridge, modernRequest('x/own', { a: 1 })).answer()).toMatchObject({
      result: { fine: true },
    })
    for (const method of ['notifications/x', 'notifications/cancelled']) {
      const { id: _id, ...notification } = modernRequest(method, { requestId: 1 })
      expect((await sendTo(bridge, notification).ended()).headed?.status).toBe(202)
    }
    expect(way.of('notifications/x')[0]?.request.params).toEqual({ requestId: 1, _meta: {} })
    expect(way.of('notifications/cancelled')).toEqual([])
  })

  test('ends everything when it is closed, and takes leave of the server', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = () => sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking }))
    const waiting = call()
    await asked(waiting)
    way.script = () => undefined
    const running = call()
    await until(() => way.of('tools/call').length === 2)
    await bridge.close()
    expect((await running.ended()).failure).toMatchObject({ sent: true })
    expect(way.of('notifications/cancelled')).toHaveLength(2)
    expect(
      way.sent.filter(({ aborted, request }) => aborted && request.method === 'tools/call'),
    ).toHaveLength(2)
    expect(way.streams.every(({ aborted }) => aborted)).toBe(true)
    expect(way.endedSessions).toEqual(way.multiplexed ? [] : ['session-1'])
    expect(way.closed).toBeGreaterThan(0)
    expect((await call().ended()).failure).toMatchObject({ sent: false })
  })

  test('has neither a GET stream nor a session to end', async () => {
    const { bridge } = bridgeOver(make())
    const heard = await new Promise((resolve) => {
      bridge.listen({}, { head: resolve, message: () => {}, end: () => {}, fail: () => {} })
    })
    expect(heard).toMatchObject({ status: 405 })
    expect(await bridge.endSession()).toBe(405)
  })
})
