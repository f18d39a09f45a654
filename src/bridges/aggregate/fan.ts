// One request of a caller asked of every member at once: what each says within its deadline, or said last.
import type { Json } from '../../eras/json-object.ts'
import type { Member } from '../../registry/bundle.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { Server } from '../../registry/server.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { AggregateMemory } from './memory.ts'
import { ExposedMember } from './names.ts'
import { troubles, Visit, type Trouble } from './visit.ts'

export interface FanLimits {
  /** How long each member may take for all of its part in one answer. */
  readonly deadlineMs: number
  /** Members that are asked; the first by name. */
  readonly maxMembers: number
  /** Items that are read of one member's list. */
  readonly maxItems: number
  /** Items in one page of an aggregate's list. */
  readonly pageSize: number
  /** How old a member's last good answer may be that is shown while it is down. */
  readonly cacheMs: number
  /** How old a list may be that the further pages are taken from. */
  readonly walkMs: number
}

/** What a fan-out needs to know, for one caller. */
export interface Fan {
  readonly limits: FanLimits
  readonly memory: AggregateMemory
  readonly principalTag: string
  /** The gateway's own version, which callers see. */
  readonly version: string
  readonly mintId: () => string
  readonly members: () => readonly Member[]
  readonly way: (server: Server, message: JsonRpcMessage) => Upstream
  /** The visits in progress; whoever ends them ends the fan-out. */
  readonly visits: Set<Visit>
}

/** What a member has said; `bytes` is what it costs to remember, `isPublic` whether anybody may see it. */
export interface Heard<Value> {
  readonly value: Value
  readonly bytes: number
  readonly isPublic: boolean
}

/** A member that did not answer. */
export interface Missing {
  readonly server: string
  /** One sentence that every caller may read. */
  readonly reason: string
}

export interface Fanned<Value> {
  /** In the order of the members' names. */
  readonly heard: readonly { readonly member: ExposedMember; readonly value: Value }[]
  readonly missing: readonly Missing[]
  /** Of some member that takes calls nothing is known, not even of old. */
  readonly incomplete: boolean
}

export interface Asking<Value> {
  readonly method: string
  /** Whether what was heard a moment ago is as good. */
  readonly remembers: boolean
  readonly isAsked?: (member: Member) => boolean
  readonly ask: (visit: Visit, member: Member) => Promise<Heard<Value> | Trouble>
}

/** Members in the one order that lists have. */
export const byName = (members: readonly Member[]): Member[] =>
  members.toSorted((a, b) => (a.server.name < b.server.name ? -1 : 1))

/** Never rejects; takes as long as the slowest member within its deadline. */
export async function fanOut<Value>(fan: Fan, asking: Asking<Value>): Promise<Fanned<Value>> {
  const { limits } = fan
  const { isAsked = () => true } = asking
  const members = byName(fan.members())
  const chosen = members.slice(0, limits.maxMembers).filter(isAsked)
  const results = await Promise.all(chosen.map((member) => askOne(fan, member, asking)))
  const heard: { member: ExposedMember; value: Value }[] = []
  const missing: Missing[] = []
  let incomplete = members.length > limits.maxMembers
  for (const [index, { value, trouble }] of results.entries()) {
    const member = chosen[index]
    if (!member) continue
    if (value !== undefined) heard.push({ member: new ExposedMember(member), value })
    else incomplete ||= trouble !== troubles.inactive
    if (trouble !== undefined) missing.push({ server: member.server.name, reason: trouble })
  }
  for (const { server } of members.slice(limits.maxMembers))
    missing.push({ server: server.name, reason: troubles.overfull })
  return { heard, missing, incomplete }
}

async function askOne<Value>(
  fan: Fan,
  member: Member,
  { method, remembers, ask }: Asking<Value>,
): Promise<{ value?: Value | undefined; trouble?: Trouble }> {
  const { server } = member
  const { memory, limits, principalTag } = fan
  if (server.status === 'inactive') return { trouble: troubles.inactive }
  const key = { server, method, principalTag }
  const known = remembers ? memory.find(key, { maxAgeMs: limits.walkMs, current: true }) : undefined
  if (known !== undefined) return { value: known as Value }
  const visit = new Visit((message) => fan.way(server, message), limits.deadlineMs)
  fan.visits.add(visit)
  const heard = await ask(visit, member)
  fan.visits.delete(visit)
  visit.end()
  if (typeof heard === 'string') {
    const last = memory.find(key, { maxAgeMs: limits.cacheMs, current: false }) as Value | undefined
    return { value: last, trouble: last === undefined ? heard : `${heard} What it said last is shown.` }
  }
  memory.keep(key, heard.value, heard)
  return { value: heard.value }
}

/** Keys of `_meta` (MCP 2026-07-28, "_meta"). */
const serverInfoKey = 'io.modelcontextprotocol/serverInfo'

/** The `_meta` of an answer: who made it, and who is missing in it. */
export const metaWith = (fan: Fan, missing: readonly Missing[], more: Json = {}): Json => ({
  [serverInfoKey]: { name: 'tollbridge', version: fan.version },
  ...(missing.length > 0 && { 'tollbridge/missing': missing }),
  ...more,
})
