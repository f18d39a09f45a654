// Guarantees of an HTTP exchange: what was not sent is told as such, aborts are silent, pauses lose nothing.
import { afterEach, describe, expect, test } from 'vitest'
import { answerJson, call, cleanUp, cleanups, run, serverAt, stub, upstreamTo } from './http-stub.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { HttpUpstream } from '../../src/upstreams/streamable-http.ts'
import type { UpstreamFailure } from '../../src/upstreams/upstream.ts'

afterEach(cleanUp)

describe('a failure before sending', () => {
  test('is told as not sent: nobody listens', async () => {
    const target = await stub(answerJson)
    target.server.close()
    const upstream = upstreamTo(serverAt(target.port))
    const all = await Promise.all(Array.from({ length: 20 }, () => run(upstream)))
    for (const heard of all) expect(heard.failure).toMatchObject({ stage: 'connect', sent: false })
    expect(upstream.inFlight.calls).toBe(0)
  })

  test('is told as egress where the resolved address is not allowed', async () => {
    const target = await stub(answerJson)
    const server = serverAt(target.port)
    const resolve = (_: string, done: (e: null, a: { address: string; family: number }[]) => void): void =>
      done(null, [{ address: '127.0.0.1', family: 4 }])
    const transport = { type: 'streamable-http', url: `http://rebound.example:${target.port}/` } as const
    const upstream = new HttpUpstream(
      { ...server, transport },
      { egress: new Egress([], { resolve }), maxQueued: 1 },
    )
    cleanups.push(() => upstream.destroy())
    expect((await run(upstream)).failure).toMatchObject({ stage: 'egress', sent: false })
    expect(target.requests).toEqual([])
  })

  test('is told as not sent after the upstream was retired, and what was in flight still ends', async () => {
    let release = (): void => {}
    const target = await stub((request, response, body) => {
      release = () => answerJson(request, response, body)
    })
    const upstream = upstreamTo(serverAt(target.port))
    const first = run(upstream)
    await expect.poll(() => target.requests.length).toBe(1)
    void upstream.retire()
    expect((await run(upstream)).failure).toMatchObject({ sent: false })
    release()
    expect((await first).ended).toBe(true)
  })

  test('is told as not sent where a header cannot be written', async () => {
    const target = await stub(answerJson)
    const heard = await run(upstreamTo(serverAt(target.port)), {
      ...call(),
      headers: { 'mcp-name': 'a\r\nX-Evil: 1' },
    })
    expect(heard.failure).toMatchObject({ sent: false })
    expect(target.requests).toEqual([])
  })

  test('is told as not sent where too many calls wait', async () => {
    const target = await stub(() => {})
    const upstream = upstreamTo(serverAt(target.port), 2)
    for (let i = 0; i < 6; i++) void run(upstream)
    expect((await run(upstream)).failure).toMatchObject({ sent: false })
    expect(upstream.inFlight.calls).toBe(6)
  })
})

describe('an abort', () => {
  test('silences the sink and closes the stream at the server', async () => {
    let closed = false
    const target = await stub((_, response) => {
      response.on('close', () => (closed = true))
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\ndata: 2\n\n')
    })
    const upstream = upstreamTo(serverAt(target.port))
    let after = 0
    await new Promise<void>((done) => {
      const exchange = upstream.send(call(), {
        head: () => {},
        message: () => {
          after++
          exchange.abort()
          exchange.abort()
          done()
        },
        end: () => after++,
        fail: () => after++,
      })
    })
    await expect.poll(() => closed).toBe(true)
    expect(after).toBe(1)
    expect(upstream.inFlight.calls).toBe(0)
  })

  test('of a call that waits for a connection keeps it from being sent, and the others go on', async () => {
    const release: (() => void)[] = []
    const target = await stub((request, response, body) => {
      release.push(() => answerJson(request, response, body))
    })
    const limits = { maxResponseBytes: 1000, maxConnections: 1, maxSessions: 1 }
    const upstream = upstreamTo(serverAt(target.port, { limits }))
    const first = run(upstream)
    await expect.poll(() => target.requests.length).toBe(1)
    const silent = { head: fail, message: fail, end: fail, fail }
    const waiting = upstream.send(call('{"jsonrpc":"2.0","id":2,"method":"never"}'), silent)
    const third = run(upstream, call('{"jsonrpc":"2.0","id":3,"method":"third"}'))
    waiting.abort()
    release.shift()?.()
    expect((await first).ended).toBe(true)
    await expect.poll(() => release.length).toBe(1)
    release.shift()?.()
    expect((await third).ended).toBe(true)
    expect(target.requests.map(({ body }) => JSON.parse(body).method)).toEqual(['tools/call', 'third'])
    expect(upstream.inFlight.calls).toBe(0)
  })

  function fail(): never {
    throw new Error('the sink was called after abort')
  }
})

test('a paused exchange stops reading and goes on without loss', async () => {
  const events = 4000
  const event = `data: ${'x'.repeat(1000)}\n\n`
  let written = 0
  const target = await stub((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const pump = (): void => {
      while (written < events) {
        written++
        if (!response.write(event)) {
          response.once('drain', pump)
          return
        }
      }
      response.end()
    }
    pump()
  })
  let paused = 0
  const heard = await run(upstreamTo(serverAt(target.port)), call(), ({ messages }, exchange) => {
    if (messages.length % 500 !== 0) return
    paused++
    exchange.pause()
    setTimeout(() => exchange.resume(), 10)
  })
  expect(heard.messages).toHaveLength(events)
  expect(heard.ended).toBe(true)
  expect(paused).toBe(8)
})

test('open streams never keep calls from a connection', async () => {
  const target = await stub((request, response, body) => {
    if (request.method === 'GET')
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    else answerJson(request, response, body)
  })
  const limits = { maxResponseBytes: 1000, maxConnections: 1, maxSessions: 3 }
  const upstream = upstreamTo(serverAt(target.port, { limits }))
  const heads: number[] = []
  const failures: UpstreamFailure[] = []
  for (let i = 0; i < 4; i++)
    upstream.listen(
      { 'last-event-id': '7', 'mcp-session-id': 's' },
      {
        head: (head) => heads.push(head.status),
        message: () => {},
        end: () => {},
        fail: (failure) => failures.push(failure),
      },
    )
  await expect.poll(() => heads.length).toBe(3)
  expect(failures).toMatchObject([{ sent: false }])
  expect((await run(upstream)).ended).toBe(true)
  expect(target.requests.find(({ method }) => method === 'GET')?.headers).toMatchObject({
    accept: 'text/event-stream',
    'last-event-id': '7',
  })
})

test('the end of a session is a DELETE, and its status is told', async () => {
  const target = await stub((_, response) => response.writeHead(405).end())
  const upstream = upstreamTo(serverAt(target.port))
  expect(await upstream.endSession({ 'mcp-session-id': 's' })).toBe(405)
  expect(target.requests[0]).toMatchObject({ method: 'DELETE', headers: { 'mcp-session-id': 's' } })
  await upstream.destroy()
  expect(await upstream.endSession({})).toBe(0)
})
