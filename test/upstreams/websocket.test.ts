// Guarantees of WebSocket upstreams: messages reach their callers, a hostile server reaches nobody, nothing is left open.
import { readdirSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { ManualClock } from '../../src/base/clock.ts'
import type { Server } from '../../src/registry/server.ts'
import { ConnectionUpstream } from '../../src/upstreams/connection.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import { WebSocketLink, type WebSocketOptions } from '../../src/upstreams/websocket.ts'
import { newAuthority } from './certificates.ts'
import { cleanUp, cleanups } from './http-stub.ts'
import { hear, request, send } from './stdio-stub.ts'
import { webSocketServerAt, webSocketStub, type SocketScript } from './web-socket-stub.ts'

afterEach(cleanUp)

function upstreams(egress = new Egress(['loopback']), more: object = {}): Upstreams {
  const all = new Upstreams({ egress, clock: new ManualClock(), environment: {}, killGraceMs: 300, ...more })
  cleanups.push(() => all.closeAll())
  return all
}

const open = (server: Server): Upstream => upstreams().open(server)
const note = (method: string): object => ({ jsonrpc: '2.0', method })
const echo: NonNullable<SocketScript['message']> = ({ id, params }, say) =>
  say({ jsonrpc: '2.0', id, result: { was: params } })

describe('a message', () => {
  test('is one text frame, its bytes unchanged, and its answer finds its caller', async () => {
    const target = await webSocketStub({ message: echo })
    const upstream = open(webSocketServerAt(target.port))
    expect(upstream).toMatchObject({ transport: 'websocket', multiplexed: true })
    const body = '{ "jsonrpc":"2.0", "id":1,\n"method":"m","params":{"n":1.0} }'
    const calls = [send(upstream, JSON.parse(body), body), send(upstream, request('1', { n: 2 }))]
    const noted = send(upstream, note('notifications/x'))
    await Promise.all([...calls, noted].map(({ done }) => done))
    expect(target.frames[0]).toBe(body)
    expect(calls.map(({ messages }) => messages[0]?.message?.result)).toEqual([
      { was: { n: 1 } },
      { was: { n: 2 } },
    ])
    expect(noted).toMatchObject({ head: { status: 202 }, ended: true })
  })

  test('of the server that is a batch is heard as its messages, in order and byte for byte', async () => {
    const parts = [
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","text":"a]\\\\\\"},{","n":1.0}}',
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      '{"jsonrpc":"2.0","id":"2","result":{"deep":[[{"a":[]}]]}}',
    ]
    const target = await webSocketStub({
      message: ({ id }, _, socket) => id === 2 || socket.send(` [ ${parts.join(' ,\n')} , [1], 7 ]\n`),
    })
    const upstream = open(webSocketServerAt(target.port))
    const second = send(upstream, { ...request('2') })
    const first = send(upstream, request(1, { _meta: { progressToken: 't' } }))
    await Promise.all([first.done, second.done])
    expect(first.messages.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(parts.slice(0, 2))
    expect(second.messages.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(parts.slice(2))
  })

  test('of a subscription goes to who subscribed, by its id', async () => {
    const _meta = (id: unknown): object => ({ 'io.modelcontextprotocol/subscriptionId': id })
    const target = await webSocketStub({
      message: ({ id, method }, say) => {
        if (method !== 'tools/call') return
        for (const other of [1, '1', 9])
          say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: _meta(other) } })
        say({ jsonrpc: '2.0', id, result: {} })
      },
    })
    const upstream = open(webSocketServerAt(target.port))
    const listen = (id: unknown): object => ({
      jsonrpc: '2.0',
      id,
      method: 'subscriptions/listen',
      params: {},
    })
    const subscribed = [1, '1'].map((id) => send(upstream, listen(id)))
    const call = send(upstream, request(2))
    await call.done
    expect(subscribed.map(({ messages }) => messages.length)).toEqual([1, 1])
    expect(subscribed[1]?.messages[0]?.message?.params?._meta).toEqual(_meta('1'))
    // Nobody subscribed as 9, so that one is nobody's in particular.
    expect(call.messages.map(({ message }) => message?.method)).toEqual([
      'notifications/tools/list_changed',
      undefined,
    ])
  })

  test('that was aborted before the connection opened is never sent', async () => {
    const target = await webSocketStub({ message: echo })
    const upstream = open(webSocketServerAt(target.port))
    const given = send(upstream, request(1))
    given.exchange.abort()
    const kept = send(upstream, request(2))
    await kept.done
    expect(target.frames).toHaveLength(1)
    expect(given).toMatchObject({ head: undefined, ended: false, failure: undefined })
  })

  test('waits for the connection within bounds', async () => {
    const target = await webSocketStub({ message: echo })
    const upstream = upstreams(undefined, { maxQueuedMessages: 3 }).open(webSocketServerAt(target.port))
    const calls = Array.from({ length: 5 }, (_, id) => send(upstream, request(id)))
    await Promise.all(calls.map(({ done }) => done))
    expect(calls.map(({ failure }) => failure?.sent)).toEqual([undefined, undefined, undefined, false, false])
  })

  test('is refused, not queued without end, where the server does not read', async () => {
    const target = await webSocketStub({ open: (socket) => socket.pause(), message: echo })
    const upstream = upstreams(undefined, { maxQueuedBytes: 1 << 20 }).open(webSocketServerAt(target.port))
    await expect.poll(() => target.clients.size).toBe(1)
    const pad = 'x'.repeat(100_000)
    const calls: ReturnType<typeof send>[] = []
    for (let id = 0; id < 400 && !calls.some(({ failure }) => failure); id++) {
      calls.push(send(upstream, request(id, { pad })))
      await new Promise((soon) => setImmediate(soon))
    }
    expect(calls.at(-1)?.failure).toMatchObject({
      sent: false,
      message: expect.stringContaining('does not read'),
    })
    expect(calls.at(-1)?.failure).not.toHaveProperty('gone')
    for (const socket of target.clients) socket.resume()
    await calls[0]?.done
    expect(calls[0]?.ended).toBe(true)
  })

  test('of 10,000 is held back by a pause, and every one of them arrives', async () => {
    const pad = 'x'.repeat(1000)
    const target = await webSocketStub({
      message: ({ id }, say) => {
        for (let n = 0; n < 10_000; n++)
          say({ jsonrpc: '2.0', method: 'notifications/message', params: { n, pad } })
        say({ jsonrpc: '2.0', id, result: {} })
      },
    })
    const upstream = open(webSocketServerAt(target.port))
    const heard = send(upstream, request(1))
    await expect.poll(() => heard.messages.length).toBeGreaterThan(0)
    heard.exchange.pause()
    await expect
      .poll(() => [...target.clients].every(({ bufferedAmount }) => bufferedAmount > 1 << 20))
      .toBe(true)
    const before = heard.messages.length
    expect(before).toBeLessThan(10_000)
    heard.exchange.resume()
    await heard.done
    const numbers = heard.messages.slice(0, -1).map(({ message }) => message?.params?.n)
    expect(numbers).toEqual([...Array(10_000).keys()])
  })
})

describe('the handshake', () => {
  test.each(['mcp', 'none'])('with a server that selects subprotocol %s succeeds', async (subprotocol) => {
    const target = await webSocketStub({ subprotocol, message: echo })
    const heard = send(open(webSocketServerAt(target.port)), request(1))
    await heard.done
    expect(heard.ended).toBe(true)
    expect(target.handshakes[0]?.headers).toMatchObject({ upgrade: 'websocket' })
    expect(target.handshakes[0]?.headers).not.toHaveProperty('sec-websocket-extensions')
  })

  test.each([
    [{ type: 'bearer', token: 'tok' }, '/ws', { authorization: 'Bearer tok' }],
    [{ type: 'basic', username: 'u', password: 'p' }, '/ws', { authorization: 'Basic dTpw' }],
    [{ type: 'api-key', in: 'header', name: 'X-Key', value: 'k' }, '/ws', { 'x-key': 'k' }],
    [{ type: 'api-key', in: 'query', name: 'key', value: 'a b' }, '/ws?key=a%20b', {}],
  ] as const)('carries the credential %j', async (auth, url, headers) => {
    const target = await webSocketStub({ message: echo })
    const server = webSocketServerAt(target.port, { auth }, { headers: { 'x-own': 'yes' } })
    await send(open(server), request(1)).done
    expect(target.handshakes).toMatchObject([{ url, headers: { 'x-own': 'yes', ...headers } }])
  })

  const refusals: [string, SocketScript, object, RegExp][] = [
    ['another subprotocol', { subprotocol: 'graphql' }, { stage: 'handshake' }, /subprotocol/],
    [
      'a compression that was not asked for',
      { headers: ['Sec-WebSocket-Extensions: permessage-deflate'] },
      { stage: 'handshake' },
      /WebSocket/,
    ],
    ['401', { refuse: { status: 401 } }, { stage: 'handshake' }, /credential/],
    ['200', { refuse: { status: 200 } }, { stage: 'handshake' }, /HTTP 200/],
    ['503', { refuse: { status: 503 } }, { stage: 'handshake' }, /HTTP 503/],
    [
      'a redirect',
      { refuse: { status: 302, headers: { location: 'ws://127.0.0.1:1/' } } },
      { stage: 'handshake' },
      /redirect/,
    ],
    [
      'a wrong proof',
      {
        refuse: {
          status: 101,
          headers: { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-accept': 'x' },
        },
      },
      { stage: 'handshake' },
      /WebSocket/,
    ],
  ]
  test.each(refusals)(
    'answered with %s fails what waits as not sent',
    async (_, script, expected, message) => {
      const target = await webSocketStub(script)
      const heard = send(open(webSocketServerAt(target.port)), request(1))
      await heard.done
      expect(heard.failure).toMatchObject({ sent: false, gone: true, ...expected })
      expect(heard.failure?.message).toMatch(message)
    },
  )

  test('that is never answered ends in time, as does one with nobody', async () => {
    const target = await webSocketStub()
    target.http.removeAllListeners('upgrade')
    target.http.on('upgrade', () => {})
    const timeouts = { connectMs: 200, callMs: 1000, idleMs: 1000 }
    const heard = send(open(webSocketServerAt(target.port, { timeouts })), request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ stage: 'connect', sent: false, gone: true })
    expect(heard.failure?.message).toMatch(/handshake.*connectMs/)
    target.http.closeAllConnections()
    target.http.close()
    await expect.poll(() => target.http.listening).toBe(false)
    const nobody = send(open(webSocketServerAt(target.port)), request(1))
    await nobody.done
    expect(nobody.failure).toMatchObject({
      stage: 'connect',
      sent: false,
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('is only with addresses that are allowed, as written and as resolved', async () => {
    const target = await webSocketStub()
    const denied = expect.objectContaining({ code: 'egress_denied' })
    for (const host of ['127.0.0.1', '127.1', 'localhost', '[::1]', '169.254.169.254']) {
      const server = webSocketServerAt(0, {}, { url: `ws://${host}:${target.port}/` })
      expect(() => upstreams(new Egress([])).open(server)).toThrow(denied)
    }
    const asked: string[] = []
    const egress = new Egress([], {
      resolve: (name, done) => {
        asked.push(name)
        done(null, [
          { address: '93.184.216.34', family: 4 },
          { address: '127.0.0.1', family: 4 },
        ])
      },
    })
    const server = webSocketServerAt(0, {}, { url: `ws://rebound.example:${target.port}/` })
    const heard = send(upstreams(egress).open(server), request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ stage: 'egress', sent: false, gone: true })
    expect(asked).toEqual(['rebound.example'])
    expect(target.handshakes).toEqual([])
  })

  test('over TLS is only with a server that proves its name', async () => {
    const authority = newAuthority()
    const usual = getCACertificates('default')
    setDefaultCACertificates([authority.ca])
    cleanups.push(() => setDefaultCACertificates(usual))
    const http = createTlsServer(authority.issue(['mcp.example']))
    const names: unknown[] = []
    http.on('secureConnection', (socket) => names.push((socket as { servername?: unknown }).servername))
    new WebSocketServer({ server: http }).on('connection', (socket) =>
      socket.on('message', () => socket.send('{"jsonrpc":"2.0","id":1,"result":{}}')),
    )
    await new Promise<void>((listening) => void http.listen(0, '127.0.0.1', listening))
    cleanups.push(() => {
      http.closeAllConnections()
      http.close()
    })
    const { port } = http.address() as AddressInfo
    const egress = new Egress(['loopback'], {
      resolve: (_, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    const through = async (host: string) => {
      const upstream = upstreams(egress).open(webSocketServerAt(0, {}, { url: `wss://${host}:${port}/` }))
      const heard = send(upstream, request(1))
      await heard.done
      return heard
    }
    expect((await through('mcp.example')).ended).toBe(true)
    expect(names).toEqual(['mcp.example'])
    for (const host of ['other.example', '127.0.0.1'])
      expect((await through(host)).failure).toMatchObject({
        stage: 'connect',
        sent: false,
        message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
      })
  })
})

describe('a connection', () => {
  const endings: [string, SocketScript['message'], RegExp][] = [
    [
      'closes',
      (_, _say, socket) => socket.close(1011, 'secret reason'),
      /closed the connection \(code 1011\)/,
    ],
    ['breaks off', (_, _say, socket) => socket.terminate(), /closed the connection \(code 1006\)/],
    ['sends a binary frame', (_, _say, socket) => socket.send(Buffer.from('{}')), /binary frame/],
    [
      'sends broken UTF-8',
      (_, _say, socket) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false }),
      /not valid WebSocket/,
    ],
    [
      'sends a frame over the limit',
      (_, say) => say({ jsonrpc: '2.0', id: 1, result: { pad: 'x'.repeat(2 << 20) } }),
      /maxResponseBytes/,
    ],
    ['sends an endless batch', (_, _say, socket) => socket.send(`[${'{},'.repeat(20_000)}{}]`), /batch/],
  ]
  test.each(endings)(
    'that %s fails every call as sent, and later ones at once',
    async (_, message, reason) => {
      const target = await webSocketStub({ message })
      const upstream = open(webSocketServerAt(target.port))
      const listener = hear((sink) => upstream.listen({}, sink))
      const heard = send(upstream, request(1))
      await Promise.all([heard.done, listener.done])
      for (const { failure } of [heard, listener])
        expect(failure).toMatchObject({
          stage: 'call',
          sent: true,
          gone: true,
          message: expect.stringMatching(reason),
        })
      const late = send(upstream, request(2))
      await late.done
      expect(late.failure).toMatchObject({ sent: false, gone: true })
      await expect.poll(() => target.clients.size).toBe(0)
    },
  )

  function linked(
    server: ReturnType<typeof webSocketServerAt>,
    more: Partial<WebSocketOptions>,
  ): ConnectionUpstream {
    const own = { egress: new Egress(['loopback']), maxQueuedBytes: 1 << 20, killGraceMs: 200, ...more }
    const upstream = new ConnectionUpstream('websocket', (events) => new WebSocketLink(server, own, events), {
      connectMs: 1000,
      maxQueuedMessages: 10,
      maxQueuedBytes: 1 << 20,
    })
    cleanups.push(() => upstream.close())
    return upstream
  }

  test('whose other end vanished without a word is found out by a ping', async () => {
    const target = await webSocketStub({ open: (socket) => socket.pause() })
    const upstream = linked(webSocketServerAt(target.port), { pingMs: 50, pongMs: 100 })
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ sent: true, gone: true, message: expect.stringContaining('pings') })
  })

  test('that answers pings lives on, as does one whose reading is paused', async () => {
    const pings: number[] = []
    const target = await webSocketStub({
      open: (socket) => socket.on('ping', () => pings.push(1)),
      message: echo,
    })
    const upstream = linked(webSocketServerAt(target.port), { pingMs: 20, pongMs: 60 })
    const listener = hear((sink) => upstream.listen({}, sink))
    await expect.poll(() => pings.length).toBeGreaterThan(3)
    listener.exchange.pause()
    await new Promise((later) => setTimeout(later, 150))
    listener.exchange.resume()
    const heard = send(upstream, request(1))
    await heard.done
    expect([heard.ended, listener.failure]).toEqual([true, undefined])
  })

  test('that is closed says good-bye, and is closed though the server does not', async () => {
    const codes: number[] = []
    const polite = await webSocketStub({
      open: (socket) => socket.on('close', (code) => codes.push(code)),
      message: echo,
    })
    const upstream = open(webSocketServerAt(polite.port))
    await send(upstream, request(1)).done
    await upstream.close()
    await expect.poll(() => codes).toEqual([1000])
    const deaf = await webSocketStub({ open: (socket) => socket.pause() })
    const other = open(webSocketServerAt(deaf.port))
    await expect.poll(() => deaf.clients.size).toBe(1)
    const pending = send(other, request(1))
    const begin = performance.now()
    await other.close()
    await pending.done
    expect(pending.failure).toMatchObject({ gone: true })
    expect(performance.now() - begin).toBeLessThan(2000)
  })

  test('leaves no descriptor after 300 of them, however they end', async () => {
    const target = await webSocketStub({
      message: ({ id }, say, socket) =>
        Number(id) % 3 === 1 ? socket.terminate() : say({ jsonrpc: '2.0', id, result: {} }),
    })
    const all = upstreams()
    const server = webSocketServerAt(target.port)
    const descriptors = (): number => readdirSync('/proc/self/fd').length
    await all.open(server).close()
    const before = descriptors()
    for (let n = 0; n < 300; n++) {
      // Failures before the first answer are followed by a pause, which is not meant here.
      all.onServerChange({ kind: 'changed', server: { ...server, revision: n + 2 } })
      const upstream = all.open(server)
      const heard = send(upstream, request(n))
      if (n % 3 !== 2) await heard.done
      await upstream.close()
      await heard.done
    }
    await all.closeAll()
    await expect.poll(() => [all.counts().connections, target.clients.size]).toEqual([0, 0])
    await expect.poll(descriptors).toBeLessThanOrEqual(before)
  }, 30_000)
})
