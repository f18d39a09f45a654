// One `subscriptions/listen` of an aggregate's caller: one at each member, acknowledged once, their changes told as one.
import { isObject } from '../../base/is-object.ts'
import { subscriptionIdKey } from '../../eras/change-filter.ts'
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

const listChanges = {
  toolsListChanged: 'notifications/tools/list_changed',
  promptsListChanged: 'notifications/prompts/list_changed',
  resourcesListChanged: 'notifications/resources/list_changed',
} as const
const flags = Object.keys(listChanges) as (keyof typeof listChanges)[]
const resourceUpdated = 'notifications/resources/updated'

/** What the caller wants to hear: list changes, and resources by the aggregate's URIs. */
interface Filter {
  readonly flags: readonly (keyof typeof listChanges)[]
  readonly uris: readonly string[]
}

/** What a listen request asks for, or a sentence that says what is wrong with it. */
export function readFilter(params: Json | undefined, maxUris: number): Filter | string {
  const wanted = params?.['notifications'] ?? {}
  if (!isObject(wanted)) return 'params.notifications must be an object.'
  const uris = wanted['resourceSubscriptions'] ?? []
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string'))
    return 'params.notifications.resourceSubscriptions must be a list of URIs.'
  const unique = [...new Set(uris)]
  if (unique.length > maxUris)
    return `params.notifications.resourceSubscriptions names more than ${maxUris} resources.`
  return { flags: flags.filter((flag) => wanted[flag] === true), uris: unique }
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
  readonly #filter: Filter
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
    { filter, host }: { filter: Filter; host: ListenHost },
  ) {
    this.#asked = asked
    this.#sink = sink
    this.#host = host
    this.#filter = filter
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
    const flag = this.#filter.flags.find((wanted) => listChanges[wanted] === method)
    if (flag === undefined) return
    this.#outdate(joined)
    this.#change(listChanges[flag])
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
    const own = this.#filter.uris.flatMap((uri) => {
      const found = exposed.findOwn('uri', uri)
      return found === undefined || this.#honoured?.has(uri) === false ? [] : [[found, uri] as const]
    })
    const uris = new Map(own)
    if (this.#filter.flags.length === 0 && uris.size === 0) return
    const notifications = {
      ...Object.fromEntries(this.#filter.flags.map((flag) => [flag, true])),
      ...(uris.size > 0 && { resourceSubscriptions: [...uris.keys()] }),
    }
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
    const notifications = {
      ...Object.fromEntries(this.#filter.flags.map((flag) => [flag, true])),
      ...(uris.length > 0 && { resourceSubscriptions: uris }),
    }
    this.#tell({ method: 'notifications/subscriptions/acknowledged', params: { notifications } })
    this.#flush()
  }

  #outdate({ member }: Joined): void {
    this.#host.fan.memory.outdate(member.server.id)
  }

  #changeAll(): void {
    for (const flag of this.#filter.flags) this.#change(listChanges[flag])
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

/** A subscription covers what lies below its URI. */
const isCovered = (uri: string, own: ReadonlyMap<string, string>): boolean =>
  own.has(uri) || [...own.keys()].some((known) => uri.startsWith(known.endsWith('/') ? known : `${known}/`))
