// Guarantees of HTTP+SSE upstreams: messages reach their callers, a hostile server reaches nobody, nothing is left open.
import { readdirSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import type { Server } from '../../src/registry/server.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import { cleanUp, cleanups } from './http-stub.ts'
import { event, sseServerAt, sseStub, startSdkSse } from './sse-stub.ts'
import { hear, request, send } from './stdio-stub.ts'

afterEach(cleanUp)

function upstreams(allow = ['loopback']): Upstreams {
  const all = new Upstreams({ egress: new Egress(allow), clock: new ManualClock(), environment: {} })
  cleanups.push(() => all.closeAll())
  return all
}

const open = (server: Server, sessionId?: string): Upstream => upstreams().open(server, { sessionId })

const note = (method: string): object => ({ jsonrpc: '2.0', method })
const initialize = {
  jsonrpc: '2.0',
  id: 'i',
  method: 'initialize',
  params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
}

describe('a server of the official SDK', () => {
  test('answers many calls at once, each to its caller, with its progress', async () => {
    const { port } = await startSdkSse()
    const upstream = open(sseServerAt(port))
    expect(upstream).toMatchObject({ transport: 'sse', multiplexed: true })
    // Sent before the stream is open; nothing overtakes the notification.
    const opening = [send(upstream, initialize), send(upstream, note('notifications/initialized'))]
    const calls = Array.from({ length: 50 }, (_, n) =>
      send(upstream, request(n, { name: 'echo', arguments: { n }, _meta: { progressToken: `t${n}` } })),
    )
    await Promise.all([...opening, ...calls].map(({ done }) => done))
    expect(opening[0]?.messages[0]?.message?.result).toMatchObject({ protocolVersion: '2024-11-05' })
    expect(opening[1]).toMatchObject({ head: { status: 202, contentType: 'none' }, ended: true })
    for (const [n, { messages, failure }] of calls.entries()) {
      expect(failure).toBeUndefined()
      expect(messages.map(({ message }) => message?.method ?? message?.id)).toEqual([
        'notifications/progress',
        n,
      ])
      expect(messages[0]?.message?.params?.progressToken).toBe(`t${n}`)
      expect(messages[1]?.message?.result).toEqual({ content: [{ type: 'text', text: `{"n":${n}}` }] })
    }
  })

  test('knows of the end of the session', async () => {
    const { port, open: sessions } = await startSdkSse()
    const upstream = open(sseServerAt(port))
    await send(upstream, initialize).done
    expect(sessions.size).toBe(1)
    expect(await upstream.endSession({})).toBe(200)
    await expect.poll(() => sessions.size).toBe(0)
  })
})

describe('a message to the server', () => {
  test('is posted once, its bytes unchanged, with the credential and nothing of the client', async () => {
    const target = await sseStub({ post: ({ id }, say) => say({ jsonrpc: '2.0', id, result: {} }) })
    const server = sseServerAt(
      target.port,
      { auth: { type: 'api-key', in: 'query', name: 'key', value: 's p' } },
      { headers: { 'x-own': 'yes' } },
    )
    const body = '{ "jsonrpc":"2.0", "id":1,\n"method":"m","params":{"n":1.0} }'
    const heard = hear((sink) =>
      open(server).send(
        {
          body: Buffer.from(body),
          message: JSON.parse(body),
          headers: { 'mcp-protocol-version': '2025-06-18', 'mcp-session-id': 'x', authorization: 'S' },
        },
        sink,
      ),
    )
    await heard.done
    expect(heard.ended).toBe(true)
    const [get, post] = target.hits
    expect([get?.method, get?.url, post?.method, post?.url]).toEqual([
      'GET',
      '/sse?key=s%20p',
      'POST',
      '/messages?sessionId=1&key=s%20p',
    ])
    expect(get?.headers).toMatchObject({ accept: 'text/event-stream', 'x-own': 'yes' })
    expect(post?.headers).toMatchObject({ 'x-own': 'yes', 'mcp-protocol-version': '2025-06-18' })
    expect(post?.headers).not.toHaveProperty('authorization')
    expect(post?.headers).not.toHaveProperty('mcp-session-id')
    expect(target.hits).toHaveLength(2)
  })

  test('that is refused fails alone, and is not sent again', async () => {
    const target = await sseStub({
      post: ({ id }, say, response) => {
        if (id === 1) response.writeHead(500).end('no')
        else say({ jsonrpc: '2.0', id, result: {} })
      },
    })
    const upstream = open(sseServerAt(target.port))
    const refused = send(upstream, request(1))
    await refused.done
    expect(refused.failure).toEqual({
      stage: 'call',
      sent: true,
      message: expect.stringContaining('HTTP 500'),
    })
    const next = send(upstream, request(2))
    await next.done
    expect(next.ended).toBe(true)
    expect(target.posts()).toHaveLength(2)
  })

  test('that is answered with 404 ends the session, for all who wait', async () => {
    const target = await sseStub({ post: ({ id }, _, response) => id === 2 && response.writeHead(404).end() })
    const upstream = open(sseServerAt(target.port))
    const first = send(upstream, request(1))
    await expect.poll(() => target.posts().length).toBe(1)
    const second = send(upstream, request(2))
    await Promise.all([first.done, second.done])
    expect(second.failure).toMatchObject({ stage: 'call', sent: true, gone: true })
    expect(first.failure).toMatchObject({ sent: true, gone: true })
    const late = send(upstream, request(3))
    await late.done
    expect(late.failure).toMatchObject({ sent: false, gone: true })
    await expect.poll(() => target.streams.size).toBe(0)
  })

  test('is never redirected', async () => {
    const canary = await sseStub()
    const target = await sseStub({
      post: (_message, _, response) =>
        response.writeHead(307, { location: `http://127.0.0.1:${canary.port}/` }).end(),
    })
    const heard = send(open(sseServerAt(target.port)), request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ sent: true, message: expect.stringContaining('redirect') })
    expect(canary.hits).toEqual([])
  })

  test('is never overtaken where it is a notification, which holds nothing up for long', async () => {
    const target = await sseStub({
      post: ({ id, method }, say) => {
        if (id !== undefined) say({ jsonrpc: '2.0', id, result: {} })
        return method === 'notifications/hung' ? 'hold' : undefined
      },
    })
    const upstream = open(sseServerAt(target.port))
    for (let n = 0; n < 100; n++) {
      send(upstream, note(`notifications/${n}`))
      send(upstream, request(`r${n}`))
    }
    send(upstream, note('notifications/hung'))
    const last = send(upstream, request('last'))
    await last.done
    const order = target.posts().map(({ message }) => String(message?.id ?? message?.method?.split('/')[1]))
    for (let n = 0; n < 100; n++) expect(order.indexOf(`r${n}`)).toBeGreaterThan(order.indexOf(String(n)))
    expect(order.filter((name) => /^\d+$/.test(name)).map(Number)).toEqual([...Array(100).keys()])
    expect(order.slice(-2)).toEqual(['hung', 'last'])
  })

  test('is refused, not queued without end, where the server takes none', async () => {
    const target = await sseStub({ post: () => 'hold' })
    const all = new Upstreams({
      egress: new Egress(['loopback']),
      clock: new ManualClock(),
      environment: {},
      maxQueuedBytes: 10_000,
    })
    cleanups.push(() => all.closeAll())
    const upstream = all.open(sseServerAt(target.port))
    await expect.poll(() => target.streams.size).toBe(1)
    const calls = Array.from({ length: 20 }, (_, id) =>
      send(upstream, request(id, { pad: 'x'.repeat(1000) })),
    )
    await calls.at(-1)?.done
    expect(calls.at(-1)?.failure).toMatchObject({ sent: false })
    expect(calls[0]?.failure).toBeUndefined()
  })
})

describe('an endpoint', () => {
  test.each([
    ['relative', '/messages?sessionId=1', '/messages?sessionId=1'],
    ['relative to the stream', 'messages', '/messages'],
    ['absolute', 'http://127.0.0.1:PORT/m', '/m'],
    ['with a fragment', '/m#x', '/m'],
  ])('that is %s and of the same origin is used', async (_, endpoint, path) => {
    let port = ''
    const target = await sseStub({
      get: (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
        response.write(event(endpoint.replace('PORT', port), 'endpoint'))
      },
    })
    port = String(target.port)
    const upstream = open(sseServerAt(target.port))
    await send(upstream, note('notifications/x')).done
    expect(target.posts().map(({ url }) => url)).toEqual([path])
  })

  test.each([
    'http://127.0.0.1:1/',
    'http://localhost:PORT/m',
    'https://127.0.0.1:PORT/m',
    '//evil.example/',
    'http://u:p@127.0.0.1:PORT/',
    'file:///etc/passwd',
    'http://[',
  ])('that is %s is refused, and nothing is sent anywhere', async (endpoint) => {
    const canary = await sseStub()
    const target = await sseStub({
      get: (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(event(endpoint.replace('PORT', String(canary.port)), 'endpoint'))
      },
    })
    const heard = send(open(sseServerAt(target.port)), request(1))
    await heard.done
    expect(heard.failure).toMatchObject({
      stage: 'handshake',
      sent: false,
      gone: true,
      message: expect.stringContaining('endpoint event'),
    })
    expect([canary.hits, target.posts()]).toEqual([[], []])
  })

  test('comes from the registration where that has one, of another origin too', async () => {
    const elsewhere = await sseStub()
    const target = await sseStub({ endpoint: 'http://10.0.0.1/internal?sessionId=7' })
    const messageUrl = `http://127.0.0.1:${elsewhere.port}/prefix/messages`
    const upstream = open(sseServerAt(target.port, {}, { messageUrl }))
    await send(upstream, note('notifications/x')).done
    expect(elsewhere.posts().map(({ url }) => url)).toEqual(['/prefix/messages?sessionId=7'])
    expect(target.posts()).toEqual([])
  })

  test('that is registered is used though the server names none', async () => {
    const target = await sseStub({ endpoint: null })
    const messageUrl = `http://127.0.0.1:${target.port}/m`
    const slow = { connectMs: 5000, callMs: 5000, idleMs: 1000 }
    const upstream = open(sseServerAt(target.port, { timeouts: slow }, { messageUrl }))
    await send(upstream, note('notifications/x')).done
    expect(target.posts().map(({ url }) => url)).toEqual(['/m'])
  })

  test('that is registered has to be allowed', async () => {
    const target = await sseStub()
    const server = sseServerAt(target.port, {}, { messageUrl: 'http://10.0.0.1/m' })
    expect(() => open(server)).toThrow(expect.objectContaining({ code: 'egress_denied' }))
    expect(target.hits).toEqual([])
  })

  test('that comes again changes nothing', async () => {
    const target = await sseStub()
    const upstream = open(sseServerAt(target.port))
    await send(upstream, note('notifications/x')).done
    target.write(event('http://10.0.0.1/', 'endpoint') + event('/other', 'endpoint'))
    await send(upstream, note('notifications/y')).done
    expect(target.posts().map(({ url }) => url)).toEqual(['/messages?sessionId=1', '/messages?sessionId=1'])
  })
})

describe('a stream', () => {
  const failures: [string, Parameters<typeof sseStub>[0], object][] = [
    ['that is refused', { get: (response) => response.writeHead(401).end() }, { message: /credential/ }],
    ['that is not there', { get: (response) => response.writeHead(404).end() }, { message: /404/ }],
    [
      'that is none',
      { get: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>') },
      { message: /event stream/ },
    ],
    [
      'that leads elsewhere',
      { get: (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() },
      { message: /redirect/ },
    ],
    ['without an endpoint', { endpoint: null }, { message: /endpoint event.*connectMs/ }],
    ['that never begins', { get: () => {} }, { stage: 'connect', message: /event stream.*connectMs/ }],
    [
      'that ends at once',
      { get: (response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end() },
      { stage: 'call', message: /ended/ },
    ],
    [
      'with an endless head',
      {
        get: (response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.write(`event: endpoint\ndata: /${'x'.repeat(2 << 20)}`)
        },
      },
      { tooLarge: true },
    ],
  ]
  test.each(failures)('%s fails what waits as not sent', async (_, script, expected) => {
    const target = await sseStub(script)
    const quick = { connectMs: 300, callMs: 1000, idleMs: 1000 }
    const upstream = open(sseServerAt(target.port, { timeouts: quick }))
    const heard = send(upstream, request(1))
    const noted = send(upstream, note('notifications/x'))
    await Promise.all([heard.done, noted.done])
    const { message, ...rest } = expected as { message?: RegExp }
    for (const { failure } of [heard, noted]) {
      expect(failure).toMatchObject({ stage: 'handshake', sent: false, gone: true, ...rest })
      if (message) expect(failure?.message).toMatch(message)
    }
    expect(target.posts()).toEqual([])
  })

  test('to nobody, and to an address that is denied, tells why', async () => {
    const target = await sseStub()
    target.server.close()
    await new Promise((closed) => target.server.once('close', closed))
    const heard = send(open(sseServerAt(target.port)), request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ stage: 'connect', sent: false, gone: true })
    expect(() => upstreams([]).open(sseServerAt(target.port))).toThrow(
      expect.objectContaining({ code: 'egress_denied' }),
    )
  })

  test('holds more than messages: comments, other events and empty ones are passed over', async () => {
    const target = await sseStub()
    const upstream = open(sseServerAt(target.port))
    const listener = hear((sink) => upstream.listen({}, sink))
    await send(upstream, note('notifications/x')).done
    target.write(`: keep-alive\n\n${event({ jsonrpc: '2.0', method: 'a' }, 'ping')}id: 1\ndata:\n\n`)
    target.write('data: not json\n\ndata: {"jsonrpc":"2.0","method":"notifications/b"}\n\n')
    target.write(
      'data: [{"jsonrpc":"2.0","method":"notifications/c"},\ndata: {"jsonrpc":"2.0","method":"notifications/d"}]\n\n',
    )
    await expect.poll(() => listener.messages.length).toBe(3)
    expect(listener.messages.map(({ message }) => message?.method)).toEqual([
      'notifications/b',
      'notifications/c',
      'notifications/d',
    ])
  })

  test('that breaks off fails every call as sent, the listener, and later ones at once', async () => {
    const target = await sseStub()
    const upstream = open(sseServerAt(target.port))
    const calls = [1, '1'].map((id) => send(upstream, request(id)))
    const listener = hear((sink) => upstream.listen({}, sink))
    await expect.poll(() => target.posts().length).toBe(2)
    target.write('event: message\ndata: {"jsonrpc":"2.0","id":1,"res')
    target.end()
    await Promise.all([...calls, listener].map(({ done }) => done))
    for (const { failure } of [...calls, listener])
      expect(failure).toMatchObject({ stage: 'call', sent: true, gone: true })
    expect(calls[0]?.failure?.message).toContain('middle of an event')
    const late = send(upstream, request(2))
    await late.done
    expect(late.failure).toMatchObject({ sent: false, gone: true })
  })

  test('with an event over the limit is ended', async () => {
    const target = await sseStub()
    const upstream = open(sseServerAt(target.port))
    const heard = send(upstream, request(1))
    await expect.poll(() => target.posts().length).toBe(1)
    target.say({ jsonrpc: '2.0', id: 1, result: { pad: 'x'.repeat(2 << 20) } })
    await heard.done
    expect(heard.failure).toMatchObject({ sent: true, gone: true, tooLarge: true })
    await expect.poll(() => target.streams.size).toBe(0)
  })

  test('of 10,000 messages is held back by a pause, and every one of them arrives', async () => {
    const pad = 'x'.repeat(1000)
    const target = await sseStub({
      post: ({ id }, say) => {
        for (let n = 0; n < 10_000; n++)
          say({ jsonrpc: '2.0', method: 'notifications/message', params: { n, pad } })
        say({ jsonrpc: '2.0', id, result: {} })
      },
    })
    const heard = send(open(sseServerAt(target.port)), request(1))
    await expect.poll(() => heard.messages.length).toBeGreaterThan(0)
    heard.exchange.pause()
    await expect.poll(() => [...target.streams].every((stream) => stream.writableNeedDrain)).toBe(true)
    const before = heard.messages.length
    expect(before).toBeLessThan(10_000)
    heard.exchange.resume()
    await heard.done
    expect(heard.messages.slice(0, -1).map(({ message }) => message?.params?.n)).toEqual([
      ...Array(10_000).keys(),
    ])
  })
})

describe('the connections of a server', () => {
  test('leave no descriptor after 300 of them, however they end', async () => {
    const target = await sseStub({ post: ({ id }, say) => say({ jsonrpc: '2.0', id, result: {} }) })
    const all = upstreams()
    const server = sseServerAt(target.port)
    const descriptors = (): number => readdirSync('/proc/self/fd').length
    await all.open(server).close()
    await expect.poll(() => all.counts().connections).toBe(0)
    const before = descriptors()
    for (let n = 0; n < 300; n++) {
      const upstream = all.open(server)
      const heard = send(upstream, request(n))
      if (n % 3 !== 2) await heard.done
      if (n % 3 === 1) target.end()
      else await upstream.close()
      await heard.done
      await expect.poll(() => all.counts().connections, { interval: 1 }).toBe(0)
    }
    await all.closeAll()
    await expect
      .poll(() => [target.streams.size, all.counts().calls, all.counts().streams])
      .toEqual([0, 0, 0])
    await expect.poll(descriptors).toBeLessThanOrEqual(before)
  }, 30_000)

  test('outlive a change of the registration, and take their sockets with them', async () => {
    const target = await sseStub({ post: ({ id }, say) => say({ jsonrpc: '2.0', id, result: {} }) })
    const all = upstreams()
    const server = sseServerAt(target.port)
    const upstream = all.open(server)
    await send(upstream, request(1)).done
    all.onServerChange({ kind: 'changed', server: { ...server, revision: 2 } })
    const heard = send(upstream, request(2))
    await heard.done
    expect(heard.ended).toBe(true)
    all.onServerChange({ kind: 'removed', id: server.id })
    await expect.poll(() => [all.counts().connections, target.streams.size]).toEqual([0, 0])
  })

  test('are as many as the server may have, and pause after failures', async () => {
    const target = await sseStub({ get: (response) => response.writeHead(503).end() })
    const all = upstreams()
    const limits = { maxResponseBytes: 1 << 20, maxConnections: 4, maxSessions: 2 }
    const server = sseServerAt(target.port, { limits })
    all.open(server)
    all.open(server)
    expect(() => all.open(server)).toThrow(expect.objectContaining({ code: 'too_many_sessions' }))
    await expect.poll(() => all.counts().connections).toBe(0)
    expect(() => all.open(server)).toThrow(
      expect.objectContaining({ code: 'upstream_unavailable', retryAfterS: 1 }),
    )
  })
})
