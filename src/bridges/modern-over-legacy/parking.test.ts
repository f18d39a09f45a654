// Random tampering with `requestState`: a parked call goes on for its own caller and request, and for nothing else.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../../../test/harness/fuzz.ts'
import { tampering } from '../../../test/harness/tampering.ts'
import { ManualClock } from '../../base/clock.ts'
import { derivedKeys, Keyring } from '../../base/keyring.ts'
import type { JsonRpcRequest } from '../../wire/json-rpc.ts'
import { Parking, type Parkable, type StateSeal } from './parking.ts'

const seed = Date.now() % 2 ** 31
console.log(`fast-check seed ${seed}`)

const keyring = new Keyring(derivedKeys(Buffer.alloc(32, 7)))
const sealFor = (context: string, keys = keyring): StateSeal => ({
  seal: (text) => keys.seal(text, context),
  open: (sealed) => {
    try {
      return keys.open(sealed, context)
    } catch {
      return undefined
    }
  },
})

const parkedMs = 1000
function parkingWith(seal = sealFor('request-state'), maxParked = 100) {
  const clock = new ManualClock()
  return { clock, parking: new Parking({ seal, clock, maxParked, parkedMs }) }
}

type Params = Readonly<Record<string, unknown>>
const request = (params: Params, method = 'tools/call'): JsonRpcRequest => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  params,
})
const callOf = (asked: JsonRpcRequest, principalTag: string): Parkable => ({
  request: asked,
  principalTag,
  expire: () => {},
})

/** As it is read from a body. */
const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const paramsOf = fc.record({ name: fc.string(), arguments: json }).map((params): Params => ({ ...params }))
const principal = fc.oneof(fc.constantFrom('usr_1', 'usr_2', ''), fc.string())

describe('a requestState', () => {
  test('that was changed in any way finds nothing, and takes nothing from the one that was not', () => {
    let changed = 0
    fc.assert(
      fc.property(paramsOf, principal, tampering, (params, tag, tamper) => {
        const { parking } = parkingWith()
        const call = callOf(request(params), tag)
        const state = parking.park(call) ?? ''
        const retry = { request: call.request, principalTag: tag }
        const tampered = tamper(state)
        if (tampered !== state) {
          changed++
          expect(parking.find(tampered, retry)).toEqual({
            fault: expect.stringMatching(/requestState .*; .*\.$/),
          })
        }
        expect(parking.find(state, retry)).toMatchObject({ call })
        expect(parking.size).toBe(1)
        parking.clear()
      }),
      { seed, numRuns: runs(2000) },
    )
    expect(changed).toBeGreaterThan(runs(1000))
  })

  test('with every single bit turned, of every byte, finds nothing', () => {
    const { parking } = parkingWith()
    const call = callOf(request({ name: 'a' }), 'usr_1')
    const state = parking.park(call) ?? ''
    const retry = { request: call.request, principalTag: 'usr_1' }
    const [version, key, nonce = '', sealed = ''] = state.split('.')
    const turned = (text: string): string[] => {
      const bytes = Buffer.from(text, 'base64url')
      return Array.from({ length: bytes.length * 8 }, (_, bit) => {
        const copy = Buffer.from(bytes)
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        return copy.toString('base64url')
      })
    }
    const all = [
      ...turned(nonce).map((each) => [version, key, each, sealed].join('.')),
      ...turned(sealed).map((each) => [version, key, nonce, each].join('.')),
    ]
    expect(all.length).toBeGreaterThan(900)
    for (const each of all) expect(parking.find(each, retry)).toHaveProperty('fault')
    expect(parking.find(state, retry)).toMatchObject({ call })
    parking.clear()
  })

  test('spliced out of two, sealed by another key or for something else, or never sealed finds nothing', () => {
    const other = new Keyring(derivedKeys(Buffer.alloc(32, 8)))
    fc.assert(
      fc.property(paramsOf, paramsOf, fc.nat(), fc.string(), (one, two, at, text) => {
        const { parking } = parkingWith()
        const [first, second] = [callOf(request(one), 'usr_1'), callOf(request(two), 'usr_1')]
        const [a = '', b = ''] = [parking.park(first), parking.park(second)]
        const retry = { request: first.request, principalTag: 'usr_1' }
        const [pa, pb] = [a.split('.'), b.split('.')]
        const spliced = pa.map((_, n) => pa.map((part, m) => (n === m ? pb[m] : part)).join('.'))
        const cut = at % a.length
        // The true text, known to the letter, is of no use without the key.
        const plain = sealFor('request-state').open(a) ?? ''
        const forged = [
          a.slice(0, cut) + b.slice(cut),
          plain,
          text,
          sealFor('request-state', other).seal(plain),
          ...['link-question', 'test', ''].map((context) => sealFor(context).seal(plain)),
        ]
        for (const each of [...spliced, ...forged])
          if (each !== a && each !== b) expect(parking.find(each, retry)).toHaveProperty('fault')
        // Sealed again it says the same, and is still not the one that was given out.
        expect(parking.find(sealFor('request-state').seal(plain), retry)).toHaveProperty('fault')
        expect(parking.find(a, retry)).toMatchObject({ call: first })
        expect(parking.find(b, { ...retry, request: second.request })).toMatchObject({ call: second })
        parking.clear()
      }),
      { seed, numRuns: runs(300) },
    )
  })

  test('is good for who got it, the request it came for, and its time: as a plain comparison has it', () => {
    const verdicts = { found: 0, refused: 0 }
    const same = fc.constant('same' as const)
    const nearly = <Value>(other: fc.Arbitrary<Value>) =>
      fc.oneof({ weight: 5, arbitrary: same }, { weight: 1, arbitrary: other.map((value) => ({ value })) })
    const change = fc.record({
      tag: nearly(principal),
      params: nearly(paramsOf),
      method: nearly(fc.constantFrom('tools/call', 'prompts/get', 'resources/read')),
      waitedMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 2 * parkedMs })),
      more: fc.record(
        { requestState: fc.string(), inputResponses: json, _meta: fc.record({ progressToken: fc.nat() }) },
        { requiredKeys: [] },
      ),
    })
    fc.assert(
      fc.property(paramsOf, principal, change, (params, tag, { waitedMs, more, ...changed }) => {
        const { parking, clock } = parkingWith()
        const call = callOf(request(params), tag)
        const state = parking.park(call) ?? ''
        const asked = {
          principalTag: changed.tag === 'same' ? tag : changed.tag.value,
          params: changed.params === 'same' ? shuffled(params) : changed.params.value,
          method: changed.method === 'same' ? 'tools/call' : changed.method.value,
        }
        clock.advance(waitedMs)
        const own =
          asked.principalTag === tag &&
          asked.method === 'tools/call' &&
          isDeepStrictEqual(asked.params, params) &&
          waitedMs < parkedMs
        const retry = {
          request: request({ ...asked.params, ...more }, asked.method),
          principalTag: asked.principalTag,
        }
        const found = parking.find(state, retry)
        verdicts[own ? 'found' : 'refused']++
        if (own) expect(found).toMatchObject({ call })
        else expect(found).toEqual({ fault: expect.stringMatching(/requestState .*; .*\.$/) })
        parking.clear()
      }),
      { seed, numRuns: runs(3000) },
    )
    expect(verdicts.found).toBeGreaterThan(runs(300))
    expect(verdicts.refused).toBeGreaterThan(runs(300))
  })

  test('is good once: in any order of tries, each call is taken by one', () => {
    fc.assert(
      fc.property(
        fc.array(principal, { minLength: 1, maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 30 }),
        (tags, tries) => {
          const { parking } = parkingWith(undefined, 5)
          const calls = tags.map((tag, n) => callOf(request({ name: String(n) }), tag))
          const states = calls.map((call) => parking.park(call))
          // The sixth has no room.
          expect(states.filter((state) => state === undefined)).toHaveLength(Math.max(0, tags.length - 5))
          const taken = new Set<number>()
          for (const [stateAt, callAt] of tries) {
            const [m, n] = [stateAt % calls.length, callAt % calls.length]
            const [state, call] = [states[m], calls[n]]
            if (state === undefined || !call) continue
            const found = parking.find(state, call)
            expect('key' in found).toBe(m === n && !taken.has(m))
            if (!('key' in found)) continue
            parking.take(found.key)
            taken.add(m)
          }
          expect(parking.size).toBe(Math.min(5, tags.length) - taken.size)
          parking.clear()
        },
      ),
      { seed, numRuns: runs(500) },
    )
  })
})

/** The same with its members in another order. */
function shuffled(params: Params): Params {
  const turn = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(turn)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([name, inner]) => [name, turn(inner)]),
    )
  }
  return turn(params) as Params
}
