// Which way a message takes to its server: straight where both speak one era, else over a bridge, alone or shared.
import { hash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { isObject } from '../base/is-object.ts'
import type { Json } from '../eras/json-object.ts'
import type { Server, ServerTransport } from '../registry/server.ts'
import type { Catalogues } from '../upstreams/catalogue.ts'
import { isPersonal, personOf, type UpstreamCaller } from '../upstreams/caller.ts'
import type { Upstreams } from '../upstreams/pool.ts'
import type { Upstream } from '../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { metaKeys, type Era } from '../wire/protocol-version.ts'
import type { Address } from './aggregate/names.ts'
import { AggregateRoutes, type Aggregates } from './aggregate/routes.ts'
import { Conversations, type Conversation, type ConversationTag } from './conversations.ts'
import { discoverServer, type DiscoverResult } from '../upstreams/discover.ts'
import { EraVerdicts } from './era-verdicts.ts'
import { findRevision, newestRevision } from '../eras/revisions.ts'
import { LegacyOverModern } from './legacy-over-modern/bridge.ts'
import { LegacyWay } from './legacy-way.ts'
import { ModernConnection } from './modern-connection.ts'
import { ModernOverLegacy } from './modern-over-legacy/bridge.ts'
import type { StateSeal } from './modern-over-legacy/parking.ts'
import { ModernWay } from './modern-way.ts'
import { OlderClient } from './older-client.ts'
import { SharedSessions } from './shared/sessions.ts'

export interface RoutesOptions<Caller> {
  readonly aggregates: Aggregates<Caller>
  /** The gateway's own server, for one caller; speaks the modern era. */
  readonly builtIn: (caller: Caller) => Upstream
  readonly upstreams: Upstreams
  readonly catalogues: Catalogues
  readonly clock: Clock
  readonly seal: StateSeal
  /** The gateway's own version, which servers see. */
  readonly version: string
  /** A registered server as it stands now. */
  readonly findServer: (id: string) => Server | undefined
  readonly limits: RouteLimits
}

export interface RouteLimits {
  /** Conversations with legacy servers on behalf of modern callers, and shared sessions. */
  readonly maxConversations: number
  readonly maxSharedSessions: number
  /** Unused for so long, either is closed. */
  readonly idleMs: number
  /** How long a server's era is believed. */
  readonly verdictTtlMs: number
  /** Of the last good lists of all members of aggregates. */
  readonly maxMemoryBytes: number
}

/** A modern caller's conversation with a server, seen as one of several principals. */
type AnyConversation = Conversation & { seenBy(principalTag: string): Upstream }

export class Routes<Caller extends UpstreamCaller> {
  readonly #options: RoutesOptions<Caller>
  readonly #aggregates: AggregateRoutes<Caller>
  readonly #verdicts: EraVerdicts
  readonly #conversations: Conversations<AnyConversation>
  readonly #shared: SharedSessions
  /** One question at a time to each server. */
  readonly #asking = new Map<string, Promise<DiscoverResult | false>>()

  constructor(options: RoutesOptions<Caller>) {
    this.#options = options
    const { clock, limits } = options
    this.#verdicts = new EraVerdicts({ clock, ttlMs: limits.verdictTtlMs })
    this.#conversations = new Conversations({
      clock,
      maxOpen: limits.maxConversations,
      idleMs: limits.idleMs,
    })
    this.#shared = new SharedSessions({ maxSessions: limits.maxSharedSessions })
    this.#aggregates = new AggregateRoutes({
      ...options,
      maxMemoryBytes: limits.maxMemoryBytes,
      way: (server, caller, message) => this.forModern(server, caller, message),
      toolSchema: (server, tool, asked) => this.#toolSchema(server, tool, asked),
    })
  }

  /** Sees to `Ways.shared`. */
  shared(server: Server, caller: UpstreamCaller): Upstream {
    return this.#options.upstreams.for(server, caller)
  }

  /** Sees to `Ways.forSession`. */
  forSession(
    server: Server,
    session: { readonly id: string; readonly principal: Caller },
    initialize: JsonRpcMessage,
  ): Upstream | undefined {
    if (server.transport.type === 'aggregate') return this.#aggregates.forSession(server, session.principal)
    if (server.transport.type === 'built-in') return this.#builtInSession(session.principal)
    if (server.sharing !== 'session')
      return this.#joinShared(server, { id: session.id, caller: session.principal })
    const own = this.#legacyWay(server, session.id, session.principal)
    const revision = findRevision(initialize.params?.['protocolVersion'])
    if (!revision || revision === newestRevision) return own
    return new OlderClient(() => own ?? this.shared(this.#current(server), session.principal), revision)
  }

  /** Sees to `Ways.forModern`. */
  forModern(server: Server, caller: Caller, message: JsonRpcMessage): Upstream {
    if (server.transport.type === 'aggregate') return this.#aggregates.forModern(server, caller)
    if (server.transport.type === 'built-in') return this.#options.builtIn(caller)
    return this.#modernWay(server, caller, message)
  }

  #builtInSession(caller: Caller): Upstream {
    const { clock, version } = this.#options
    const own = this.#options.builtIn(caller)
    const way = () => own
    return new LegacyWay({
      way,
      discover: () => discoverServer(own, { clock, version, timeoutMs: discoverTimeoutMs }),
      bridge: (discover) =>
        new LegacyOverModern({ way, discover, toolSchema: () => Promise.resolve(undefined) }),
      onLegacy: () => {},
    })
  }

  #modernWay(server: Server, caller: UpstreamCaller, message: JsonRpcMessage): Upstream {
    const { modern } = this.#verdicts.find(server)
    if (isShared(server) && modern) return this.shared(server, caller)
    if (modern !== undefined) return this.#conversation(server, caller, message)
    const way = this.#findModernWay(server, caller, message)
    return new ModernWay(server.transport.type, way)
  }

  /** Sees to `Ways.findMember`. */
  findMember(server: Server, caller: Caller, message: JsonRpcMessage): Address | undefined {
    if (server.transport.type !== 'aggregate') return undefined
    return this.#aggregates.findMember(server, caller, message)
  }

  /** Sees to `Ways.eraOf`. */
  eraOf(server: Server): Era | undefined {
    const { modern } = this.#verdicts.find(server)
    return modern === undefined ? undefined : modern ? 'modern' : 'legacy'
  }

  /** To be called for every change of the registry. */
  onServerChange(
    change:
      | { readonly kind: 'changed'; readonly server: Server }
      | { readonly kind: 'removed'; readonly id: string },
  ): void {
    const id = change.kind === 'removed' ? change.id : change.server.id
    this.#conversations.retire(id, change.kind === 'removed' ? Infinity : change.server.revision)
    if (change.kind !== 'removed') return
    this.#verdicts.forget(id)
    void this.#shared.closeWhere((key) => key.startsWith(`${id} `))
  }

  counts(): { conversations: number; sharedSessions: number } {
    const { open, draining } = this.#conversations.counts()
    return { conversations: open + draining, sharedSessions: this.#shared.counts().sessions }
  }

  async close(): Promise<void> {
    await Promise.all([this.#conversations.closeAll(), this.#shared.closeAll()])
  }

  /** Undefined where the session takes the shared pool of an HTTP server, which needs nothing in between. */
  #legacyWay(server: Server, sessionId: string, caller: UpstreamCaller): Upstream | undefined {
    const { legacy, modern } = this.#verdicts.find(server)
    const own = isShared(server) ? undefined : this.#options.upstreams.open(server, { sessionId, caller })
    if (legacy) return own
    const way = () => own ?? this.shared(this.#current(server), caller)
    const bridge = (discover: DiscoverResult) => this.#bridgeLegacy(server, way, { discover, caller })
    if (legacy === false && modern) return bridge(modern)
    return new LegacyWay({
      way,
      discover: async () => {
        const discovered = await this.#discover(server, way())
        this.#verdicts.learn(server, { modern: discovered, ...(discovered && { legacy: false }) })
        return discovered
      },
      bridge,
      onLegacy: () => this.#verdicts.learn(server, { legacy: true }),
    })
  }

  #bridgeLegacy(
    server: Server,
    way: () => Upstream,
    { discover, caller }: { discover: DiscoverResult; caller: UpstreamCaller },
  ): Upstream {
    return new LegacyOverModern({
      way,
      discover,
      toolSchema: (tool, fresh) => this.#toolSchema(server, tool, { fresh, caller }),
      onEraDoubt: () => this.#verdicts.forget(server.id),
    })
  }

  #joinShared(server: Server, { id, caller }: { id: string; caller: UpstreamCaller }): Upstream {
    const { clock, version, limits } = this.#options
    const owner = server.sharing === 'user' ? ownerOf(server, caller) : 'all'
    const key = `${server.id} ${server.revision} ${owner}`
    return this.#shared.join(key, { id }, () => ({
      transport: server.transport.type,
      open: () =>
        this.#legacyWay(this.#current(server), key, caller) ?? this.shared(this.#current(server), caller),
      clock,
      version,
      openTimeoutMs: server.timeouts.connectMs + server.timeouts.callMs,
      idleMs: Math.min(limits.idleMs, server.timeouts.idleMs),
    }))
  }

  async #findModernWay(server: Server, caller: UpstreamCaller, message: JsonRpcMessage): Promise<Upstream> {
    try {
      if (isShared(server)) {
        const modern = await this.#discover(server, this.shared(server, caller))
        this.#verdicts.learn(server, { modern })
      } else await this.#learnByVisit(server, caller)
    } catch {
      // The server is in trouble: the message meets the same, and its caller is told of it.
      return isShared(server) ? this.shared(server, caller) : this.#conversation(server, caller, message)
    }
    return this.#modernWay(server, caller, message)
  }

  /** A connection or a child of its own finds out, since on a session's a question too many may end it. */
  async #learnByVisit(server: Server, caller: UpstreamCaller): Promise<void> {
    const { era, error } = await this.#options.catalogues.get(server, caller)
    if (era === undefined) throw new Error(error?.message ?? 'the server does not say what it is')
    this.#verdicts.learn(server, era === 'modern' ? { modern: {} } : { modern: false, legacy: true })
  }

  /** What is shared by the callers of one conversation: the server, whose it is, and what its client can do. */
  #conversation(server: Server, caller: UpstreamCaller, message: JsonRpcMessage): Upstream {
    const owner = server.sharing === 'server' ? undefined : ownerOf(server, caller)
    const capabilities = metaObject(message, metaKeys.clientCapabilities) ?? {}
    const key = [server.id, server.revision, owner ?? 'all', digest(capabilities)].join(' ')
    const tag: ConversationTag = {
      serverId: server.id,
      revision: server.revision,
      ...(owner !== undefined && { userId: caller.userId }),
    }
    const client = { capabilities, clientInfo: metaObject(message, metaKeys.clientInfo) ?? {} }
    return this.#conversations
      .get(key, tag, () => this.#converse(server, { key, caller, client }))
      .seenBy(caller.userId)
  }

  #converse(
    server: Server,
    {
      key,
      caller,
      client,
    }: {
      key: string
      caller: UpstreamCaller
      client: { readonly capabilities: Json; readonly clientInfo: Json }
    },
  ): AnyConversation {
    const { clock, seal, upstreams } = this.#options
    const transport = server.transport.type
    const sessionId = digest(key)
    if (this.#verdicts.find(server).modern)
      return new ModernConnection({
        transport,
        open: () => upstreams.open(this.#current(server), { sessionId, caller }),
      })
    return new ModernOverLegacy({
      transport,
      open: () =>
        server.sharing === 'session'
          ? upstreams.open(this.#current(server), { sessionId, caller })
          : this.#joinShared(this.#current(server), { id: sessionId, caller }),
      caller: { ...client, principalTag: caller.userId },
      seal,
      clock,
      handshakeTimeoutMs: server.timeouts.connectMs + server.timeouts.callMs,
    })
  }

  #discover(server: Server, way: Upstream): Promise<DiscoverResult | false> {
    const { clock, version } = this.#options
    const key = `${server.id} ${server.revision}`
    const known = this.#asking.get(key)
    if (known) return known
    const { connectMs, callMs } = server.timeouts
    const timeoutMs = Math.min(connectMs + callMs, 10_000)
    const asking = discoverServer(way, { clock, version, timeoutMs }).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  async #toolSchema(
    server: Server,
    tool: string,
    { fresh, caller }: { fresh: boolean; caller: UpstreamCaller },
  ): Promise<unknown> {
    const { catalogues } = this.#options
    if (fresh) catalogues.invalidate(server.id)
    const { tools } = await catalogues.get(this.#current(server), caller)
    return tools.find(({ name }) => name === tool)?.inputSchema
  }

  /** A session may outlive a change of its server's registration. */
  #current(server: Server): Server {
    return this.#options.findServer(server.id) ?? server
  }
}

/** The built-in server answers at once. */
const discoverTimeoutMs = 10_000

/** Whether all sessions with a server take one pool of connections, told apart by a header of the protocol alone. */
const isShared = ({ transport }: Server): boolean =>
  transport.type === 'streamable-http' && placeOf(transport) === undefined

const placeOf = (transport: ServerTransport) => ('sessionId' in transport ? transport.sessionId : undefined)

function metaObject(message: JsonRpcMessage, key: string): Json | undefined {
  const meta = message.params?.['_meta']
  const value = isObject(meta) ? meta[key] : undefined
  return isObject(value) ? value : undefined
}

/** Who shares a conversation: one user, and no longer than what the server is told of the user is the same. */
const ownerOf = (server: Server, caller: UpstreamCaller): string =>
  isPersonal(server) ? digest(personOf(caller)) : caller.userId

/** The same text for the same capabilities, in whatever order a client writes them; ids are its beginning. */
function digest(value: unknown): string {
  const sorted = (_: string, part: unknown): unknown =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part
  return hash('sha256', JSON.stringify(value, sorted), 'base64url').slice(0, 22)
}
