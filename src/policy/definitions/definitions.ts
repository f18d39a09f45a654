// Which tools of servers are held back: those whose definitions wait for approval, for listing as for calling.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { isObject } from '../../base/is-object.ts'
import type { Log } from '../../base/log.ts'
import { definitionPolicyOf, type DefinitionPolicy } from '../../registry/definition-policy.ts'
import type { Server } from '../../registry/server.ts'
import { canonicalText, hashOf, type HoldReason, type SeenDefinition } from './definition.ts'
import { findFlag, type Definition } from './flags.ts'
import type { DefinitionStore } from './store.ts'

type Kept = Pick<Server, 'id' | 'definitions'>

export interface DefinitionsOptions {
  readonly store: Pick<DefinitionStore, 'list' | 'replace' | 'forget'>
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  /** Hears of each tool that begins to be held back. */
  readonly onHeld?: (serverId: string, tool: string, reason: HoldReason) => void
}

/** Tools of one server whose definitions are kept; what is beyond is held back where approval is asked for. */
const maxTools = 5000
const maxNameLength = 256
/** Of one definition, and of all of a server; beyond, only its hash is kept. */
const maxTextChars = 100_000
const maxServerChars = 10_000_000
/** Approved definitions of one tool: servers may describe one differently to different users. */
const maxApproved = 8

/** What is known of one tool. */
interface Known {
  /** By hash, the latest approval last. */
  readonly approved: Map<string, SeenDefinition>
  waiting?: SeenDefinition | undefined
  /** What was listed last was not approved. */
  held?: HoldReason | undefined
}

interface ServerTools {
  readonly byName: Map<string, Known>
  /** Of all texts that are kept. */
  chars: number
}

/** How a tool stands. Without a definition it is too large to be approved, or more than are kept. */
export interface ToolState {
  readonly tool: string
  readonly approved?: SeenDefinition
  readonly waiting?: SeenDefinition
  readonly held?: HoldReason
}

/**
 * A tool is held back as long as what its server listed last is not approved, as far as the server's policy asks for
 * that: it is in no list, and calls of it are refused. Approvals are of exact definitions, by hash.
 */
export class Definitions {
  readonly #options: DefinitionsOptions
  readonly #servers = new Map<string, ServerTools>()
  readonly #listeners = new Set<() => void>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: DefinitionsOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    for (const seen of await this.#options.store.list()) {
      const known = this.#know(seen.serverId, seen.tool)
      this.#count(seen, 1)
      if (seen.waiting === undefined) known.approved.set(seen.hash, seen)
      else Object.assign(known, { waiting: seen, held: seen.waiting })
    }
  }

  /** Whether any tool of this server may be held back. */
  guards(server: Kept): boolean {
    return definitionPolicyOf(server).approval === 'all' || this.#servers.has(server.id)
  }

  /** Why calls of a tool are refused. */
  findHold(server: Kept, tool: string): HoldReason | undefined {
    const { approval, hold } = definitionPolicyOf(server)
    const known = this.#find(server.id, tool)
    if (approval === 'all' && !known?.approved.size) return known?.held ?? 'new'
    const held = known?.held
    if (held === 'flagged') return hold.length > 0 ? held : undefined
    return held === 'withdrawn' || approval !== 'off' ? held : undefined
  }

  /** How many of a server's tools are held back. */
  countHeld(server: Kept): number {
    const tools = [...(this.#servers.get(server.id)?.byName.keys() ?? [])]
    return tools.filter((tool) => this.findHold(server, tool) !== undefined).length
  }

  /** Takes note of what a server lists, tool by tool; says of each whether it may be shown. */
  see(server: Kept, tools: readonly unknown[]): boolean[] {
    const policy = definitionPolicyOf(server)
    if (policy.approval === 'off' && policy.hold.length === 0 && !this.#servers.has(server.id))
      return tools.map(() => true)
    const names = tools.map((tool) => (isObject(tool) ? String(tool['name']) : ''))
    const reasons = tools.map((tool) =>
      isDefinition(tool) ? this.#judge(server.id, tool, { policy, names }) : undefined,
    )
    // Of several by one name none is shown where one is held: a call could not say which one it means.
    const held = new Map<string, HoldReason>()
    for (const [place, reason] of reasons.entries()) if (reason) held.set(names[place] ?? '', reason)
    for (const name of new Set(names)) this.#hold(server.id, name, held.get(name))
    return names.map((name) => !held.has(name))
  }

  /** What is known of a server's tools, by name. */
  list(serverId: string): ToolState[] {
    const known = [...(this.#servers.get(serverId)?.byName ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))
    return known.flatMap(([tool, { approved, waiting, held }]) => {
      const latest = [...approved.values()].at(-1)
      if (!latest && !held) return []
      return [
        { tool, ...(latest && { approved: latest }), ...(held && { held, ...(waiting && { waiting }) }) },
      ]
    })
  }

  /**
   * Approves definitions exactly as they were shown. Rejects with `not_found` for a tool of which nothing waits, and
   * with `conflict` where something else waits by now; then none is approved.
   */
  approve(serverId: string, shown: readonly { tool: string; hash: string }[], by: string): Promise<void> {
    return this.#inTurn(async () => {
      const atMs = this.#options.clock.now()
      const approved = shown.map(({ tool, hash }): SeenDefinition => {
        const known = this.#find(serverId, tool)
        const seen = known?.waiting?.hash === hash ? known.waiting : known?.approved.get(hash)
        if (seen) return { ...seen, waiting: undefined, atMs, by }
        if (!known?.waiting)
          throw new GatewayError('not_found', { detail: `No definition of ${tool} waits for approval.` })
        throw new GatewayError('conflict', {
          detail: `The definition of ${tool} has changed since it was shown; look at it again.`,
        })
      })
      await this.#approve(approved)
    })
  }

  /** Takes approvals back: the tools are held back until one of their definitions is approved. Rejects with `not_found`. */
  withdraw(serverId: string, tools: readonly string[], by: string): Promise<void> {
    return this.#inTurn(async () => {
      const atMs = this.#options.clock.now()
      const all = tools.map((tool) => {
        const known = this.#find(serverId, tool)
        const latest = known?.waiting ?? [...(known?.approved.values() ?? [])].at(-1)
        if (!known || !latest)
          throw new GatewayError('not_found', { detail: `No definition of ${tool} was approved.` })
        const waiting: SeenDefinition = { ...latest, waiting: 'withdrawn', atMs, by }
        return { known, waiting }
      })
      const removed = all.flatMap(({ known }) => [...known.approved.values()])
      await this.#options.store.replace(
        removed,
        all.map(({ waiting }) => waiting),
      )
      for (const seen of removed) this.#count(seen, -1)
      for (const { known, waiting } of all) {
        if (known.waiting?.hash !== waiting.hash) this.#count(waiting, 1)
        known.approved.clear()
        Object.assign(known, { waiting, held: 'withdrawn' })
      }
      this.#announce()
    })
  }

  /** The server is gone. */
  forget(serverId: string): void {
    if (!this.#servers.delete(serverId)) return
    this.#later(() => this.#options.store.forget(serverId))
  }

  /** Calls back when what callers may use may have changed; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Waits for what is being written. */
  async flush(): Promise<void> {
    await this.#turn
  }

  #judge(
    serverId: string,
    tool: Definition,
    { policy, names }: { policy: DefinitionPolicy; names: readonly string[] },
  ): HoldReason | undefined {
    const { approval, hold } = policy
    const flag = findFlag(tool, hold, { tools: names })
    const known = this.#find(serverId, tool.name)
    if (approval === 'off' && !flag && known?.held !== 'withdrawn') return this.#drop(known?.waiting)
    // What is nested without bounds is not even read to its end, so nobody can say what they approve.
    if (findFlag(tool, ['too-large']) || !this.#hasRoom(serverId, tool.name)) return 'flagged'
    const text = canonicalText(tool)
    const hash = hashOf(text)
    if (known?.approved.has(hash)) return undefined
    const reason = reasonOf({ known, isFlagged: flag !== undefined, approval })
    const seen: SeenDefinition = {
      serverId,
      tool: tool.name,
      hash,
      ...(this.#keepsText(serverId, text) && { text }),
      ...(reason && { waiting: reason }),
      atMs: this.#options.clock.now(),
    }
    this.#keep(seen)
    return reason
  }

  /** Into memory at once, and later into the store: what is lost with a crash is seen again. */
  #keep(seen: SeenDefinition): void {
    const known = this.#know(seen.serverId, seen.tool)
    if (seen.waiting === undefined) {
      known.approved.set(seen.hash, seen)
      this.#count(seen, 1)
      this.#later(() => this.#options.store.replace([], [seen]))
    } else if (known.waiting?.hash !== seen.hash) {
      const before = known.waiting
      known.waiting = seen
      this.#count(seen, 1)
      if (before) this.#count(before, -1)
      this.#later(() => this.#options.store.replace(before ? [before] : [], [seen]))
    }
  }

  async #approve(approved: readonly SeenDefinition[]): Promise<void> {
    const removed: SeenDefinition[] = []
    for (const { serverId, tool, hash } of approved) {
      const known = this.#know(serverId, tool)
      const others = [...known.approved.values()].filter((each) => each.hash !== hash)
      removed.push(...others.slice(0, Math.max(0, others.length - maxApproved + 1)))
    }
    await this.#options.store.replace(removed, approved)
    for (const seen of removed) {
      this.#know(seen.serverId, seen.tool).approved.delete(seen.hash)
      this.#count(seen, -1)
    }
    for (const seen of approved) {
      const known = this.#know(seen.serverId, seen.tool)
      known.approved.delete(seen.hash)
      known.approved.set(seen.hash, seen)
      if (known.waiting?.hash !== seen.hash) continue
      delete known.waiting
      delete known.held
    }
    this.#announce()
  }

  #hold(serverId: string, tool: string, reason: HoldReason | undefined): void {
    const known = this.#find(serverId, tool)
    if (known?.held === reason) return
    if (reason === undefined) {
      if (known) delete known.held
      return
    }
    if (!this.#hasRoom(serverId, tool)) return
    this.#know(serverId, tool).held = reason
    this.#options.onHeld?.(serverId, tool, reason)
  }

  /** Nobody is to approve it any more. */
  #drop(waiting: SeenDefinition | undefined): undefined {
    if (!waiting) return
    delete this.#know(waiting.serverId, waiting.tool).waiting
    this.#count(waiting, -1)
    this.#later(() => this.#options.store.replace([waiting], []))
  }

  #find(serverId: string, tool: string): Known | undefined {
    return this.#servers.get(serverId)?.byName.get(tool)
  }

  #know(serverId: string, tool: string): Known {
    const { byName } = this.#tools(serverId)
    const known = byName.get(tool) ?? { approved: new Map<string, SeenDefinition>() }
    byName.set(tool, known)
    return known
  }

  #tools(serverId: string): ServerTools {
    const tools = this.#servers.get(serverId) ?? { byName: new Map<string, Known>(), chars: 0 }
    this.#servers.set(serverId, tools)
    return tools
  }

  #hasRoom(serverId: string, tool: string): boolean {
    const byName = this.#servers.get(serverId)?.byName
    return tool.length <= maxNameLength && (byName?.has(tool) === true || (byName?.size ?? 0) < maxTools)
  }

  #keepsText(serverId: string, { length }: string): boolean {
    return length <= maxTextChars && (this.#servers.get(serverId)?.chars ?? 0) + length <= maxServerChars
  }

  #count({ serverId, text = '' }: SeenDefinition, sign: 1 | -1): void {
    this.#tools(serverId).chars += sign * text.length
  }

  #announce(): void {
    for (const listener of this.#listeners) listener()
  }

  #later(write: () => Promise<void>): void {
    void this.#inTurn(write).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'what was seen of a definition could not be written')
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

function reasonOf({
  known,
  isFlagged,
  approval,
}: {
  known: Known | undefined
  isFlagged: boolean
  approval: DefinitionPolicy['approval']
}): HoldReason | undefined {
  if (known?.waiting?.waiting === 'withdrawn') return 'withdrawn'
  if (isFlagged) return 'flagged'
  if (known?.approved.size) return 'changed'
  if (known?.waiting) return known.waiting.waiting
  return approval === 'all' ? 'new' : undefined
}

const isDefinition = (tool: unknown): tool is Definition =>
  isObject(tool) && typeof tool['name'] === 'string' && tool['name'] !== ''
