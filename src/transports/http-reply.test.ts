// Answers on a socket: what is recorded names its record, and a client that reads slowly lets its server wait.
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatCallId } from '../base/id.ts'
import { alice, closeStore, type FakeExchange } from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import {
  head,
  json,
  meta,
  modernCall,
  modernHeaders,
  startMcpHttp,
  toolCall,
  type McpHttp,
} from '../../test/harness/mcp-http.ts'

const modernNotice = { ...modernHeaders, 'mcp-method': 'notifications/x' }

let mcp: McpHttp
beforeEach(async () => {
  mcp = await startMcpHttp()
})
afterEach(() => mcp.stop())
afterAll(closeStore)

describe('a recorded refusal names its record', () => {
  const recordIds = () => mcp.calls.settled.map(({ record }) => formatCallId(record.id))

  test('of a notification that the server does not take', async () => {
    mcp.calls.upstream.script = (up) => up.head({ status: 502, contentType: 'none' }).end()
    const answer = await mcp.post(
      { jsonrpc: '2.0', method: 'notifications/x', params: { _meta: meta } },
      modernNotice,
    )
    expect(answer.status).toBe(502)
    expect(recordIds()).toEqual([answer.headers['tollbridge-call-id']])
  })

  test('of a notification and of a stream that the balance does not cover', async () => {
    const { rules, ledger } = mcp.calls
    const token = await mcp.openSession()
    for (const method of ['notifications/x', 'stream'])
      await rules.create({ name: method, currency: 'USD', match: { method }, price: { perCall: '1' } })
    await ledger.changeAccount(alice.accountId, { mode: 'prepaid' })
    mcp.calls.settled.length = 0
    const notice = await mcp.post({ jsonrpc: '2.0', method: 'notifications/x' }, { 'mcp-session-id': token })
    const stream = await mcp.send('GET', { accept: 'text/event-stream', 'mcp-session-id': token })
    expect([notice.status, stream.status]).toEqual([402, 402])
    expect(recordIds()).toEqual([notice.headers['tollbridge-call-id'], stream.headers['tollbridge-call-id']])
  })

  test('of a stream that the server does not have', async () => {
    const token = await mcp.openSession()
    mcp.calls.settled.length = 0
    const waiting = mcp.send('GET', { accept: 'text/event-stream', 'mcp-session-id': token })
    await until(() => mcp.calls.upstream.streams.length === 1, 'the stream')
    mcp.calls.upstream.streams[0]?.head({ status: 405, contentType: 'none' })
    const answer = await waiting
    expect(answer.status).toBe(405)
    expect(recordIds()).toEqual([answer.headers['tollbridge-call-id']])
  })
})

describe('a client that reads slowly', () => {
  const big = { jsonrpc: '2.0', method: 'notifications/x', params: { pad: 'x'.repeat(100_000) } }

  /** A call whose client has stopped reading, and whose server is therefore paused. */
  async function stalled(
    headers: Record<string, string>,
    body: object,
  ): Promise<{ socket: Socket; up: FakeExchange }> {
    mcp.calls.upstream.script = undefined
    const socket = connect(mcp.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    const text = JSON.stringify(body)
    socket.write(head({ ...headers, 'content-length': String(text.length) }) + text)
    await until(() => mcp.calls.upstream.of('tools/call').length === 1, 'the call')
    const [up] = mcp.calls.upstream.of('tools/call')
    if (!up) throw new Error('no call')
    up.head({ contentType: 'event-stream' })
    for (let i = 0; i < 200 && !up.paused; i++) {
      up.event(big)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(up.paused).toBe(true)
    return { socket, up }
  }

  test('pauses its server, and lets it go on', async () => {
    const { socket, up } = await stalled(modernHeaders, modernCall(1))
    socket.resume()
    await until(() => !up.paused, 'the server to go on')
    up.event({ jsonrpc: '2.0', id: 1, result: {} }).end()
    await until(() => mcp.calls.settled.length === 1, 'the record')
    socket.destroy()
  })

  test('waits by one listener, however many events come', async () => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    const { socket, up } = await stalled(modernHeaders, modernCall(1))
    const before = up.resumed
    for (let i = 0; i < 50; i++) up.event(big)
    await new Promise((resolve) => setImmediate(resolve))
    socket.resume()
    await until(() => !up.paused, 'the server to go on')
    expect(up.resumed - before).toBe(1)
    process.off('warning', note)
    expect(warnings).toEqual([])
    socket.destroy()
  })

  test('and goes away lets a legacy call go on to its record', async () => {
    const token = await mcp.openSession()
    const { socket, up } = await stalled({ ...json, 'mcp-session-id': token }, toolCall(1))
    socket.destroy()
    await until(() => !up.paused, 'the server to go on')
    expect(up.aborted).toBe(false)
    up.event({ jsonrpc: '2.0', id: 1, result: {} }).end()
    await until(() => mcp.calls.settled.some(({ record }) => record.method === 'tools/call'), 'the record')
    expect(mcp.calls.held()).toBe(0n)
  })

  test('and goes away ends a modern call', async () => {
    const { socket, up } = await stalled(modernHeaders, modernCall(1))
    socket.destroy()
    await until(() => up.aborted, 'the end of the exchange')
    await until(() => mcp.calls.settled.length === 1, 'the record')
    expect(mcp.calls.settled[0]?.record.outcome).toBe('cancelled')
  })
})
