// A bridge from modern callers to a scripted legacy server, and servers that ask; for the tests of that bridge.
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { Seal } from '../../src/base/seal.ts'
import {
  ModernOverLegacy,
  type ModernOverLegacyOptions,
} from '../../src/bridges/modern-over-legacy/bridge.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'
import { ScriptedWay, type Heard, type ServerSide } from './modern-calls.ts'

const sealer = new Seal(randomBytes(32))
const seal = {
  seal: (text: string) => sealer.seal(text, 'request-state'),
  open: (sealed: string) => {
    try {
      return sealer.open(sealed, 'request-state')
    } catch {
      return undefined
    }
  },
}

const opened: ModernOverLegacy[] = []

/** Closes what the test opened, and checks that nothing is left of it; for `afterEach`. */
export async function closeBridges(): Promise<void> {
  for (const bridge of opened.splice(0)) {
    await bridge.close()
    expect(bridge.counts()).toEqual({ rounds: 0, calls: 0, parked: 0, listeners: 0, subscriptions: 0 })
    expect(bridge.busy).toBe(false)
  }
}

export type More = Partial<Omit<ModernOverLegacyOptions, 'caller'>> & { readonly capabilities?: object }

export function bridgeOver(ways: ScriptedWay | ScriptedWay[], more: More = {}) {
  const { capabilities = {}, ...options } = more
  const left = Array.isArray(ways) ? ways : [ways]
  const clock = new ManualClock()
  const bridge = new ModernOverLegacy({
    transport: 'streamable-http',
    open: () => {
      const way = left.length > 1 ? left.shift() : left[0]
      if (!way) throw new GatewayError('upstream_unavailable')
      return way
    },
    caller: {
      capabilities: capabilities as never,
      clientInfo: { name: 'c', version: '1' },
      principalTag: 'me',
    },
    seal,
    clock,
    handshakeTimeoutMs: 2000,
    ...options,
  })
  opened.push(bridge)
  return { bridge, clock }
}

export const http = () => new ScriptedWay({ multiplexed: false, sessions: true })
export const stdio = () => new ScriptedWay({ multiplexed: true })
export const both = [
  ['over HTTP', http],
  ['over a connection', stdio],
] as const

export const asking = { elicitation: {}, sampling: {}, roots: {} }
export const elicit = (id: number): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id,
  method: 'elicitation/create',
  params: { message: 'name?', requestedSchema: { type: 'object', properties: {} } },
})
export const accept = (name: string) => ({ action: 'accept', content: { name } })

/** Says something where this way puts what belongs to a call. */
export const during = (way: ScriptedWay, side: ServerSide, message: JsonRpcMessage) =>
  way.say(way.multiplexed ? undefined : side, message, undefined)

/** A server that asks for a name in `ask` and greets with it. */
export function askingServer(way: ScriptedWay, questions = 1): ScriptedWay {
  way.script = (message, side) => {
    if (message.method !== 'tools/call') return {}
    if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
    for (let i = 0; i < questions; i++) during(way, side, elicit(100 + i))
    return undefined
  }
  return way
}

export async function asked(heard: Heard) {
  const { result } = await heard.answer()
  expect(result).toMatchObject({ resultType: 'input_required' })
  return result as unknown as { inputRequests: Record<string, unknown>; requestState: string }
}

export const answersOf = (way: ScriptedWay) => way.of(undefined).map(({ request }) => request)

/** Lets the server give its final answer, on the exchange of the call. */
function finish(way: ScriptedWay, side: ServerSide, result: object): void {
  way.say(side, { jsonrpc: '2.0', id: side.request.id ?? 0, result: result as never })
  if (!side.aborted) side.sink.end()
}

/** The scripted connection heads a call with its first message, as a child does. */
export function finishConnection(way: ScriptedWay, side: ServerSide, result: object): void {
  if (way.multiplexed) side.sink.head({ status: 200, contentType: 'json' })
  finish(way, side, result)
}
