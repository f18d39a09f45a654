// A client that reads slowly or not at all: its server waits with it, and nothing waits for good.
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeStore, until, type FakeExchange } from '../../test/harness/calls.ts'
import {
  head,
  json,
  modernCall,
  modernHeaders,
  startMcpHttp,
  toolCall,
  type McpHttp,
} from '../../test/harness/mcp-http.ts'

let mcp: McpHttp
beforeEach(async () => {
  mcp = await startMcpHttp()
})
afterEach(() => mcp.stop())
afterAll(closeStore)

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
