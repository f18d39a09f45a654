// An aggregate over scripted members, without a transport.
import { ManualClock } from '../../src/base/clock.ts'
import { AggregateMemory } from '../../src/bridges/aggregate/memory.ts'
import { AggregateWay, type AggregateLimits } from '../../src/bridges/aggregate/way.ts'
import type { Member } from '../../src/registry/bundle.ts'
import { aggregateServer } from '../../src/registry/bundle-server.ts'
import type { Server } from '../../src/registry/server.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'
import { modernRequest, ScriptedWay, sendTo, type Heard, type Script } from './modern-calls.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- what came over the wire
export type Json = Record<string, any>

/** Members by name; `ways` are their servers. */
export class Bench {
  readonly clock = new ManualClock()
  readonly memory: AggregateMemory
  readonly ways = new Map<string, ScriptedWay>()
  readonly watchers = new Set<() => void>()
  members: Member[] = []
  readonly #limits: Partial<AggregateLimits>

  constructor(limits: Partial<AggregateLimits> = {}, memory = { maxBytes: 10_000_000 }) {
    this.#limits = { deadlineMs: 300, acknowledgeMs: 300, firstPauseMs: 20, longestPauseMs: 50, ...limits }
    this.memory = new AggregateMemory({ clock: this.clock, ...memory })
  }

  /** Adds a member whose server answers as the script says. */
  add(
    name: string,
    script: Script,
    more: Partial<Server> & { view?: Omit<Member, 'server'> } = {},
  ): ScriptedWay {
    const { view, ...rest } = more
    const way = new ScriptedWay({ multiplexed: false })
    way.script = script
    this.ways.set(name, way)
    const server = { ...aggregateServer(), id: `srv_${name}`, name, ...rest }
    this.members = [...this.members, { server, ...view }]
    return way
  }

  remove(name: string): void {
    this.members = this.members.filter(({ server }) => server.name !== name)
  }

  /** Tells whoever listens that the members are others. */
  announce(): void {
    for (const watcher of this.watchers) watcher()
  }

  /** The aggregate as this principal has it. */
  way(principalTag = 'alice'): AggregateWay {
    return new AggregateWay({
      members: () => this.members,
      way: (server) => {
        const way = this.ways.get(server.name)
        if (!way) throw new Error('no way')
        return way
      },
      memory: this.memory,
      principalTag,
      version: '1.2.3',
      onMembersChanged: (listener) => {
        this.watchers.add(listener)
        return () => this.watchers.delete(listener)
      },
      about: 'Two of a kind.',
      limits: { random: () => 0.5, ...this.#limits },
    })
  }

  ask(method: string, params: object = {}, way = this.way()): Heard {
    return sendTo(way, modernRequest(method, params, { id: 'mine' }))
  }

  /** The result of a request; throws where it is an error. */
  async result(method: string, params: object = {}, way = this.way()): Promise<Json> {
    const { result, error } = await this.ask(method, params, way).answer()
    if (!result) throw new Error(`${error?.code}: ${error?.message}`)
    return result
  }

  async error(method: string, params: object = {}): Promise<JsonRpcMessage['error']> {
    return (await this.ask(method, params).answer()).error
  }
}

/** A server with these tools; anything else is unknown to it. */
export const withTools =
  (...names: string[]): Script =>
  ({ method }) =>
    method === 'tools/list'
      ? { resultType: 'complete', tools: names.map(tool), ttlMs: 5000, cacheScope: 'private' }
      : methodNotFound

/** A server that cannot be reached. */
export const down =
  (message: string): Script =>
  (_, { sink }) => {
    sink.fail({ stage: 'connect', message, sent: false })
    return undefined
  }

export const tool = (name: string) => ({ name, inputSchema: { type: 'object' } })
export const methodNotFound = { error: { code: -32601, message: 'Method not found' } }
