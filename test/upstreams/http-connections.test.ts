// Guarantees of connections to HTTP servers: bounded, used again only where that is safe, and given back, whatever happens.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, test } from 'vitest'
import { Egress } from '../../src/upstreams/egress.ts'
import { HttpUpstream } from '../../src/upstreams/streamable-http.ts'
import { answerJson, call, cleanUp, cleanups, rawStub, run, serverAt, stub, upstreamTo } from './http-stub.ts'

afterEach(cleanUp)

const ok = (extra = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${extra}content-length: 2\r\n\r\n{}`
const limits = (maxConnections: number) => ({ maxResponseBytes: 1 << 20, maxConnections, maxSessions: 1 })
const named = (id: number) => call(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call' }))

/** A server of node:http that counts its connections. */
async function countingStub(handler = answerJson) {
  const target = await stub(handler)
  const sockets = new Set<Socket>()
  const seen = { ...target, sockets, opened: 0, most: 0 }
  target.server.on('connection', (socket) => {
    seen.opened++
    sockets.add(socket)
    seen.most = Math.max(seen.most, sockets.size)
    socket.on('close', () => sockets.delete(socket))
  })
  return seen
}

/** A server of raw bytes that says which connection each request came on. */
async function rawSockets(onRequest: (socket: Socket, nth: number) => void) {
  const order: Socket[] = []
  const target = await rawStub((socket, nth) => {
    order.push(socket)
    onRequest(socket, nth)
  })
  return { ...target, order }
}

describe('a connection', () => {
  test('carries 1,000 calls one after the other', async () => {
    const target = await countingStub()
    const upstream = upstreamTo(serverAt(target.port))
    for (let i = 0; i < 1000; i++) expect((await run(upstream)).ended).toBe(true)
    expect(target.opened).toBe(1)
  })

  test('is one of at most maxConnections, and calls take their turns in order', async () => {
    const target = await countingStub((request, response, body) => {
      setTimeout(() => answerJson(request, response, body), 1)
    })
    const upstream = upstreamTo(serverAt(target.port, { limits: limits(4) }))
    const heard = await Promise.all(Array.from({ length: 100 }, (_, id) => run(upstream, named(id))))
    expect(heard.every(({ ended }) => ended)).toBe(true)
    expect([target.opened, target.most]).toEqual([4, 4])
    const one = await countingStub()
    const narrow = upstreamTo(serverAt(one.port, { limits: limits(1) }))
    await Promise.all(Array.from({ length: 100 }, (_, id) => run(narrow, named(id))))
    expect(one.requests.map(({ body }) => JSON.parse(body).id)).toEqual(
      Array.from({ length: 100 }, (_, n) => n),
    )
    expect(one.opened).toBe(1)
  })

  test('that was used last is used next', async () => {
    const waiting: Socket[] = []
    const target = await rawSockets((socket, nth) => {
      if (nth <= 3) waiting.push(socket)
      else socket.write(ok())
    })
    const upstream = upstreamTo(serverAt(target.port))
    const calls = [run(upstream), run(upstream), run(upstream)]
    await expect.poll(() => waiting.length).toBe(3)
    for (const index of [2, 0, 1]) {
      waiting[index]?.write(ok())
      await expect.poll(() => upstream.inFlight.calls).toBe([2, 1, 0][[2, 0, 1].indexOf(index)])
    }
    await Promise.all(calls)
    await run(upstream)
    await run(upstream)
    expect(target.order.slice(3)).toEqual([waiting[1], waiting[1]])
  })

  test.each([
    ['that the server closed while it was idle', (socket: Socket) => socket.end()],
    ['that the server reset while it was idle', (socket: Socket) => socket.resetAndDestroy()],
    ['on which bytes came unasked', (socket: Socket) => socket.write(ok())],
    ['on which 408 came unasked', (socket: Socket) => socket.end('HTTP/1.1 408 Timeout\r\n\r\n')],
  ])('%s is never used', async (_, spoil) => {
    const target = await rawSockets((socket) => socket.write(ok()))
    const upstream = upstreamTo(serverAt(target.port))
    expect((await run(upstream)).ended).toBe(true)
    spoil(target.order[0] as Socket)
    await expect.poll(() => target.order[0]?.destroyed).toBe(true)
    // What the kernel knows by now, the event loop hears in its next turn.
    for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate)
    expect((await run(upstream)).ended).toBe(true)
    expect(target.order[1]).not.toBe(target.order[0])
  })

  test.each([
    ['an answer with a byte too many', `${ok()}x`],
    ['two answers at once', ok() + ok()],
    ['Connection: close', ok('connection: close\r\n')],
    ['HTTP/1.0', ok().replace('HTTP/1.1', 'HTTP/1.0')],
    ['a time limit that is within the margin', ok('keep-alive: timeout=2\r\n')],
  ])('is not used again after %s', async (_, bytes) => {
    const target = await rawSockets((socket) => socket.write(bytes))
    const upstream = upstreamTo(serverAt(target.port))
    for (let i = 0; i < 3; i++) expect((await run(upstream)).ended).toBe(true)
    expect(new Set(target.order).size).toBe(3)
    await expect.poll(() => target.order.every(({ destroyed }) => destroyed)).toBe(true)
  })

  test('that is idle is closed a margin before the server would close it', async () => {
    const target = await rawSockets((socket) => socket.write(ok('Keep-Alive: timeout=3\r\n')))
    const upstream = upstreamTo(serverAt(target.port))
    await run(upstream)
    const startedMs = performance.now()
    await expect.poll(() => target.order[0]?.destroyed, { timeout: 5000 }).toBe(true)
    expect(performance.now() - startedMs).toBeGreaterThan(900)
    expect(performance.now() - startedMs).toBeLessThan(2900)
  })

  test('takes an answer that comes before its request is written, and is not used again', async () => {
    const target = await rawSockets((socket) => socket.pause().write(ok()))
    const upstream = upstreamTo(serverAt(target.port))
    const long = call(`{"jsonrpc":"2.0","id":1,"method":"tools/call","x":"${'x'.repeat(16 << 20)}"}`)
    expect((await run(upstream, long)).ended).toBe(true)
    expect((await run(upstream)).ended).toBe(true)
    expect(target.order).toHaveLength(2)
    expect(target.order[1]).not.toBe(target.order[0])
  })

  test('writes bodies of any size as they are', async () => {
    const target = await countingStub()
    const upstream = upstreamTo(serverAt(target.port))
    const bodies = [1, 65_000, 65_536, 70_000, 3 << 20].map((size) =>
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', x: 'é'.repeat(size) }),
    )
    for (const body of bodies) expect((await run(upstream, call(body))).ended).toBe(true)
    expect(target.requests.map(({ body }) => body)).toEqual(bodies)
    expect(target.opened).toBe(1)
  })

  test('is kept for as long as a call takes, though it took less to make', async () => {
    const target = await countingStub((request, response, body) => {
      setTimeout(() => answerJson(request, response, body), 200)
    })
    const timeouts = { connectMs: 100, callMs: 1000, idleMs: 1000 }
    expect((await run(upstreamTo(serverAt(target.port, { timeouts })))).ended).toBe(true)
  })

  test('reads a head that drips in', async () => {
    const target = await rawStub((socket) => {
      const drip = (rest: string): void => {
        socket.write(rest.slice(0, 1))
        if (rest.length > 1) setImmediate(drip, rest.slice(1))
      }
      drip(ok())
    })
    expect((await run(upstreamTo(serverAt(target.port)))).ended).toBe(true)
  })

  test('on which a paused exchange ended is read again', async () => {
    const target = await rawStub((socket) =>
      socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n' +
          '9\r\ndata: 1\n\n\r\n0\r\n\r\n',
      ),
    )
    const upstream = upstreamTo(serverAt(target.port, { limits: limits(1) }))
    for (let i = 0; i < 3; i++)
      expect((await run(upstream, call(), (_, exchange) => exchange.pause())).ended).toBe(true)
  })
})

describe('an answer', () => {
  test.each([
    [
      'with a length and chunks',
      'content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    ],
    ['with two lengths', 'content-length: 2\r\ncontent-length: 3\r\n\r\n{} '],
    ['with a folded field', 'content-length: 2\r\na: b\r\n c\r\n\r\n{}'],
    ['with a bad chunk', 'transfer-encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n'],
  ])('%s fails as sent, and its connection is closed', async (_, rest) => {
    const target = await rawSockets((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${rest}`),
    )
    const heard = await run(upstreamTo(serverAt(target.port)))
    expect(heard.failure).toMatchObject({
      stage: 'call',
      sent: true,
      message: 'The server broke off: the answer is not valid HTTP.',
    })
    await expect.poll(() => target.order[0]?.destroyed).toBe(true)
  })

  test.each([
    ['ends well where it has no length', 'HTTP/1.1 200 OK\r\n\r\n{}', undefined],
    ['ends well where HTTP/1.0 has no length', 'HTTP/1.0 200 OK\r\n\r\n{}', undefined],
    [
      'fails in its body',
      'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}',
      'the body is shorter than announced',
    ],
    ['fails in its head', 'HTTP/1.1 200 OK\r\ncontent-', 'the connection was closed'],
  ])('that the close of the connection ends %s', async (_, bytes, reason) => {
    const target = await rawStub((socket) => socket.end(bytes))
    const heard = await run(upstreamTo(serverAt(target.port)))
    expect(heard.failure?.message).toBe(reason && `The server broke off: ${reason}.`)
    if (!reason) expect(heard.messages.map(({ bytes }) => String(bytes))).toEqual(['{}'])
  })

  test('of a million pieces costs memory as one of few', async () => {
    const pieces = 500_000
    const target = await rawStub((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n')
      socket.end(`${'1\r\nx\r\n'.repeat(pieces)}0\r\n\r\n`)
    })
    const before = process.memoryUsage()
    const heard = await run(upstreamTo(serverAt(target.port)))
    expect(heard.messages[0]?.bytes).toHaveLength(pieces)
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    expect(heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(80 << 20)
  })

  test('that its receiver cannot bear ends that call alone', async () => {
    const target = await countingStub()
    const upstream = upstreamTo(serverAt(target.port, { limits: limits(1) }))
    for (const method of ['head', 'message'] as const) {
      const failed = new Promise<unknown>((resolve) => {
        upstream.send(call(), {
          head: () => {},
          message: () => {},
          end: () => resolve('ended'),
          fail: resolve,
          [method]: () => {
            throw new Error('a fault of ours')
          },
        })
      })
      const next = run(upstream)
      expect(await failed).toMatchObject({
        sent: true,
        message: 'The server broke off: the connection failed.',
      })
      expect((await next).ended).toBe(true)
    }
    expect(upstream.inFlight.calls).toBe(0)
  })
})

describe('the end', () => {
  test('of an upstream fails what is in flight as sent and what waits as not sent', async () => {
    const target = await stub(() => {})
    const upstream = upstreamTo(serverAt(target.port, { limits: limits(1) }))
    const calls = [run(upstream), run(upstream)]
    await expect.poll(() => target.requests.length).toBe(1)
    await upstream.destroy()
    expect((await Promise.all(calls)).map(({ failure }) => failure?.sent)).toEqual([true, false])
    expect((await run(upstream)).failure).toMatchObject({ sent: false })
  })

  test('of a retired upstream comes when what waits has run, too', async () => {
    const target = await countingStub()
    const upstream = upstreamTo(serverAt(target.port, { limits: limits(1) }))
    const calls = [run(upstream), run(upstream), run(upstream)]
    await upstream.retire()
    expect((await Promise.all(calls)).every(({ ended }) => ended)).toBe(true)
    await expect.poll(() => target.sockets.size).toBe(0)
  })

  test('of 5,000 calls, a third of them left, leaves neither memory nor sockets', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const target = await countingStub((request, response, body) => {
      target.requests.length = 0
      // Some are never answered: who waits for them leaves.
      if (JSON.parse(body).id % 3 !== 0) answerJson(request, response, body)
    })
    const upstream = upstreamTo(serverAt(target.port, { limits: limits(8) }))
    const silent = { head: () => {}, message: () => {}, end: () => {}, fail: () => {} }
    const batch = async (count: number): Promise<void> => {
      for (let id = 0; id < count; id += 20) {
        const left = []
        const calls = []
        for (let n = id; n < id + 20; n++) {
          if (n % 3 === 0) left.push(upstream.send(named(n), silent))
          else calls.push(run(upstream, named(n)))
        }
        // Some of them leave the queue, others the server.
        for (const exchange of left.slice(3)) exchange.abort()
        await sleep(1)
        for (const exchange of left) exchange.abort()
        expect((await Promise.all(calls)).every(({ ended }) => ended)).toBe(true)
      }
      expect(upstream.inFlight).toEqual({ calls: 0, streams: 0 })
      await expect.poll(() => target.sockets.size).toBeLessThanOrEqual(8)
      collect()
    }
    await batch(1000)
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    await batch(5000)
    const after = process.memoryUsage()
    expect(after.heapUsed - heapUsed).toBeLessThan(3 << 20)
    expect(after.arrayBuffers - arrayBuffers).toBeLessThan(3 << 20)
    await upstream.destroy()
    await expect.poll(() => target.sockets.size).toBe(0)
  }, 30_000)
})

describe('connecting', () => {
  const toName = (url: string, egress: Egress, connectMs = 1000): HttpUpstream => {
    const base = serverAt(1, { timeouts: { connectMs, callMs: 1000, idleMs: 1000 } })
    const upstream = new HttpUpstream(
      { ...base, transport: { type: 'streamable-http', url } },
      { egress, maxQueued: 10 },
    )
    cleanups.push(() => upstream.destroy())
    return upstream
  }

  test('that takes too long fails as not sent: the name is not resolved in time', async () => {
    const upstream = toName('http://slow.example/', new Egress([], { resolve: () => {} }), 50)
    expect((await run(upstream)).failure).toMatchObject({
      stage: 'connect',
      sent: false,
      message: 'The server cannot be reached: the connection timed out.',
    })
    expect(upstream.inFlight.calls).toBe(0)
  })

  test('to a name that is unknown fails as not sent', async () => {
    const error = Object.assign(new Error('no'), { code: 'ENOTFOUND' })
    const upstream = toName('http://no.example/', new Egress([], { resolve: (_, done) => done(error, []) }))
    const heard = await Promise.all([run(upstream), run(upstream), run(upstream)])
    for (const { failure } of heard)
      expect(failure).toMatchObject({
        stage: 'connect',
        sent: false,
        message: 'The server cannot be reached: ENOTFOUND.',
      })
  })

  test('tries the addresses of a name in turn', async () => {
    const target = await countingStub()
    const egress = new Egress(['loopback'], {
      resolve: (_, done) =>
        done(null, [
          { address: '127.0.0.9', family: 4 },
          { address: '127.0.0.1', family: 4 },
        ]),
    })
    const upstream = toName(`http://two.example:${target.port}/mcp`, egress)
    for (let i = 0; i < 3; i++) expect((await run(upstream)).ended).toBe(true)
    expect(target.opened).toBe(1)
    expect(target.requests[0]?.headers.host).toBe(`two.example:${target.port}`)
  })

  test('of one call that fails leaves the next to try for itself', async () => {
    const target = await countingStub()
    let tries = 0
    const egress = new Egress(['loopback'], {
      resolve: (_, done) =>
        ++tries === 1 ? done(new Error('no'), []) : done(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    const upstream = toName(`http://later.example:${target.port}/mcp`, egress)
    const heard = await Promise.all([run(upstream), run(upstream)])
    expect(heard.map(({ ended, failure }) => [ended, failure?.sent])).toEqual([
      [false, false],
      [true, undefined],
    ])
  })
})
