// Random interleavings over one shared session: whatever tenants and server do, each hears of its own requests alone.
import { expect, test } from 'vitest'
import { SharedSession } from '../../src/bridges/shared/session.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import type { RequestId } from '../../src/wire/json-rpc.ts'
import {
  messageOf,
  nothingHeld,
  notice,
  request,
  ScriptedServer,
  send,
  sharedOptions,
  type Got,
  type Heard,
} from './shared-server.ts'

const ids: readonly RequestId[] = [1, '1', 2, '2', 0, '']
const tokens: readonly (RequestId | undefined)[] = [1, '1', 't', undefined]

/** mulberry32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** One request: who sent it, and all that may be said to it. */
interface Asked {
  readonly marker: string
  readonly tenant: number
  readonly id: RequestId
  readonly token: RequestId | undefined
  readonly heard: Heard
  cancelled: boolean
  aborted: boolean
  /** How many messages it had heard when it was aborted. */
  final: number
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Story {
  readonly #random: (below: number) => number
  readonly #server: ScriptedServer
  readonly #session: SharedSession
  readonly #ways: Upstream[] = []
  readonly #asked: Asked[] = []
  readonly #gone = new Set<string>()

  constructor(seed: number, multiplexed: boolean, tenants: number) {
    this.#random = randomOf(seed)
    this.#server = new ScriptedServer({ multiplexed })
    const limits = { firstBackoffMs: 0, maxBackoffMs: 0 }
    this.#session = new SharedSession(sharedOptions(this.#server, { limits }))
    for (let index = 0; index < tenants; index++) this.#ways.push(this.#session.join({ id: `${index}` }))
  }

  async play(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#step()
      if (this.#random(4) === 0) await tick()
    }
    await this.#finish()
  }

  #step(): void {
    const what = this.#random(100)
    if (what < 35) this.#ask()
    else if (what < 55) this.#answer()
    else if (what < 70) this.#progress()
    else if (what < 78) this.#cancel()
    else if (what < 83) this.#abort()
    else if (what < 90) this.#pause()
    else if (what < 95) this.#lie()
    else if (what < 98) this.#leave()
    else this.#die()
  }

  #ask(): void {
    const tenant = this.#random(this.#ways.length)
    const id = this.#pick(ids)
    const token = this.#pick(tokens)
    const marker = `m${this.#asked.length}`
    const way = this.#ways[tenant]
    if (!way || id === undefined) return
    const isWaiting = this.#asked.some((one) => one.tenant === tenant && one.id === id && this.#open(one))
    const heard = send(
      way,
      request(id, 'tools/call', { marker, ...(token !== undefined && { _meta: { progressToken: token } }) }),
    )
    // An id that is in flight already must be refused, or its answers could not be told apart.
    if (!isWaiting)
      this.#asked.push({ marker, tenant, id, token, heard, cancelled: false, aborted: false, final: 0 })
  }

  #answer(): void {
    const got = this.#pick(this.#server.held('tools/call'))
    if (got) this.#server.answer(got, { result: { marker: got.message.params?.marker } })
  }

  #progress(): void {
    const got = this.#pick(this.#server.held('tools/call'))
    if (got) this.#say(got, tokenOf(got))
  }

  /** Wrong tokens, answers to nobody, second answers, and requests of the server's own. */
  #lie(): void {
    const got = this.#pick(this.#server.got)
    if (!got) return
    this.#say(got, this.#pick<unknown>([...tokens, String(got.message.id), 1e9]))
    const lies = [{ id: String(got.message.id) }, { id: -1 }, { id: null }]
    for (const lie of lies) this.#unasked(got, { jsonrpc: '2.0', ...lie, result: { marker: 'lie' } })
    if (got.ended) this.#unasked(got, { jsonrpc: '2.0', id: got.message.id, result: { marker: 'lie' } })
    this.#unasked(got, { jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: { marker: 'lie' } })
  }

  #say(got: Got, progressToken: unknown): void {
    const marker =
      typeof progressToken === 'number' && progressToken === got.message.id ? markerOf(got) : 'lie'
    this.#unasked(got, {
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken, progress: 1, marker },
    })
  }

  /** Over HTTP a message comes with the response of some request, which need not be the one that it is about. */
  #unasked(about: Got, message: object): void {
    if (this.#server.multiplexed) {
      const listener = about.connection.listeners[0]
      if (listener && !listener.aborted && !listener.ended) listener.sink.message(messageOf(message))
      return
    }
    const carrier = this.#pick(this.#server.held('tools/call'))
    if (!carrier) return
    if (!this.#headed.has(carrier)) carrier.sink.head({ status: 200, contentType: 'event-stream' })
    this.#headed.add(carrier)
    if (!carrier.aborted) carrier.sink.message(messageOf(message))
  }

  readonly #headed = new WeakSet<Got>()

  #cancel(): void {
    const tenant = this.#random(this.#ways.length)
    const requestId = this.#pick<unknown>([...ids, ...this.#server.got.map(({ message }) => message.id)])
    for (const one of this.#asked)
      if (one.tenant === tenant && one.id === requestId && this.#open(one)) one.cancelled = true
    const way = this.#ways[tenant]
    if (way) send(way, notice('notifications/cancelled', { requestId, by: tenant }))
  }

  #abort(): void {
    const one = this.#pick(this.#asked.filter((asked) => this.#open(asked)))
    if (!one) return
    one.aborted = true
    one.final = one.heard.messages.length
    one.heard.exchange.abort()
  }

  #pause(): void {
    const one = this.#pick(this.#asked)
    if (this.#random(2) === 0) one?.heard.exchange.pause()
    else one?.heard.exchange.resume()
  }

  #leave(): void {
    const tenant = this.#random(this.#ways.length)
    for (const one of this.#asked) if (one.tenant === tenant && this.#open(one)) this.#gone.add(one.marker)
    void this.#ways[tenant]?.close()
    this.#ways[tenant] = this.#session.join({ id: `${tenant}` })
  }

  #die(): void {
    if (this.#server.multiplexed) this.#server.connections.at(-1)?.die()
  }

  #open({ heard, aborted }: Asked): boolean {
    return !heard.ended && !heard.failure && !aborted
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#random(Math.max(1, from.length))]
  }

  async #finish(): Promise<void> {
    const deadline = performance.now() + 10_000
    while (this.#asked.some((one) => this.#open(one))) {
      for (const { heard } of this.#asked) heard.exchange.resume()
      for (const got of this.#server.held('tools/call'))
        this.#server.answer(got, { result: { marker: markerOf(got) } })
      if (performance.now() > deadline) throw new Error('some requests are never answered')
      await tick()
    }
    for (const asked of this.#asked) this.#check(asked)
    this.#checkCancellations()
    for (const way of this.#ways) await way.close()
    await tick()
    expect(this.#session.counts()).toEqual(nothingHeld)
    await this.#session.close()
  }

  #check(asked: Asked): void {
    const { marker, id, token, heard, aborted, final } = asked
    if (aborted) expect(heard.messages).toHaveLength(final)
    heard.messages.forEach((message, index) => {
      if (message.method === undefined) {
        expect(message).toEqual({ jsonrpc: '2.0', id, result: { marker } })
        expect(index).toBe(heard.messages.length - 1)
      } else
        expect(message).toEqual({
          jsonrpc: '2.0',
          method: 'notifications/progress',
          params: { progressToken: token, progress: 1, marker },
        })
    })
    if (heard.ended) expect(heard.messages.at(-1)).toHaveProperty('result')
  }

  /** The server is told of a cancellation only by whom the request belongs to. */
  #checkCancellations(): void {
    for (const { message, connection } of this.#server.got) {
      if (message.method !== 'notifications/cancelled') continue
      const { requestId, by } = message.params ?? {}
      const target = this.#server.got.find(
        (got) => got.message.id === requestId && got.connection === connection,
      )
      const asked = this.#asked.find(({ marker }) => target && marker === markerOf(target))
      expect(asked).toBeDefined()
      if (!asked) continue
      if (by === undefined) expect(this.#gone.has(asked.marker)).toBe(true)
      else expect({ by, cancelled: asked.cancelled }).toEqual({ by: asked.tenant, cancelled: true })
    }
  }
}

const markerOf = (got: Got): string => String(got.message.params?.marker)

function tokenOf({ message }: Got): unknown {
  const meta = message.params?._meta as { progressToken?: unknown } | undefined
  return meta?.progressToken ?? 'none'
}

const seed = Math.floor(Math.random() * 2 ** 31)

test.each([true, false])(
  `everybody hears of their own alone (multiplexed: %s, seed ${seed})`,
  async (multiplexed) => {
    for (let round = 0; round < 60; round++) {
      const tenants = 1 + (round % 8)
      await new Story(seed + round, multiplexed, tenants).play(400)
    }
  },
)

test('two hundred clients that all count from 1 over one session never meet an answer of another', async () => {
  const server = new ScriptedServer()
  const session = new SharedSession(sharedOptions(server))
  const ways = Array.from({ length: 200 }, (_, index) => session.join({ id: `${index}` }))
  for (let round = 0; round < 50; round++) {
    const heard = ways.map((way, index) =>
      send(way, request(1, 'tools/call', { marker: `${index}.${round}` })),
    )
    await tick()
    for (const got of server.held('tools/call').toReversed())
      server.answer(got, { result: { marker: markerOf(got) } })
    await Promise.all(heard.map(({ done }) => done))
    heard.forEach(({ messages }, index) =>
      expect(messages).toEqual([{ jsonrpc: '2.0', id: 1, result: { marker: `${index}.${round}` } }]),
    )
    server.got.length = 0
  }
  await session.close()
})
