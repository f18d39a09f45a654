// Guarantees of a server's access token: one request for however many calls, renewed in time, and patience after failures.
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../base/clock.ts'
import { TokenError, type IssuedToken } from './authorization-server.ts'
import { TokenSource } from './token-source.ts'

function open(answers: (IssuedToken | Error)[]) {
  const clock = new ManualClock()
  const state = { asked: 0 }
  const request = async (): Promise<IssuedToken> => {
    const answer = answers[state.asked++]
    await Promise.resolve()
    if (answer instanceof Error || !answer) throw answer ?? new Error('asked too often')
    return answer
  }
  return { clock, source: new TokenSource({ clock, request }), asked: () => state.asked }
}

describe('a token', () => {
  test('is asked for once, however many want it', async () => {
    const { source, asked } = open([{ token: 'a', expiresInS: 3600 }])
    expect(source.current).toBeUndefined()
    const tokens = await Promise.all(Array.from({ length: 100 }, () => source.get()))
    expect(new Set(tokens)).toEqual(new Set(['a']))
    expect([source.current, asked()]).toEqual(['a', 1])
  })

  test('is renewed a minute before its end, while it is still used', async () => {
    const { source, asked, clock } = open([
      { token: 'a', expiresInS: 3600 },
      { token: 'b', expiresInS: 3600 },
    ])
    await source.get()
    clock.advance(3_539_000)
    expect([source.current, asked()]).toEqual(['a', 1])
    clock.advance(2000)
    expect([source.current, source.current, asked()]).toEqual(['a', 'a', 2])
    await expect.poll(() => source.current).toBe('b')
  })

  test('is never used after its end, nor where the server refused it', async () => {
    const { source, clock } = open([{ token: 'a', expiresInS: 5 }, { token: 'b' }, { token: 'c' }])
    await source.get()
    source.accept('a')
    clock.advance(5000)
    expect(source.current).toBeUndefined()
    expect(await source.get()).toBe('b')
    clock.advance(10 ** 9)
    expect(source.current).toBe('b')
    source.refuse('a')
    expect(source.current).toBe('b')
    source.accept('b')
    source.refuse('b')
    expect(await source.get()).toBe('c')
  })
})

describe('after a failure', () => {
  test('nobody asks again for a while, and the pause grows up to 30 s', async () => {
    const failures = Array.from({ length: 8 }, (_, n) => new TokenError(`no ${n}`))
    const { source, clock, asked } = open([...failures, { token: 'a' }])
    for (const [n, pauseMs] of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000].entries()) {
      await expect(source.get()).rejects.toThrow(`no ${n}`)
      clock.advance(pauseMs - 1)
      await expect(source.get()).rejects.toThrow(`no ${n}`)
      expect(asked()).toBe(n + 1)
      clock.advance(1)
    }
    expect(await source.get()).toBe('a')
  })

  test('a token that the server never took is a failure too', async () => {
    const { source, clock, asked } = open([{ token: 'a' }, { token: 'b' }, { token: 'c' }])
    for (const pauseMs of [1000, 2000]) {
      source.refuse(await source.get())
      await expect(source.get()).rejects.toThrow('refuses')
      clock.advance(pauseMs)
    }
    source.accept(await source.get())
    expect([source.current, asked()]).toEqual(['c', 3])
  })

  test('a token that is still good goes on being used', async () => {
    const { source, clock, asked } = open([{ token: 'a', expiresInS: 100 }, new TokenError('no')])
    await source.get()
    clock.advance(95_000)
    expect(source.current).toBe('a')
    await expect.poll(() => asked()).toBe(2)
    await Promise.resolve()
    expect([source.current, asked()]).toEqual(['a', 2])
  })
})
