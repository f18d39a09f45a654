// Guarantees of the pool of conversations.
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../../test/harness/until.ts'
import { ManualClock } from '../base/clock.ts'
import { Conversations } from './conversations.ts'

class Talk {
  busy = false
  closed = 0

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }
}

const pools: Conversations<Talk>[] = []
afterEach(async () => {
  for (const pool of pools.splice(0)) {
    await pool.closeAll()
    expect(pool.counts()).toEqual({ open: 0, busy: 0, draining: 0 })
  }
})

function newPool(maxOpen = 2, idleMs = 1000) {
  const clock = new ManualClock()
  const pool = new Conversations<Talk>({ clock, maxOpen, idleMs })
  pools.push(pool)
  const get = (key: string, tag: { serverId?: string; revision?: number; userId?: string } = {}) =>
    pool.get(key, { serverId: 's', revision: 1, ...tag }, () => new Talk())
  return { clock, pool, get }
}

describe('the pool', () => {
  test('gives everybody with the same key the same conversation', () => {
    const { get } = newPool()
    expect(get('a')).toBe(get('a'))
    expect(get('a')).not.toBe(get('b'))
  })

  test('closes what was idle for too long, and nothing that is in use or was just used', () => {
    const { clock, pool, get } = newPool(3)
    const [idle, busy] = [get('idle'), get('busy')]
    busy.busy = true
    clock.advance(999)
    const fresh = get('fresh')
    pool.sweep()
    expect(pool.counts()).toEqual({ open: 3, busy: 1, draining: 0 })
    clock.advance(1)
    pool.sweep()
    expect([idle.closed, busy.closed, fresh.closed]).toEqual([1, 0, 0])
    busy.busy = false
    clock.advance(998)
    pool.sweep()
    expect(busy.closed).toBe(0)
    clock.advance(2)
    pool.sweep()
    expect([busy.closed, fresh.closed]).toEqual([1, 1])
  })

  test('sweeps by itself', async () => {
    const { clock, pool, get } = newPool(2, 40)
    get('a')
    clock.advance(40)
    await until(() => pool.counts().open === 0)
  })

  test('makes room by closing the idle one that was used least lately', () => {
    const { get } = newPool()
    const [a, b] = [get('a'), get('b')]
    get('a')
    get('c')
    expect([a.closed, b.closed]).toEqual([0, 1])
  })

  test('refuses a new one while all are in use', () => {
    const { get } = newPool()
    const [a, b] = [get('a'), get('b')]
    a.busy = b.busy = true
    expect(() => get('c')).toThrow(expect.objectContaining({ code: 'overloaded' }))
    expect(get('a')).toBe(a)
    expect([a.closed, b.closed]).toEqual([0, 0])
  })

  test('lets conversations of an older revision end with their last caller', () => {
    const { pool, get } = newPool(4)
    const [old, used, other] = [get('old'), get('used'), get('other', { serverId: 't' })]
    used.busy = true
    pool.retire('s', 2)
    expect([old.closed, used.closed, other.closed]).toEqual([1, 0, 0])
    expect(pool.counts()).toEqual({ open: 1, busy: 0, draining: 1 })
    expect(get('used', { revision: 2 })).not.toBe(used)
    used.busy = false
    pool.sweep()
    expect(used.closed).toBe(1)
    expect(pool.counts().draining).toBe(0)
  })

  test('closes at once what is chosen, draining ones included', async () => {
    const { pool, get } = newPool(4)
    const [mine, yours, drained] = [
      get('a', { userId: 'me' }),
      get('b', { userId: 'you' }),
      get('c', { userId: 'me', serverId: 't' }),
    ]
    drained.busy = mine.busy = true
    pool.retire('t', Infinity)
    await pool.closeWhere(({ userId }) => userId === 'me')
    expect([mine.closed, yours.closed, drained.closed]).toEqual([1, 0, 1])
    expect(get('a', { userId: 'me' })).not.toBe(mine)
  })

  test('opens nothing once it is closed', async () => {
    const { pool, get } = newPool()
    const a = get('a')
    a.busy = true
    await pool.closeAll()
    expect(a.closed).toBe(1)
    expect(() => get('a')).toThrow(expect.objectContaining({ code: 'shutting_down' }))
  })
})
