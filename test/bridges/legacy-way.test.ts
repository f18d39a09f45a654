// A legacy session finds its server's era by its own initialize, and no server is asked more than it must be.
import { beforeEach, describe, expect, test } from 'vitest'
import { LegacyWay } from '../../src/bridges/legacy-way.ts'
import { ScriptedWay, Ear, clientRequest, say, settle, type Sent } from './scripted-way.ts'

const initialize = clientRequest({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } })
const discovered = { supportedVersions: ['2026-07-28'] }
let server: ScriptedWay
let bridge: ScriptedWay
let found: { discovered: number; legacy: number; answer: object | false | Error }
let way: LegacyWay
let ear: Ear

beforeEach(() => {
  server = new ScriptedWay()
  bridge = new ScriptedWay(true)
  ear = new Ear()
  found = { discovered: 0, legacy: 0, answer: discovered }
  way = new LegacyWay({
    way: () => server,
    discover: async () => {
      found.discovered++
      if (found.answer instanceof Error) throw found.answer
      return found.answer as never
    },
    bridge: () => bridge,
    onLegacy: () => found.legacy++,
  })
})

const first = (): Sent => server.sent[0] as Sent
const unknownMethod = { code: -32601, message: 'Method not found' }

describe('a server that answers initialize', () => {
  test('is legacy, and is never asked anything else; what follows goes straight', async () => {
    way.send(initialize, ear)
    say(first()).result({ protocolVersion: '2025-11-25' })
    await settle()
    expect([found, ear.last?.result, ear.ends]).toEqual([
      { discovered: 0, legacy: 1, answer: discovered },
      { protocolVersion: '2025-11-25' },
      1,
    ])
    way.send(clientRequest({ id: 2, method: 'tools/list' }), new Ear())
    expect([server.of('tools/list').length, way.multiplexed, way.era]).toEqual([1, false, undefined])
  })

  test('may stream something before its answer', async () => {
    way.send(initialize, ear)
    say(first()).head(200, 'event-stream')
    say(first()).message({ method: 'notifications/message', params: {} })
    say(first()).message({ id: 1, result: { protocolVersion: '2025-11-25' } })
    expect(ear.written.map(({ method, id }) => method ?? id)).toEqual(['notifications/message', 1])
  })
})

describe('a server that refuses initialize', () => {
  test.each([200, 400, 404])(
    'with an error under HTTP %i and answers discover is bridged',
    async (status) => {
      way.send(initialize, ear)
      say(first()).error(unknownMethod, status)
      await settle()
      expect(ear.heads).toEqual([])
      say(bridge.sent[0] as Sent).result({ protocolVersion: '2025-06-18' })
      expect([ear.last?.result, ear.ends]).toEqual([{ protocolVersion: '2025-06-18' }, 1])
      way.send(clientRequest({ id: 2, method: 'tools/list' }), new Ear())
      expect([bridge.of('tools/list').length, way.multiplexed]).toEqual([1, true])
    },
  )

  test('without any body is asked too', async () => {
    way.send(initialize, ear)
    say(first()).head(405, 'none')
    say(first()).end()
    await settle()
    expect([found.discovered, bridge.sent.length]).toEqual([1, 1])
  })

  test.each([['knows no discover', false] as const, ['cannot be asked', new Error('gone')] as const])(
    'and %s is heard in its own words',
    async (_, answer) => {
      found.answer = answer
      way.send(initialize, ear)
      say(first()).error(unknownMethod, 400)
      await settle()
      expect([ear.heads[0]?.status, ear.last?.error, ear.ends, found.legacy]).toEqual([
        400,
        unknownMethod,
        1,
        0,
      ])
    },
  )

  test('is not bridged for a client that has gone meanwhile', async () => {
    const exchange = way.send(initialize, ear)
    say(first()).error(unknownMethod)
    exchange.abort()
    await settle()
    expect([bridge.sent.length, ear.heads.length, ear.ends]).toEqual([0, 0, 0])
  })
})

test.each([401, 403, 500, 503])('HTTP %i says nothing of the era, and is passed on', async (status) => {
  way.send(initialize, ear)
  say(first()).head(status, 'none')
  say(first()).end()
  await settle()
  expect([ear.heads[0]?.status, ear.ends, found.discovered, found.legacy]).toEqual([status, 1, 0, 0])
})

test('a server that cannot be reached says nothing of its era', async () => {
  way.send(initialize, ear)
  say(first()).fail({ stage: 'connect', message: 'refused', sent: false })
  await settle()
  expect([ear.failure?.message, found.discovered, found.legacy]).toEqual(['refused', 0, 0])
})

test('a pause before the way is found holds for what is found', async () => {
  const exchange = way.send(initialize, ear)
  exchange.pause()
  say(first()).error(unknownMethod)
  await settle()
  expect([first().paused, bridge.sent[0]?.paused]).toEqual([true, true])
  exchange.resume()
  expect(bridge.sent[0]?.paused).toBe(false)
})
