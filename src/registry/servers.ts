// The registry: every server in memory by name and id, changed one at a time and durably.
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import { applyPatch, parseServerInput, type ServerInput } from './server-input.ts'
import { referencesOf } from './secret-reference.ts'
import { checkServer, type ServerRules } from './server-rules.ts'
import type { LastFailure, Server } from './server.ts'
import type { ServerStore } from './store.ts'

export interface RegistryOptions {
  readonly store: ServerStore
  readonly rules: ServerRules
  readonly clock: Clock
  readonly log: Log
  /** Whether an account that a public server names is there; unchecked where absent. */
  readonly accountExists?: (accountId: string) => boolean | Promise<boolean>
  readonly maxServers?: number
  /** How long status and failures may stay in memory before they are written. */
  readonly healthFlushMs?: number
}

export type RegistryChange =
  | { readonly kind: 'changed'; readonly server: Server }
  | { readonly kind: 'removed'; readonly id: string }

export interface ServerPage {
  readonly items: Server[]
  readonly nextCursor: string | null
}

/**
 * All registered servers. Reads are synchronous and from memory. A `Server` never changes; a change makes another,
 * so whoever keeps one reads it again by id.
 */
export class Registry {
  readonly #options: RegistryOptions
  readonly #byId = new Map<string, Server>()
  readonly #byName = new Map<string, Server>()
  readonly #listeners = new Set<(change: RegistryChange) => void>()
  readonly #unsaved = new Set<string>()
  readonly #otherNames: ((name: string) => boolean)[] = []
  #flushTimer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** Reads all servers from the store; once, before anything else. */
  async load(): Promise<void> {
    for (const server of await this.#options.store.all()) this.#keep(server)
    for (const server of this.all()) this.#noteLostSecrets(server)
  }

  findByName(name: string): Server | undefined {
    return this.#byName.get(name)
  }

  findById(id: string): Server | undefined {
    return this.#byId.get(id)
  }

  /** Names hold no underscore and ids do, so they are never mistaken for one another. */
  find(idOrName: string): Server | undefined {
    return this.#byId.get(idOrName) ?? this.#byName.get(idOrName)
  }

  /** Every server, in no order. */
  all(): Server[] {
    return [...this.#byId.values()]
  }

  get size(): number {
    return this.#byId.size
  }

  /** Servers that `visible` admits, by id; `limit` is 1 to 200. */
  list(
    options: { limit?: number; cursor?: string | null; visible?: (server: Server) => boolean } = {},
  ): ServerPage {
    const limit = Math.min(Math.max(Math.trunc(options.limit ?? 50), 1), 200)
    const after = options.cursor ?? ''
    if (!/^(srv_[0-9a-z]{26})?$/.test(after))
      throw new GatewayError('validation_failed', {
        fields: [{ field: '/cursor', message: 'must be the nextCursor of an earlier page' }],
      })
    const items = [...this.#byId.values()]
      .filter((server) => server.id > after && (options.visible?.(server) ?? true))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const page = items.slice(0, limit)
    return { items: page, nextCursor: items.length > limit ? (page.at(-1)?.id ?? null) : null }
  }

  /**
   * Registers a server. `allowStdio` says whether the caller may (administrators). Rejects with
   * `validation_failed`, `forbidden`, `command_denied`, `egress_denied`, `unprocessable` or `conflict`.
   */
  create(body: unknown, by: { ownerId: string; allowStdio: boolean }): Promise<Server> {
    return this.exclusively(async () => {
      const input = parseServerInput(body)
      await this.#check(input, by.allowStdio)
      if (this.#byId.size >= (this.#options.maxServers ?? 10_000))
        throw new GatewayError('unprocessable', {
          detail: 'No more servers can be registered; remove some.',
        })
      const now = this.#options.clock.now()
      const server: Server = {
        ...fromInput(input),
        id: newId('srv', now),
        ownerId: by.ownerId,
        status: 'registered',
        createdAtMs: now,
        updatedAtMs: now,
        revision: 1,
      }
      await this.#options.store.insert(server)
      return this.#announce(server)
    })
  }

  /** Changes a server by a merge patch (see `applyPatch`); errors as of `create`, and `not_found`. */
  patch(id: string, patch: unknown, by: { allowStdio: boolean }): Promise<Server> {
    return this.exclusively(async () => {
      const old = this.#get(id)
      const input = applyPatch(old, patch)
      await this.#check(input, by.allowStdio, old)
      const moved = !isDeepStrictEqual([input.transport, input.auth], [old.transport, old.auth])
      const { lastFailure } = old
      const server: Server = {
        ...fromInput(input),
        id: old.id,
        ownerId: old.ownerId,
        // A failure says nothing of the new address or credential.
        status: moved && old.status !== 'inactive' ? 'registered' : old.status,
        ...(lastFailure && !moved && { lastFailure }),
        createdAtMs: old.createdAtMs,
        updatedAtMs: this.#options.clock.now(),
        revision: old.revision + 1,
      }
      await this.#options.store.update(server)
      return this.#announce(server)
    })
  }

  /** Removes a server; rejects with `not_found`. Its usage records stay. */
  remove(id: string): Promise<void> {
    return this.exclusively(async () => {
      const server = this.#get(id)
      await this.#options.store.remove(server.id)
      this.#byId.delete(server.id)
      this.#byName.delete(server.name)
      this.#unsaved.delete(server.id)
      for (const listener of this.#listeners) listener({ kind: 'removed', id: server.id })
    })
  }

  /** Switches a server off, or on again; an inactive server refuses calls. Rejects with `not_found`. */
  setStatus(id: string, status: 'active' | 'inactive'): Promise<Server> {
    return this.exclusively(async () => {
      const server: Server = { ...this.#get(id), status }
      await this.#options.store.saveHealth([server])
      return this.#announce({ ...this.#get(id), status })
    })
  }

  /** Notes that a handshake or call failed; `since` is the first failure in a row. Cheap, written later. */
  recordFailure(id: string, failure: Pick<LastFailure, 'stage' | 'message'>): void {
    const old = this.#byId.get(id)
    if (!old || old.status === 'inactive') return
    const now = this.#options.clock.now()
    const sinceMs = old.status === 'error' ? (old.lastFailure?.sinceMs ?? now) : now
    const message = failure.message.slice(0, 500)
    this.#note(old, { ...old, status: 'error', lastFailure: { ...failure, message, atMs: now, sinceMs } })
  }

  /** Notes that a handshake or call worked. Costs one look-up while all is well. */
  recordSuccess(id: string): void {
    const old = this.#byId.get(id)
    if (old && old.status !== 'active' && old.status !== 'inactive')
      this.#note(old, { ...old, status: 'active' })
  }

  /** Hears of every change after it is durable, and of every change of status; returns how to stop. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Writes what `recordFailure` and `recordSuccess` have left; failures of the store are logged and tried again. */
  async flush(): Promise<void> {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    const ids = [...this.#unsaved]
    this.#unsaved.clear()
    const servers = ids.flatMap((id) => this.#byId.get(id) ?? [])
    if (servers.length === 0) return
    try {
      await this.#options.store.saveHealth(servers)
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the status of servers could not be written')
      for (const id of ids) this.#unsaved.add(id)
    }
  }

  /** Servers take no name that somebody else's things have; `isTaken` says which these are. */
  shareNames(isTaken: (name: string) => boolean): void {
    this.#otherNames.push(isTaken)
  }

  /** One change at a time, so that what is checked is what is changed. For changes of whatever shares the names, too. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }

  /** Waits for the change under way and writes what is left. */
  async close(): Promise<void> {
    await this.#last
    await this.flush()
    clearTimeout(this.#flushTimer)
  }

  /** The configuration may have changed since a registration was checked; only its server fails. */
  #noteLostSecrets(server: Server): void {
    for (const name of referencesOf(server).keys()) {
      const problem = this.#options.rules.secretProblem?.(name, server.name)
      if (problem !== undefined)
        this.recordFailure(server.id, { stage: 'connect', message: `A secret cannot be used: ${problem}.` })
    }
  }

  #note(old: Server, server: Server): void {
    this.#keep(server)
    this.#unsaved.add(server.id)
    this.#flushTimer ??= setTimeout(() => void this.flush(), this.#options.healthFlushMs ?? 3000).unref()
    if (old.status !== server.status)
      for (const listener of this.#listeners) listener({ kind: 'changed', server })
  }

  async #check(input: ServerInput, allowStdio: boolean, old?: Server): Promise<void> {
    // Who may not register a command may not change one either, not even its name.
    if (old?.transport.type === 'stdio' && !allowStdio) throw new GatewayError('forbidden')
    checkServer(input, this.#options.rules, allowStdio)
    const taken = this.#byName.get(input.name)
    if (taken && taken.id !== old?.id)
      throw new GatewayError('conflict', {
        detail: `A server named ${input.name} exists already; choose another name.`,
      })
    if (input.name !== old?.name && this.#otherNames.some((isTaken) => isTaken(input.name)))
      throw new GatewayError('conflict', {
        detail: `A bundle named ${input.name} exists already; choose another name.`,
      })
    const { account } = input
    if (account === undefined || !this.#options.accountExists) return
    if (!(await this.#options.accountExists(account)))
      throw new GatewayError('validation_failed', {
        fields: [{ field: '/account', message: 'there is no such account' }],
      })
  }

  #get(id: string): Server {
    const server = this.#byId.get(id)
    if (!server) throw new GatewayError('not_found')
    return server
  }

  #announce(server: Server): Server {
    this.#keep(server)
    for (const listener of this.#listeners) listener({ kind: 'changed', server })
    return server
  }

  #keep(server: Server): void {
    const old = this.#byId.get(server.id)
    if (old && old.name !== server.name) this.#byName.delete(old.name)
    this.#byId.set(server.id, server)
    this.#byName.set(server.name, server)
  }
}

function fromInput(input: ServerInput) {
  const { account, description, iconUrl, repositoryUrl, transport, ...rest } = input
  // What was not given is absent, not undefined.
  const given = Object.fromEntries(Object.entries(transport).filter(([, value]) => value !== undefined))
  return {
    ...rest,
    ...(description !== undefined && { description }),
    ...(iconUrl !== undefined && { iconUrl }),
    ...(repositoryUrl !== undefined && { repositoryUrl }),
    ...(account !== undefined && { publicAccountId: account }),
    transport: given as unknown as Server['transport'],
  }
}
