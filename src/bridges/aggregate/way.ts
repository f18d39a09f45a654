// Several servers as one modern server, for one caller: lists are joined, everything else goes to the member it names.
import { randomUUID } from 'node:crypto'
import { readFilter } from '../../eras/change-filter.ts'
import { unknownTarget } from '../../eras/unknown-target.ts'
import type { Member } from '../../registry/bundle.ts'
import type { Server } from '../../registry/server.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from '../../upstreams/upstream.ts'
import { isRequest, resultResponse } from '../../wire/json-rpc.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import type { Era } from '../../wire/protocol-version.ts'
import { OwnExchange } from '../own-exchange.ts'
import { StreamlessWay } from '../streamless-way.ts'
import { answerDiscover } from './discover.ts'
import type { Fan, FanLimits } from './fan.ts'
import { AggregateListen, type ListenHost, type ListenLimits } from './listen.ts'
import { answerList, isList } from './lists.ts'
import type { AggregateMemory } from './memory.ts'
import { addressOf, targetOf, type Address } from './names.ts'
import { fromMember, toMember } from './rewrite.ts'
import { troubles, type Visit } from './visit.ts'

export interface AggregateLimits extends FanLimits, ListenLimits {}

export interface AggregateWayOptions {
  /** The members that the caller may use now. */
  readonly members: () => readonly Member[]
  /** One of them by its server's name, where that is cheaper than all of them. */
  readonly findMember?: (serverName: string) => Member | undefined
  /** A modern way to a member, for this message; may throw where there is none. */
  readonly way: (server: Server, message: JsonRpcMessage) => Upstream
  readonly memory: AggregateMemory
  /** Whose lists are kept apart from everybody else's. */
  readonly principalTag: string
  /** The gateway's own version, which callers see. */
  readonly version: string
  /** Calls back when members may have come, gone or changed; returns how to stop. */
  readonly onMembersChanged?: (listener: () => void) => () => void
  /** What the aggregate is; said before the members' own instructions. */
  readonly about?: string | undefined
  readonly limits?: Partial<AggregateLimits>
  readonly mintId?: () => string
}

const usualLimits: AggregateLimits = {
  deadlineMs: 5000,
  maxMembers: 200,
  maxItems: 2000,
  pageSize: 1000,
  cacheMs: 24 * 3_600_000,
  walkMs: 60_000,
  acknowledgeMs: 5000,
  firstPauseMs: 1000,
  longestPauseMs: 60_000,
  random: Math.random,
  coalesceMs: 250,
  maxUris: 1000,
}

type Asked = UpstreamRequest & { readonly message: JsonRpcRequest }

/**
 * Speaks the modern era to its caller and to its members, and holds nothing between two messages, so one may be made
 * for each message; `era` then is that of the member that got it.
 */
export class AggregateWay extends StreamlessWay {
  readonly transport = 'aggregate'
  readonly #options: AggregateWayOptions
  readonly #limits: AggregateLimits
  readonly #mintId: () => string
  readonly #working = new Set<Fan>()
  readonly #listening = new Set<AggregateListen>()
  #lastWay: Upstream | undefined

  constructor(options: AggregateWayOptions) {
    super()
    this.#options = options
    this.#limits = { ...usualLimits, ...options.limits }
    this.#mintId = options.mintId ?? randomUUID
  }

  get era(): Era {
    return this.#lastWay?.era ?? 'modern'
  }

  /** What is in memory; all zero when everything has ended. */
  get sizes(): { fanOuts: number; visits: number; listens: number; legs: number } {
    const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)
    return {
      fanOuts: this.#working.size,
      visits: sum([...this.#working].map(({ visits }) => visits.size)),
      listens: this.#listening.size,
      legs: sum([...this.#listening].map(({ legs }) => legs)),
    }
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const { message } = request
    // Notices say nothing to a server without sessions; a closed stream is what cancels.
    if (!isRequest(message)) return new OwnExchange(sink).answerBare(202)
    const asked = { ...request, message }
    const { id, method } = message
    const { members, findMember } = this.#options
    if (method === 'server/discover') return this.#discover(asked, sink)
    if (isList(method)) return this.#list(asked, sink)
    if (method === 'subscriptions/listen') return this.#listenTo(asked, sink)
    if (method === 'ping') return new OwnExchange(sink).answer(resultResponse(id, { resultType: 'complete' }))
    const address = addressOf(message, findMember ?? members())
    if (address === undefined)
      return new OwnExchange(sink).answerError(message, {
        code: -32601,
        message: 'Method not found',
        status: 404,
      })
    return address === 'unknown' ? refuseUnknown(sink, message) : this.#call(asked, sink, address)
  }

  #call(asked: Asked, sink: UpstreamSink, address: Address): UpstreamExchange {
    const { server } = address
    if (server.status === 'inactive') return new OwnExchange(sink).refuse(troubles.inactive)
    const request = toMember(asked, address)
    let way: Upstream
    try {
      way = this.#options.way(server, request.message)
    } catch (cause) {
      return new OwnExchange(sink).refuse(troubles.unreachable, cause)
    }
    this.#lastWay = way
    return way.send(request, {
      head: (head) => sink.head(head),
      message: (received) => sink.message(fromMember(received, asked.message, address)),
      end: () => sink.end(),
      fail: (failure) => sink.fail(failure),
    })
  }

  #discover(asked: Asked, sink: UpstreamSink): UpstreamExchange {
    return this.#fanOut(sink, async (fan) => ({
      text: await answerDiscover(fan, asked, this.#options.about),
    }))
  }

  #list(asked: Asked, sink: UpstreamSink): UpstreamExchange {
    return this.#fanOut(sink, (fan) => answerList(fan, asked))
  }

  /** Asks members for one answer; whoever gives up on it gives up on all of them. */
  #fanOut(
    sink: UpstreamSink,
    work: (fan: Fan) => Promise<{ text: string; message?: JsonRpcMessage }>,
  ): UpstreamExchange {
    const fan = this.#newFan()
    const exchange = new OwnExchange(sink, () => {
      this.#working.delete(fan)
      for (const visit of fan.visits) visit.end()
    })
    this.#working.add(fan)
    // What members do is part of the answer, and never a failure of the whole.
    work(fan).then(
      ({ text, message }) => exchange.answer(text, message && { message }),
      (cause: unknown) => exchange.refuse('The members could not be asked.', cause),
    )
    return exchange
  }

  #listenTo(asked: Asked, sink: UpstreamSink): UpstreamExchange {
    const filter = readFilter(asked.message.params, this.#limits.maxUris)
    if (typeof filter === 'string')
      return new OwnExchange(sink).answerError(asked.message, { code: -32602, message: filter, status: 400 })
    const host: ListenHost = {
      fan: this.#newFan(),
      listenLimits: this.#limits,
      onMembersChanged: (listener) => this.#options.onMembersChanged?.(listener) ?? (() => {}),
      ended: (listen) => this.#listening.delete(listen),
    }
    const listen = new AggregateListen(asked, sink, { filter, host })
    this.#listening.add(listen)
    return listen.start()
  }

  #newFan(): Fan {
    const { members, way, memory, principalTag, version } = this.#options
    const visits = new Set<Visit>()
    return {
      limits: this.#limits,
      memory,
      principalTag,
      version,
      mintId: this.#mintId,
      members,
      way,
      visits,
    }
  }
}

/** One answer for what is not there, what is hidden and what the caller may not use (MCP, "Tools: Error Handling"). */
function refuseUnknown(sink: UpstreamSink, message: JsonRpcRequest): UpstreamExchange {
  const { noun = 'tool', exposed } = targetOf(message) ?? {}
  if (exposed === undefined)
    return new OwnExchange(sink).answerError(message, {
      code: -32602,
      message: `The ${noun}'s ${noun === 'resource' ? 'URI' : 'name'} must be a string.`,
      status: 200,
    })
  return new OwnExchange(sink).answerError(message, { ...unknownTarget(noun, exposed), status: 200 })
}
