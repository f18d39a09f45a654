// A channel over a line that the test holds in its hands, in front of the scripted server of `calls.ts`.
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { Channel, type ChannelOptions, type ChannelOrigin } from '../../src/transports/channel/channel.ts'
import type { Closing, Line, LineListener } from '../../src/transports/channel/line.ts'
import { alice, testServer, type Calls } from './calls.ts'
import { until } from './until.ts'
import { meta, toolCall } from './mcp-http.ts'

// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any

class FakeLine implements Line {
  readonly sent: Json[] = []
  readonly raw: string[] = []
  waitingBytes = 0
  slow = false
  alive = true
  paused = false
  closed: Closing | 'terminated' | undefined
  signs = 0
  listener: LineListener | undefined

  listen(listener: LineListener): void {
    this.listener = listener
  }

  send(bytes: Uint8Array): boolean {
    const text = Buffer.from(bytes).toString()
    this.raw.push(text)
    this.sent.push(JSON.parse(text))
    if (this.slow) this.waitingBytes += bytes.length
    return !this.slow
  }

  keepAlive(): boolean {
    this.signs++
    return this.alive
  }

  pause(): boolean {
    this.paused = true
    return true
  }

  resume(): void {
    this.paused = false
  }

  close(why: Closing): void {
    this.closed ??= why
  }

  terminate(): void {
    this.closed ??= 'terminated'
  }

  /** The client has read everything. */
  drain(): void {
    this.slow = false
    this.waitingBytes = 0
    this.listener?.drained()
  }

  leave(): void {
    this.listener?.gone()
  }

  /** The message with this id, once it is there. */
  async answer(id: unknown): Promise<Json> {
    const found = (): Json => this.sent.find((message) => message.id === id && message.method === undefined)
    await until(() => found() !== undefined, `the answer to ${String(id)}`)
    return found()
  }
}

export interface Given {
  readonly origin?: Partial<ChannelOrigin>
  readonly target?: Partial<ChannelOrigin['target']>
  readonly options?: Partial<ChannelOptions>
  readonly clock?: Clock
}

/** A channel that has begun, and what was said on it. */
export function openChannel(calls: Calls, given: Given = {}) {
  const line = new FakeLine()
  let ended = 0
  const target = {
    principal: alice,
    server: testServer,
    client: { ip: '127.0.0.1', userAgent: 'test' },
    ...given.target,
  }
  const options = {
    relay: calls.relay,
    sessions: calls.sessions,
    clock: given.clock ?? systemClock,
    maxDepth: 64,
    maxBodyBytes: 100_000,
    inputSchema: () => undefined,
    ...given.options,
  }
  const origin: ChannelOrigin = { target, transport: 'websocket', eras: 'both', ...given.origin }
  const channel = new Channel(options, origin, { line, onGone: () => ended++ })
  channel.start()
  const taken: (string | undefined)[] = []
  const say = (message: object | string): string | undefined => {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    return channel.receive(Buffer.from(text), target.principal, (refusal) => taken.push(refusal?.code))?.code
  }
  const initialize = async (id: unknown = 0): Promise<Json> => {
    say({ jsonrpc: '2.0', id, method: 'initialize', params: { clientInfo: { name: 'c', version: '1' } } })
    return line.answer(id)
  }
  const initialized = (): unknown => say({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return { channel, line, taken, say, initialize, initialized, ended: () => ended }
}

export const legacyCall = toolCall
export const modernCall = (id: unknown, params: object = {}) => toolCall(id, { _meta: meta, ...params })
