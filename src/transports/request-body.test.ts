// What a POST may look like: types, sizes and bodies that are refused early and without harm.
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeStore } from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import {
  head,
  json,
  maxBodyBytes,
  modernCall,
  modernHeaders,
  startMcpHttp,
  type McpHttp,
} from '../../test/harness/mcp-http.ts'

let mcp: McpHttp
beforeEach(async () => {
  mcp = await startMcpHttp()
})
afterEach(() => mcp.stop())
afterAll(closeStore)

describe('the head of a request', () => {
  test.each([
    ['text/plain', undefined, 415],
    ['application/json5', undefined, 415],
    ['application/json; charset=utf-8', undefined, 200],
    ['Application/JSON', undefined, 200],
    ['application/json', 'gzip', 415],
    ['application/json', 'identity', 200],
    ['', undefined, 415],
  ])('content type %s, coding %s: %i', async (type, coding, status) => {
    const headers = { ...modernHeaders, 'content-type': type, ...(coding && { 'content-encoding': coding }) }
    expect((await mcp.send('POST', headers, modernCall(1))).status).toBe(status)
  })

  test.each([
    ['application/json, text/event-stream', 200],
    ['text/event-stream;q=0.5, APPLICATION/JSON', 200],
    ['*/*', 200],
    ['application/*, text/*', 200],
    ['application/json', 406],
    ['text/event-stream', 406],
    ['text/html', 406],
  ])('accept %s: %i', async (accept, status) => {
    expect((await mcp.send('POST', { ...modernHeaders, accept }, modernCall(1))).status).toBe(status)
  })

  test.each(['HEAD', 'OPTIONS', 'PUT', 'PATCH'])('%s is 405 and says what is allowed', async (method) => {
    const answer = await mcp.send(method, json)
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST, GET, DELETE'])
  })

  test.each(['{', '[]', '', '{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}'])(
    'the body %s is 400',
    async (body) => {
      const answer = await mcp.post(body)
      expect([answer.status, answer.json.id]).toEqual([400, null])
      expect((await mcp.calls.books()).records).toBe(0)
    },
  )
})

describe('the body', () => {
  const sized = (bytes: number): string => {
    const body = JSON.stringify(modernCall(1, { arguments: { pad: '' } }))
    return body.replace('"pad":""', `"pad":"${'x'.repeat(bytes - body.length)}"`)
  }

  test('of the largest size passes, one byte more is 413', async () => {
    expect((await mcp.send('POST', modernHeaders, sized(maxBodyBytes))).status).toBe(200)
    expect((await mcp.send('POST', modernHeaders, sized(maxBodyBytes + 1))).status).toBe(413)
    expect(mcp.calls.upstream.sent.length).toBe(1)
  })

  test('that is announced too large is refused before it comes, and the connection closes', async () => {
    const { socket, received, closed } = mcp.dial()
    socket.write(head({ ...modernHeaders, 'content-length': String(10 ** 12) }))
    await until(closed, 'the close')
    expect(received()).toMatch(/^HTTP\/1\.1 413 .*connection: close/is)
  })

  test('that only turns out too large is refused early, and the connection closes', async () => {
    const { socket, received, closed } = mcp.dial()
    socket.write(head({ ...modernHeaders, 'transfer-encoding': 'chunked' }))
    let sent = 0
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    while (!closed() && sent < 100 * maxBodyBytes) {
      socket.write(chunk)
      sent += 0x4000
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(received()).toMatch(/^HTTP\/1\.1 413 /)
    expect(sent).toBeLessThan(50 * maxBodyBytes)
  })

  test('that a client breaks off harms nobody', async () => {
    const { socket, closed } = mcp.dial()
    socket.write(head({ ...modernHeaders, 'content-length': '1000' }) + '{"jsonrpc"')
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.destroy()
    await until(closed, 'the close')
    expect((await mcp.send('POST', modernHeaders, modernCall(1))).status).toBe(200)
    expect(mcp.calls.upstream.sent.length).toBe(1)
  })
})
