// One `subscriptions/listen` of an aggregate's caller: one at each member, acknowledged once, their changes told as one.
import { isObject } from '../../base/is-object.ts'
import {
  coversUri,
  listChanges,
  listenFilter,
  resourceUpdated,
  subscriptionIdKey,
  type ListChange,
  type ListenFilter,
} from '../../eras/change-filter.ts'
import type { Json } from '../../eras/json-object.ts'
import type { Member } from '../../registry/bundle.ts'
import type { UpstreamExchange, UpstreamRequest, UpstreamSink } from '../../upstreams/upstream.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import type { Fan } from './fan.ts'
import { byName } from './fan.ts'
import { ListenLeg, type LegLimits, type LegOwner } from './listen-leg.ts'
import { ExposedMember } from './names.ts'
import { ownRequest } from './visit.ts'

export interface ListenLimits extends LegLimits {
  /** Changes of lists that come within this time are told as one. */
  readonly coalesceMs: number
  /** Resources in one subscription. */
  readonly maxUris: number
}

export interface ListenHost {
  readonly fan: Fan
  readonly listenLimits: ListenLimits
  /** Calls back when members may have come or gone; returns how to stop. */
  readonly onMembersChanged: (listener: () => void) => () => void
  readonly ended: (listen: AggregateListen) => void
}

/** A member that is listened to. */
interface Joined {
  readonly leg: ListenLeg
  readonly member: ExposedMember
  /** Changes when the member, or what is shown of it, does. */
  readonly signature: string
  /** The caller's URIs of this member, by the member's own. */
  readonly uris: ReadonlyMap<string, string>
}

/**
 * Stays open until the caller gives up. A member that is down is tried again for as long; what may have changed
 * meanwhile is told as a change.
 */
export class AggregateListen implements UpstreamExchange, LegOwner {
  readonly legLimits: LegLimits
  readonly #asked: UpstreamRequest & { readonly message: JsonRpcRequest }
  readonly #sink: UpstreamSink
  readonly #host: ListenHost
  readonly #lists: readonly ListChange[]
  /** By the aggregate's URIs. */
  readonly #uris: readonly string[]
  readonly #joined = new Map<string, Joined>()
  /** Legs whose first try is under way. */
  readonly #waiting = new Set<ListenLeg>()
  /** Told together when the timer fires. */
  readonly #changed = new Set<string>()
  readonly #updated = new Set<string>()
  #stopWatching: (() => void) | undefined
  /** What the caller was told that it will hear of; undefined before. */
  #honoured: ReadonlySet<string> | undefined
  #coalescing = false
  #timer: NodeJS.Timeout | undefined
  #paused = false
  #silent = false

  constructor(
    asked: UpstreamRequest & { readonly message: JsonRpcRequest },
    sink: UpstreamSink,
    { filter, host }: { filter: ListenFilter; host: ListenHost },
  ) {
    this.#asked = asked
    this.#sink = sink
    this.#host = host
    this.#lists = listChanges.filter(({ flag }) => filter[flag])
    this.#uris = filter.resourceSubscriptions ?? []
    this.legLimits = host.listenLimits
  }

  /** Members that are listened to. */
  get legs(): number {
    return this.#joined.size
  }

  start(): this {
    queueMicrotask(() => {
      if (this.#silent) return
      this.#sink.head({ status: 200, contentType: 'event-stream' })
      if (this.#isSilent()) return
      this.#stopWatching = this.#host.onMembersChanged(() => this.#refresh())
      this.#refresh()
      if (this.#waiting.size === 0) this.#acknowledge()
      // Whoever is slow is not waited for.
      else this.#later(this.legLimits.acknowledgeMs, () => this.#acknowledge())
    })
    return this
  }

  abort(): void {
    if (this.#silent) return
    this.#silent = true
    clearTimeout(this.#timer)
    this.#stopWatching?.()
    for (const { leg } of this.#joined.values()) leg.close()
    this.#joined.clear()
    this.#waiting.clear()
    this.#host.ended(this)
  }

  pause(): void {
    this.#paused = true
    for (const { leg } of this.#joined.values()) leg.setPaused(true)
  }

  resume(): void {
    this.#paused = false
    for (const { leg } of this.#joined.values()) leg.setPaused(false)
    this.#flush()
  }

  settled(leg: ListenLeg): void {
    this.#waiting.delete(leg)
    if (this.#waiting.size === 0 && !this.#acknowledged) this.#acknowledge()
  }

  returned(leg: ListenLeg): void {
    const joined = this.#joinedBy(leg)
    if (!joined) return
    this.#outdate(joined)
    for (const uri of joined.uris.values()) this.#update(uri)
    this.#changeAll()
  }

  notified(leg: ListenLeg, { method, params }: JsonRpcMessage): void {
    const joined = this.#joinedBy(leg)
    if (!joined) return
    if (method === resourceUpdated) {
      const uri = params?.['uri']
      if (typeof uri !== 'string' || !isCovered(uri, joined.uris)) return
      this.#update(joined.member.prefixed(uri), params)
      return
    }
    const list = this.#lists.find((wanted) => wanted.method === method)
    if (!list) return
    this.#outdate(joined)
    this.#change(list.method)
  }

  /** Listens to the members as they are now. */
  #refresh(): void {
    if (this.#silent) return
    const { fan } = this.#host
    const members = new Map(
      byName(fan.members())
        .slice(0, fan.limits.maxMembers)
        .filter(({ server }) => server.status !== 'inactive')
        .map((member) => [member.server.id, member]),
    )
    let changed = false
    for (const [id, { leg, signature }] of this.#joined) {
      const member = members.get(id)
      if (member && signatureOf(member) === signature) continue
      leg.close()
      this.#waiting.delete(leg)
      this.#joined.delete(id)
      changed = true
    }
    for (const [id, member] of members) {
      if (this.#joined.has(id)) continue
      this.#join(id, member)
      changed = true
    }
    if (!changed || !this.#acknowledged) return
    this.#changeAll()
  }

  #join(id: string, member: Member): void {
    const { fan } = this.#host
    const exposed = new ExposedMember(member)
    const own = this.#uris.flatMap((uri) => {
      const found = exposed.findOwn('resource', uri)
      return found === undefined || this.#honoured?.has(uri) === false ? [] : [[found, uri] as const]
    })
    const uris = new Map(own)
    if (this.#lists.length === 0 && uris.size === 0) return
    const notifications = listenFilter(this.#lists, [...uris.keys()])
    const leg = new ListenLeg(this, () => {
      const request = ownRequest(this.#asked, { id: fan.mintId(), params: { notifications } })
      return { way: fan.way(member.server, request.message), request }
    })
    this.#joined.set(id, { leg, member: exposed, signature: signatureOf(member), uris })
    if (!this.#acknowledged) this.#waiting.add(leg)
    if (this.#paused) leg.setPaused(true)
    leg.start()
  }

  /**
   * Says what is honoured: changes of lists always, since members come and go; a resource unless its member has said
   * that it will not tell. One that is down may tell yet.
   */
  #acknowledge(): void {
    if (this.#acknowledged || this.#silent) return
    clearTimeout(this.#timer)
    const uris = [...this.#joined.values()].flatMap(({ leg, uris }) => {
      const agreed = leg.honoured?.['resourceSubscriptions']
      if (!leg.honoured) return [...uris.values()]
      const honoured = new Set<unknown>(Array.isArray(agreed) ? agreed : [])
      return [...uris].flatMap(([own, uri]) => (honoured.has(own) ? [uri] : []))
    })
    this.#honoured = new Set(uris)
    const notifications = listenFilter(this.#lists, uris)
    this.#tell({ method: 'notifications/subscriptions/acknowledged', params: { notifications } })
    this.#flush()
  }

  #outdate({ member }: Joined): void {
    this.#host.fan.memory.outdate(member.server.id)
  }

  #changeAll(): void {
    for (const { method } of this.#lists) this.#change(method)
  }

  #change(method: string): void {
    this.#changed.add(method)
    this.#coalesce()
  }

  /** Waits a moment for more of the same, however much there is. */
  #coalesce(): void {
    if (this.#coalescing || !this.#acknowledged || this.#paused) return
    this.#coalescing = true
    this.#later(this.#host.listenLimits.coalesceMs, () => this.#flushChanges())
  }

  /** An update of one resource goes out at once, or as soon as the caller is ready. */
  #update(uri: string, params: Json = {}): void {
    if (this.#acknowledged && !this.#paused)
      return this.#tell({ method: resourceUpdated, params: { ...params, uri } })
    if (this.#updated.size < this.#host.listenLimits.maxUris) this.#updated.add(uri)
  }

  /** Tells what has waited for the acknowledgement, or for a caller that could not keep up. */
  #flush(): void {
    if (!this.#acknowledged || this.#paused) return
    const updated = [...this.#updated]
    this.#updated.clear()
    for (const uri of updated) this.#tell({ method: resourceUpdated, params: { uri } })
    if (this.#changed.size > 0) this.#coalesce()
  }

  #flushChanges(): void {
    this.#coalescing = false
    if (this.#paused) return
    const changed = [...this.#changed]
    this.#changed.clear()
    for (const method of changed) this.#tell({ method, params: {} })
  }

  /** Every message of the stream names the caller's own request (MCP 2026-07-28, "Subscriptions"). */
  #tell({ method, params }: { readonly method: string; readonly params: Json }): void {
    if (this.#silent) return
    const meta = params['_meta']
    const _meta = { ...(isObject(meta) && meta), [subscriptionIdKey]: this.#asked.message.id }
    const message: JsonRpcMessage = { jsonrpc: '2.0', method, params: { ...params, _meta } }
    this.#sink.message({ message, bytes: Buffer.from(JSON.stringify(message)) })
  }

  #later(delayMs: number, act: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(act, delayMs)
    this.#timer.unref()
  }

  #joinedBy(leg: ListenLeg): Joined | undefined {
    for (const joined of this.#joined.values()) if (joined.leg === leg) return joined
    return undefined
  }

  get #acknowledged(): boolean {
    return this.#honoured !== undefined
  }

  #isSilent(): boolean {
    return this.#silent
  }
}

const signatureOf = ({ server, include, exclude, rename }: Member): string =>
  JSON.stringify([server.revision, server.name, include, exclude, rename])

const isCovered = (uri: string, own: ReadonlyMap<string, string>): boolean =>
  own.has(uri) || [...own.keys()].some((known) => coversUri(known, uri))
