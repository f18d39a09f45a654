// Guarantees of the HTTP upstream: bytes pass unchanged, a call runs at most once, and no answer does harm.
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { answerJson, call, cleanUp, rawStub, run, serverAt, stub, upstreamTo } from './http-stub.ts'
import type { ServerAuth } from '../../src/registry/server.ts'

afterEach(cleanUp)

describe('a call', () => {
  test('reaches the server with its own bytes and comes back with the answer’s own bytes', async () => {
    const answer = '{"jsonrpc":"2.0", "id":1,  "result":{"é":1.0}}'
    const target = await stub((_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'mcp-session-id': 'abc' })
        .end(answer),
    )
    const body = '{ "jsonrpc":"2.0","id":1,\n"method":"tools/call", "x":"é" }'
    const heard = await run(upstreamTo(serverAt(target.port)), call(body))
    expect(heard.head).toEqual({
      status: 200,
      contentType: 'json',
      contentTypeText: 'application/json; charset=utf-8',
      sessionId: 'abc',
    })
    expect(Buffer.from(heard.messages[0]?.bytes ?? []).toString()).toBe(answer)
    expect(heard.messages[0]?.message?.result).toEqual({ é: 1 })
    expect(heard.ended).toBe(true)
    expect(target.requests[0]).toMatchObject({ method: 'POST', url: '/mcp', body })
    expect(target.requests[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      'mcp-session-id': 's1',
      'x-own': 'yes',
    })
  })

  const credentials: [ServerAuth, string, string][] = [
    [{ type: 'bearer', token: 'T' }, 'authorization', 'Bearer T'],
    [{ type: 'basic', username: 'ü', password: 'p' }, 'authorization', 'Basic w7w6cA=='],
    [{ type: 'api-key', in: 'header', name: 'X-Key', value: 'K' }, 'x-key', 'K'],
    [{ type: 'api-key', in: 'query', name: 'key', value: 'a&b=c' }, 'url', '/mcp?key=a%26b%3Dc'],
  ]
  test.each(credentials)('carries exactly the configured credential: %j', async (auth, name, value) => {
    const target = await stub(answerJson)
    const headers = {
      authorization: 'Bearer CLIENT',
      cookie: 'CLIENT',
      'x-api-key': 'CLIENT',
      host: 'CLIENT',
      'mcp-method': 'tools/call',
    }
    await run(upstreamTo(serverAt(target.port, { auth })), { ...call(), headers })
    const seen = target.requests[0]
    expect(name === 'url' ? seen?.url : seen?.headers[name]).toBe(value)
    expect(seen?.headers['mcp-method']).toBe('tools/call')
    expect(JSON.stringify(seen)).not.toContain('CLIENT')
  })

  test('answered as a stream yields each event with its frame, as it comes', async () => {
    let response: ServerResponse | undefined
    const target = await stub((_, answer) => {
      response = answer.writeHead(200, { 'content-type': 'text/event-stream' })
      answer.write('id: 1\ndata:\n\n')
    })
    const heard = await run(upstreamTo(serverAt(target.port)), call(), ({ messages }) => {
      if (messages.length === 1) response?.write(': comment\n\n')
      if (messages.length === 2) response?.end('data: {"jsonrpc":"2.0",\ndata: "id":1,"result":{}}\n\n')
    })
    expect(heard.head?.contentType).toBe('event-stream')
    expect(heard.messages.map(({ frame }) => Buffer.from(frame ?? []).toString())).toEqual([
      'id: 1\ndata:\n\n',
      ': comment\n\n',
      'data: {"jsonrpc":"2.0",\ndata: "id":1,"result":{}}\n\n',
    ])
    expect(heard.messages.map(({ message }) => message?.id)).toEqual([undefined, undefined, 1])
  })

  test.each([400, 401, 404, 405, 500])(
    'answered with %d passes status and body, no credentials hint',
    async (status) => {
      const target = await stub((_, response) =>
        response
          .writeHead(status, { 'content-type': 'application/json', 'www-authenticate': 'Bearer realm=x' })
          .end('{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}'),
      )
      const heard = await run(upstreamTo(serverAt(target.port)))
      expect(heard.head?.status).toBe(status)
      expect(heard.messages[0]?.message?.error?.code).toBe(-32601)
      expect(JSON.stringify(heard.head)).not.toContain('realm')
      expect(heard.ended).toBe(true)
    },
  )

  test.each([
    [202, {}, ''],
    [204, {}, ''],
    [200, { 'content-length': '0' }, ''],
  ])('answered with %d and no body is told as such', async (status, headers, body) => {
    const target = await stub((_, response) => response.writeHead(status, headers).end(body))
    expect(await run(upstreamTo(serverAt(target.port)))).toMatchObject({
      head: { status, contentType: 'none' },
      messages: [],
      ended: true,
    })
  })

  test.each(['text/html', 'application/json'])(
    'answered with %s that is no message keeps its bytes',
    async (type) => {
      const target = await stub((_, response) =>
        response.writeHead(200, { 'content-type': type }).end('<html>'),
      )
      const heard = await run(upstreamTo(serverAt(target.port)))
      expect(heard.messages).toMatchObject([{ message: undefined, bytes: Buffer.from('<html>') }])
    },
  )

  test('answered with a batch or a malformed error is no message', async () => {
    for (const body of ['[]', '{"error":"x"}', '{"jsonrpc":"2.0","id":{},"result":{}}', 'null', '"a"']) {
      const target = await stub((_, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(body),
      )
      expect((await run(upstreamTo(serverAt(target.port)))).messages[0]?.message).toBeUndefined()
    }
  })
})

describe('a hostile answer', () => {
  test.each([301, 302, 303, 307, 308])(
    'with redirect %d is a failure and is not followed',
    async (status) => {
      const other = await stub(answerJson)
      const target = await stub((_, response) =>
        response.writeHead(status, { location: `http://127.0.0.1:${other.port}/` }).end(),
      )
      const auth: ServerAuth = { type: 'bearer', token: 'T' }
      const heard = await run(upstreamTo(serverAt(target.port, { auth })))
      expect(heard.failure).toMatchObject({ stage: 'call', sent: true })
      expect(other.requests).toEqual([])
      expect(target.requests).toHaveLength(1)
    },
  )

  test('that is compressed is a failure, never decoded', async () => {
    const target = await stub((_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(Buffer.alloc(1 << 20))),
    )
    expect((await run(upstreamTo(serverAt(target.port)))).failure).toMatchObject({ sent: true })
  })

  test('of 100 MB is broken off at the limit, announced or not', async () => {
    let written = 0
    const chunk = Buffer.alloc(1 << 16, 0x20)
    const target = await stub((request, response) => {
      const length = request.headers['mcp-session-id'] === 'announced' ? { 'content-length': 100 << 20 } : {}
      response.writeHead(200, { 'content-type': 'application/json', ...length })
      response.on('error', () => {})
      const pump = (): void => {
        while (written < 100 << 20 && !response.destroyed) {
          written += chunk.length
          if (!response.write(chunk)) {
            response.once('drain', pump)
            return
          }
        }
      }
      pump()
    })
    const upstream = upstreamTo(serverAt(target.port))
    expect((await run(upstream)).failure).toMatchObject({ tooLarge: true, sent: true })
    const announced = { ...call(), headers: { 'mcp-session-id': 'announced' } }
    expect((await run(upstream, announced)).failure).toMatchObject({ tooLarge: true })
    expect(written).toBeLessThan(60 << 20)
    expect(upstream.inFlight).toEqual({ calls: 0, streams: 0 })
  })

  test('with one event over the limit is broken off', async () => {
    const target = await stub((_, response) => {
      response.on('error', () => {})
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${'x'.repeat(2 << 20)}`)
    })
    expect((await run(upstreamTo(serverAt(target.port)))).failure).toMatchObject({ tooLarge: true })
  })

  test.each([
    [
      'reset in the body',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"js',
      true,
    ],
    [
      'half a body',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"js',
      false,
    ],
    [
      'a cut event stream',
      'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n',
      false,
    ],
    [
      'a cut event',
      'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n',
      false,
    ],
    ['nothing', '', false],
    ['no HTTP', 'SSH-2.0-x\r\n\r\n', false],
    ['a lone 100', 'HTTP/1.1 100 Continue\r\n\r\n', false],
  ])('that is %s fails at once as sent, and the call is not repeated', async (_, bytes, reset) => {
    const target = await rawStub((socket) => {
      if (reset) socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), 20))
      else socket.end(bytes)
    })
    const heard = await run(upstreamTo(serverAt(target.port)))
    expect(heard.failure).toMatchObject({ stage: 'call', sent: true })
    expect(heard.failure?.message).not.toMatch(/und_|undici|hpe_/i)
    expect(target.hits()).toBe(1)
  })

  test('that closes a kept-alive connection runs each call once', async () => {
    const ok = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'
    const target = await rawStub((socket, nth) => {
      if (nth % 2 === 1) socket.write(ok)
      else socket.resetAndDestroy()
    })
    const upstream = upstreamTo(
      serverAt(target.port, { limits: { maxResponseBytes: 1000, maxConnections: 1, maxSessions: 1 } }),
    )
    for (let i = 0; i < 10; i++) {
      expect((await run(upstream)).ended).toBe(true)
      expect((await run(upstream)).failure).toMatchObject({ sent: true })
    }
    expect(target.hits()).toBe(20)
  })
})
