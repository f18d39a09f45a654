// The ways to aggregates: one modern server made of many for each caller, and a bridge before it for legacy clients.
import type { Clock } from '../../base/clock.ts'
import type { Member } from '../../registry/bundle.ts'
import type { Server } from '../../registry/server.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import { AggregateMemory } from './memory.ts'
import { addressOf, type Address } from './names.ts'
import { AggregateWay } from './way.ts'
import { discoverServer } from '../../upstreams/discover.ts'
import { LegacyOverModern } from '../legacy-over-modern/bridge.ts'
import { LegacyWay } from '../legacy-way.ts'

/** Who is behind an aggregate, for a caller; what may not be used is not there. */
export interface Aggregates<Caller> {
  members(aggregate: Server, caller: Caller): readonly Member[]
  findMember(aggregate: Server, caller: Caller, serverName: string): Member | undefined
  /** Calls back when servers or bundles have come, gone or changed; returns how to stop. */
  onChange(listener: () => void): () => void
}

export interface AggregateRoutesOptions<Caller> {
  readonly aggregates: Aggregates<Caller>
  readonly clock: Clock
  /** The gateway's own version, which callers see. */
  readonly version: string
  /** Of the last good lists of all members. */
  readonly maxMemoryBytes: number
  /** A modern way to a member. */
  readonly way: (server: Server, caller: Caller, message: JsonRpcMessage) => Upstream
  /** The input schema of a member's tool. */
  readonly toolSchema: (
    server: Server,
    tool: string,
    asked: { readonly fresh: boolean; readonly caller: Caller },
  ) => Promise<unknown>
}

/** The members answer by themselves within their deadlines, so that this is for the worst case. */
const discoverTimeoutMs = 10_000

export class AggregateRoutes<Caller extends { readonly userId: string }> {
  readonly #options: AggregateRoutesOptions<Caller>
  readonly #memory: AggregateMemory

  constructor(options: AggregateRoutesOptions<Caller>) {
    this.#options = options
    const { clock, maxMemoryBytes } = options
    this.#memory = new AggregateMemory({ clock, maxBytes: maxMemoryBytes })
  }

  forModern(aggregate: Server, caller: Caller): Upstream {
    const { aggregates, version, way } = this.#options
    return new AggregateWay({
      members: () => aggregates.members(aggregate, caller),
      findMember: (name) => aggregates.findMember(aggregate, caller, name),
      way: (server, message) => way(server, caller, message),
      memory: this.#memory,
      principalTag: caller.userId,
      version,
      onMembersChanged: (listener) => aggregates.onChange(listener),
      about: aggregate.description,
    })
  }

  /** An aggregate has no legacy side of its own: it refuses initialize, as any modern server does. */
  forSession(aggregate: Server, caller: Caller): Upstream {
    const { clock, version, toolSchema } = this.#options
    const aggregateWay = this.forModern(aggregate, caller)
    const way = () => aggregateWay
    return new LegacyWay({
      way,
      discover: () => discoverServer(aggregateWay, { clock, version, timeoutMs: discoverTimeoutMs }),
      bridge: (discover) =>
        new LegacyOverModern({
          way,
          discover,
          toolSchema: async (name, fresh) => {
            const params = { name }
            const member = this.findMember(aggregate, caller, {
              jsonrpc: '2.0',
              method: 'tools/call',
              params,
            })
            return member?.tool === undefined
              ? undefined
              : toolSchema(member.server, member.tool, { fresh, caller })
          },
        }),
      onLegacy: () => {},
    })
  }

  /** The member that a request is for; undefined where it is for the aggregate itself, or for nothing that it shows. */
  findMember(aggregate: Server, caller: Caller, message: JsonRpcMessage): Address | undefined {
    const { aggregates } = this.#options
    const address = addressOf(message, (name) => aggregates.findMember(aggregate, caller, name))
    return address === 'unknown' ? undefined : address
  }
}
