// Guarantees of a conversation whose session, stream or connection is lost.
import { afterEach, describe, expect, test } from 'vitest'
import { bridgeOver, closeBridges, http, stdio } from '../../../test/harness/modern-bridge.ts'
import { modernRequest, sendTo } from '../../../test/harness/modern-calls.ts'
import { until } from '../../../test/harness/until.ts'

afterEach(closeBridges)

describe('over HTTP', () => {
  test('a call whose session the server has forgotten is sent once more in a new one', async () => {
    const way = http()
    way.script = ({ method }) => (method === 'tools/call' ? { content: [] } : {})
    const { bridge } = bridgeOver(way)
    await sendTo(bridge, modernRequest('tools/call', { name: 'a' })).answer()
    way.sessions?.clear()
    const heard = [1, 2].map((id) => sendTo(bridge, modernRequest('tools/call', { name: 'b' }, { id })))
    for (const one of heard) expect((await one.answer()).result).toMatchObject({ content: [] })
    expect(way.of('initialize')).toHaveLength(2)
    expect(way.of('tools/call').map(({ headers }) => headers['mcp-session-id'])).toEqual([
      'session-1',
      'session-1',
      'session-1',
      'session-2',
      'session-2',
    ])
  })

  test('a server that forgets every session at once is not asked for ever', async () => {
    const way = http()
    way.script = (_message, side) =>
      side.request.method === 'initialize'
        ? {}
        : way.answer(side, { error: { code: -32001, message: 'Session not found' } }, 404)
    const { bridge } = bridgeOver(way)
    const heard = await sendTo(bridge, modernRequest('tools/call', { name: 'a' })).ended()
    expect(heard.failure).toMatchObject({ sent: false })
    expect(way.of('tools/call')).toHaveLength(2)
  })

  test('a method that the server does not know is not a lost session', async () => {
    const way = http()
    way.script = (_message, side) =>
      side.request.method === 'x/own'
        ? way.answer(side, { error: { code: -32601, message: 'Method not found' } }, 404)
        : {}
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('x/own'))
    expect(await heard.answer()).toMatchObject({ error: { code: -32601 } })
    expect(heard.headed?.status).toBe(404)
    expect(way.of('initialize')).toHaveLength(1)
  })

  test('an answer whose stream the server closes is fetched where it left off', async () => {
    const way = http()
    way.script = (_message, side) => {
      if (side.request.method !== 'tools/call') return {}
      side.sink.head({ status: 200, contentType: 'event-stream' })
      const frame = Buffer.from('id: e-1\nretry: 5\ndata: \n\n')
      side.sink.message({ message: undefined, bytes: Buffer.alloc(0), frame })
      side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await until(() => way.streams.length === 1)
    const [stream] = way.streams
    expect(stream?.headers['last-event-id']).toBe('e-1')
    const id = way.of('tools/call')[0]?.request.id ?? 0
    stream?.sink.message({
      message: { jsonrpc: '2.0', id, result: { late: true } },
      bytes: Buffer.from('{}'),
    })
    expect((await heard.answer()).result).toMatchObject({ late: true })
    expect(stream?.aborted).toBe(true)
  })

  test('a batch of a 2025-03-26 server is taken apart', async () => {
    const way = http()
    way.script = (_message, side) => {
      if (side.request.method !== 'tools/call') return {}
      side.sink.head({ status: 200, contentType: 'json' })
      const answer = { jsonrpc: '2.0', id: side.request.id, result: { batched: true } }
      side.sink.message({ message: undefined, bytes: Buffer.from(JSON.stringify([answer])) })
      side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    expect((await heard.answer()).result).toMatchObject({ batched: true })
  })

  test.each([401, 403, 500])('HTTP %i without a message is a failure that says so', async (status) => {
    const way = http()
    way.script = (_message, side) => {
      if (side.request.method !== 'tools/call') return {}
      side.sink.head({ status, contentType: 'none' })
      if (!side.aborted) side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = await sendTo(bridge, modernRequest('tools/call', { name: 'a' })).ended()
    expect(heard.failure).toMatchObject({ sent: true, message: expect.stringContaining(String(status)) })
  })
})

describe('over a connection', () => {
  test('that is gone fails what was sent, and is opened again for the next call', async () => {
    const [first, second] = [stdio(), stdio()]
    for (const way of [first, second]) way.script = ({ method }) => (method === 'tools/call' ? undefined : {})
    const { bridge } = bridgeOver([first, second])
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    const listener = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await until(() => first.of('tools/call').length === 1)
    await listener.until(() => true)
    const gone = { stage: 'process', message: 'gone', sent: true, gone: true } as const
    first.of('tools/call')[0]?.sink.fail(gone)
    first.streams[0]?.sink.fail(gone)
    expect((await heard.ended()).failure).toMatchObject({ sent: true })
    expect(first.closed).toBe(1)
    second.script = () => ({ content: [] })
    expect(await sendTo(bridge, modernRequest('tools/call', { name: 'b' })).answer()).toMatchObject({
      result: { content: [] },
    })
    expect(second.of('initialize')).toHaveLength(1)
    // Whoever listens hears of what may have changed meanwhile.
    await listener.until(({ method }) => method === 'notifications/tools/list_changed')
  })

  test('that was gone before a call left carries the call once it is open again', async () => {
    const [first, second] = [stdio(), stdio()]
    const gone = { stage: 'process', message: 'gone', sent: false, gone: true } as const
    first.script = (message, side) => {
      if (message.method !== 'tools/call') return {}
      side.sink.fail(gone)
      return undefined
    }
    const { bridge } = bridgeOver([first, second])
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await heard.answer()
    expect(second.of('tools/call')).toHaveLength(1)
  })
})
