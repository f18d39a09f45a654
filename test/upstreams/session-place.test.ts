// Guarantees of `sessionId` places: each session's id stands where its server wants it, and nowhere else.
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import type { Server, SessionIdPlace } from '../../src/registry/server.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import { answerJson, call, cleanUp, cleanups, run, serverAt, stub } from './http-stub.ts'
import { sseServerAt, sseStub } from './sse-stub.ts'
import { request, send } from './stdio-stub.ts'
import { webSocketServerAt, webSocketStub } from './web-socket-stub.ts'

afterEach(cleanUp)

function upstreams(): Upstreams {
  const egress = new Egress(['loopback'])
  const all = new Upstreams({ egress, clock: new ManualClock(), environment: {} })
  cleanups.push(() => all.closeAll())
  return all
}

const httpServer = (port: number, sessionId: SessionIdPlace, more: Partial<Server> = {}): Server => {
  const path = sessionId.in === 'path' ? `/s/{${sessionId.name}}/mcp` : '/mcp'
  const transport = { type: 'streamable-http', url: `http://127.0.0.1:${port}${path}`, sessionId } as const
  return { ...serverAt(port, more), transport }
}

describe('over HTTP', () => {
  test.each([
    [{ in: 'query', name: 'sid' }, '/mcp?sid=ses_1', undefined],
    [{ in: 'header', name: 'X-Sid' }, '/mcp', 'ses_1'],
    [{ in: 'path', name: 'sid' }, '/s/ses_1/mcp', undefined],
  ] as const)('every request of a session has it at %j', async (place, url, header) => {
    const target = await stub(answerJson)
    const upstream = upstreams().open(httpServer(target.port, place), { sessionId: 'ses_1' })
    await run(upstream)
    await new Promise<void>((done) => {
      upstream.listen({}, { head: () => {}, message: () => {}, end: () => done(), fail: () => done() })
    })
    await upstream.endSession({ 'mcp-session-id': 's1' })
    expect(target.requests.map(({ method }) => method)).toEqual(['POST', 'GET', 'DELETE'])
    for (const seen of target.requests) {
      expect(seen.url).toBe(url)
      expect(seen.headers['x-sid']).toBe(header)
    }
    // The protocol's own header is another matter.
    expect(target.requests[0]?.headers['mcp-session-id']).toBe('s1')
  })

  test('sessions share one pool, and each has its own id; the credential stays where it was', async () => {
    const target = await stub(answerJson)
    const all = upstreams()
    const auth = { type: 'api-key', in: 'query', name: 'key', value: 'k' } as const
    const server = httpServer(target.port, { in: 'query', name: 'sid' }, { auth })
    const ways = ['ses_a', 'ses_b'].map((sessionId) => all.open(server, { sessionId }))
    await Promise.all([...ways, ...ways].map((way) => run(way)))
    expect(target.requests.map(({ url }) => url).toSorted()).toEqual([
      '/mcp?key=k&sid=ses_a',
      '/mcp?key=k&sid=ses_a',
      '/mcp?key=k&sid=ses_b',
      '/mcp?key=k&sid=ses_b',
    ])
    expect(all.counts().pools).toBe(1)
    await ways[0]?.close()
    expect((await run(ways[1]!)).ended).toBe(true)
  })

  test('who has no session is given an id that stays, and another one next time', async () => {
    const target = await stub(answerJson)
    const all = upstreams()
    const server = httpServer(target.port, { in: 'path', name: 'sid' })
    for (const way of [all.open(server), all.open(server)]) for (const _ of [1, 2]) await run(way)
    const ids = target.requests.map(({ url }) => /^\/s\/(ses_[0-9a-z]{26})\/mcp$/.exec(url)?.[1])
    expect(ids[0]).toBeDefined()
    expect([ids[1], ids[3]]).toEqual([ids[0], ids[2]])
    expect(ids[2]).not.toBe(ids[0])
  })

  test('a server without a place costs no view', () => {
    const all = upstreams()
    const server = serverAt(1)
    expect(all.open(server, { sessionId: 'ses_1' })).toBe(all.for(server))
  })

  test('a view is of one revision: later it says that the registration has changed', async () => {
    const target = await stub(answerJson)
    const all = upstreams()
    const server = httpServer(target.port, { in: 'query', name: 'sid' })
    const view = all.open(server, { sessionId: 'ses_1' })
    all.onServerChange({ kind: 'changed', server: { ...server, revision: 2 } })
    expect((await run(view, call())).failure).toMatchObject({
      sent: false,
      message: expect.stringContaining('registration'),
    })
  })
})

describe('on a connection', () => {
  test('over HTTP+SSE it stands in the stream and in each message', async () => {
    const target = await sseStub({ post: ({ id }, say) => say({ jsonrpc: '2.0', id, result: {} }) })
    const all = upstreams()
    for (const place of [
      { in: 'query', name: 'sid' },
      { in: 'header', name: 'X-Sid' },
    ] as const) {
      const server = { ...sseServerAt(target.port, {}, { sessionId: place }), id: `srv_${place.in}` }
      await send(all.open(server, { sessionId: 'ses_1' }), request(1)).done
    }
    expect(target.hits.map(({ url, headers }) => [url, headers['x-sid']])).toEqual([
      ['/sse?sid=ses_1', undefined],
      ['/messages?sessionId=1&sid=ses_1', undefined],
      ['/sse', 'ses_1'],
      ['/messages?sessionId=1', 'ses_1'],
    ])
  })

  test('over HTTP+SSE it stands in both paths, and never twice in a query', async () => {
    const target = await sseStub({ endpoint: '/m?sid=own' })
    const all = upstreams()
    const base = `http://127.0.0.1:${target.port}`
    const inPath = sseServerAt(
      target.port,
      {},
      { url: `${base}/{s}/sse`, messageUrl: `${base}/{s}/m`, sessionId: { in: 'path', name: 's' } },
    )
    const inQuery = sseServerAt(target.port, { id: 'srv_2' }, { sessionId: { in: 'query', name: 'sid' } })
    for (const server of [inPath, inQuery])
      await send(all.open(server, { sessionId: 'ses_1' }), { jsonrpc: '2.0', method: 'x' }).done
    expect(target.hits.map(({ url }) => url)).toEqual([
      '/ses_1/sse',
      '/ses_1/m?sid=own',
      '/sse?sid=ses_1',
      '/m?sid=own',
    ])
  })

  test('over WebSocket it stands in the handshake', async () => {
    const target = await webSocketStub({ message: ({ id }, say) => say({ jsonrpc: '2.0', id, result: {} }) })
    const all = upstreams()
    const base = `ws://127.0.0.1:${target.port}`
    const places = [
      [`${base}/ws`, { in: 'query', name: 'sid' }],
      [`${base}/ws`, { in: 'header', name: 'X-Sid' }],
      [`${base}/{sid}`, { in: 'path', name: 'sid' }],
    ] as const
    for (const [url, sessionId] of places) {
      const server = webSocketServerAt(0, { id: `srv_${sessionId.in}` }, { url, sessionId })
      await send(all.open(server, { sessionId: 'ses_1' }), request(1)).done
    }
    expect(target.handshakes.map(({ url, headers }) => [url, headers['x-sid']])).toEqual([
      ['/ws?sid=ses_1', undefined],
      ['/ws', 'ses_1'],
      ['/ses_1', undefined],
    ])
  })

  test('an id that is no plain text reaches no server', () => {
    const server = webSocketServerAt(1, {}, { sessionId: { in: 'header', name: 'x' } })
    for (const sessionId of ['a\r\nb', 'a/b', '', 'x'.repeat(200)])
      expect(() => upstreams().open(server, { sessionId })).toThrow(
        expect.objectContaining({ code: 'internal' }),
      )
  })
})
