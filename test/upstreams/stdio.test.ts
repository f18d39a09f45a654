// Guarantees of stdio upstreams: every answer finds its caller, and the server's own messages find a listener.
import { afterEach, describe, expect, test } from 'vitest'
import { cleanUp, hear, request, script, send, start } from './stdio-stub.ts'

afterEach(cleanUp)

describe('a message', () => {
  test('is answered to its caller, by id and type, in any order', async () => {
    const upstream = start(
      script(`
        const seen = []
        listen(({ id }) => {
          seen.push(id)
          if (seen.length === 3) for (const one of seen.reverse()) answer(one, { was: one })
        })`),
    )
    const calls = [1, '1', 2].map((id) => send(upstream, request(id)))
    await Promise.all(calls.map(({ done }) => done))
    expect(calls.map(({ messages }) => messages[0]?.message?.result)).toEqual([
      { was: 1 },
      { was: '1' },
      { was: 2 },
    ])
    expect(calls[0]?.head).toEqual({ status: 200, contentType: 'json' })
  })

  test('spread over lines reaches the child as one line, its strings unchanged', async () => {
    const upstream = start(script('listen(({ id }, line) => answer(id, { line }))'))
    const body = '{\r\n "jsonrpc":"2.0",\n "id":1,"method":"m","params":{"a":"x\\ny"}}'
    const heard = send(upstream, JSON.parse(body), body)
    await heard.done
    expect(heard.messages[0]?.message?.result).toEqual({
      line: body.replace('\r\n', '  ').replace('\n', ' '),
    })
  })

  test('without an id is accepted at once', async () => {
    const upstream = start(script('listen(() => {})'))
    const heard = send(upstream, { jsonrpc: '2.0', method: 'notifications/initialized' })
    await heard.done
    expect(heard).toMatchObject({ head: { status: 202, contentType: 'none' }, ended: true })
  })

  test('with an id that is in flight is refused, and the first keeps its answer', async () => {
    const upstream = start(script('listen(({ id }) => setTimeout(() => answer(id), 50))'))
    const first = send(upstream, request(1))
    const second = send(upstream, request(1))
    await Promise.all([first.done, second.done])
    expect(second.failure).toMatchObject({ sent: false })
    expect(first.ended).toBe(true)
  })

  test('answered twice, wrongly, or with noise around disturbs nobody', async () => {
    const upstream = start(
      script(`
        console.log('Server ready!')
        console.log('[1,2]')
        listen(({ id }) => { answer(99); say({ jsonrpc: '2.0', id: null, result: {} }); answer(id); answer(id) })`),
    )
    for (const id of [1, 2, 1]) {
      const heard = send(upstream, request(id))
      await heard.done
      expect(heard.messages).toHaveLength(1)
    }
  })

  test('that was aborted is not heard of again, and the session goes on', async () => {
    const upstream = start(script('listen(({ id }) => setTimeout(() => answer(id), 30))'))
    const heard = send(upstream, request(1))
    heard.exchange.pause()
    heard.exchange.abort()
    const next = send(upstream, request(2))
    await next.done
    expect(heard).toMatchObject({ head: undefined, ended: false, failure: undefined })
  })
})

describe('a message of the server', () => {
  test('with a progress token goes to the call that gave it, before its answer', async () => {
    const upstream = start(
      script(`
        const waiting = []
        listen(({ id, params }) => {
          waiting.push([id, params._meta.progressToken])
          if (waiting.length < 2) return
          for (const [, progressToken] of waiting)
            say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } })
          for (const [id] of waiting) answer(id)
        })`),
    )
    const calls = ['a', 7].map((token, id) =>
      send(upstream, request(id, { _meta: { progressToken: token } })),
    )
    await Promise.all(calls.map(({ done }) => done))
    expect(calls.map(({ messages }) => messages[0]?.message?.params?.progressToken)).toEqual(['a', 7])
    expect(calls.map(({ messages }) => messages.length)).toEqual([2, 2])
    expect(calls[0]?.head?.contentType).toBe('event-stream')
  })

  test('goes to the listener if there is one, else to the newest call, else waits, bounded', async () => {
    const upstream = start(
      script(`
        listen(({ id, method }) => {
          if (method === 'tools/call') {
            say({ jsonrpc: '2.0', id: 'ask', method: 'ping' })
            answer(id)
            return
          }
          for (let n = 0; n < 6; n++) say({ jsonrpc: '2.0', method: 'notifications/message', params: { n } })
          told()
        })`),
    )
    await send(upstream, { jsonrpc: '2.0', method: 'notifications/go' }).done
    await expect.poll(() => upstream.lastStderr).toEqual(['told'])
    const call = send(upstream, request(1))
    await call.done
    expect(call.messages.map(({ message }) => message?.method)).toEqual(['ping', undefined])
    const listener = hear((sink) => upstream.listen({}, sink))
    await expect.poll(() => listener.messages.length).toBe(3)
    expect(listener.messages.map(({ message }) => message?.params?.n)).toEqual([3, 4, 5])
    const second = send(upstream, request(2))
    await second.done
    expect(second.messages).toHaveLength(1)
    expect(listener.messages.at(-1)?.message?.id).toBe('ask')
    const another = hear((sink) => upstream.listen({}, sink))
    await another.done
    expect(another.failure).toMatchObject({ sent: false })
  })

  test('that waits is bounded in bytes too; the newest is kept, whatever its size', async () => {
    const upstream = start(
      script(`
        listen(() => {
          const tell = (n, size) =>
            say({ jsonrpc: '2.0', method: 'notifications/message', params: { n, data: 'x'.repeat(size) } })
          tell(1, 700_000)
          tell(2, 700_000)
          tell(3, 100)
          told()
        })`),
    )
    await send(upstream, { jsonrpc: '2.0', method: 'notifications/go' }).done
    await expect.poll(() => upstream.lastStderr).toEqual(['told'])
    const listener = hear((sink) => upstream.listen({}, sink))
    await expect.poll(() => listener.messages.length).toBe(2)
    expect(listener.messages.map(({ message }) => message?.params?.n)).toEqual([2, 3])
  })

  test('is held back by a pause, and nothing is lost', async () => {
    const upstream = start(
      script(`
        listen(({ id }) => {
          for (let n = 0; n < 20000; n++)
            say({ jsonrpc: '2.0', method: 'notifications/message', params: { n, pad: 'x'.repeat(100) } })
          answer(id)
        })`),
    )
    const heard = send(upstream, request(1))
    await expect.poll(() => heard.messages.length).toBeGreaterThan(0)
    heard.exchange.pause()
    const before = heard.messages.length
    expect(before).toBeLessThan(20000)
    heard.exchange.resume()
    await heard.done
    expect(heard.messages).toHaveLength(20001)
  })
})
