// All bundles in memory by name and id, changed one at a time and durably; their names are shared with the servers.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Bundle, BundleMember, Member } from './bundle.ts'
import { applyBundlePatch, parseBundleInput, type BundleInput } from './bundle-input.ts'
import type { BundleStore } from './bundle-store.ts'
import type { Server } from './server.ts'
import type { Registry } from './servers.ts'

export interface BundlesOptions {
  readonly store: BundleStore
  readonly registry: Registry
  readonly clock: Clock
  readonly log: Log
  /** Whether an account that a public bundle names is there; unchecked where absent. */
  readonly accountExists?: (accountId: string) => boolean | Promise<boolean>
  readonly maxBundles?: number
}

/** Who changes a bundle: a server that they may not see is not there. */
export interface BundleAuthor {
  readonly maySee: (server: Server) => boolean
}

export type BundleChange =
  | { readonly kind: 'changed'; readonly bundle: Bundle }
  | { readonly kind: 'removed'; readonly id: string }

/** Reads are synchronous and from memory. A `Bundle` never changes; a change makes another. */
export class Bundles {
  readonly #options: BundlesOptions
  readonly #byId = new Map<string, Bundle>()
  readonly #byName = new Map<string, Bundle>()
  readonly #listeners = new Set<(change: BundleChange) => void>()

  constructor(options: BundlesOptions) {
    this.#options = options
    const { registry } = options
    registry.shareNames((name) => this.#byName.has(name))
    registry.onChange((change) => {
      if (change.kind === 'removed') this.#dropServer(change.id)
    })
  }

  /** Reads all bundles from the store; once, after the servers were read. */
  async load(): Promise<void> {
    const { store, registry } = this.#options
    for (const bundle of await store.all()) {
      // A server may have gone in the moment before the gateway stopped.
      const members = bundle.members.filter(({ serverId }) => registry.findById(serverId))
      this.#keep({ ...bundle, members })
    }
  }

  findByName(name: string): Bundle | undefined {
    return this.#byName.get(name)
  }

  findById(id: string): Bundle | undefined {
    return this.#byId.get(id)
  }

  /** Names hold no underscore and ids do, so they are never mistaken for one another. */
  find(idOrName: string): Bundle | undefined {
    return this.#byId.get(idOrName) ?? this.#byName.get(idOrName)
  }

  /** Bundles after an id, in the order of ids; at most `limit` of those that `visible` admits. */
  list({
    limit,
    after,
    visible,
  }: {
    readonly limit: number
    readonly after: string | undefined
    readonly visible: (bundle: Bundle) => boolean
  }): Bundle[] {
    return [...this.#byId.values()]
      .filter((bundle) => bundle.id > (after ?? '') && visible(bundle))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit)
  }

  /** The servers behind a bundle as they stand now; who may use which is another question. */
  membersOf({ members }: Bundle): Member[] {
    return members.flatMap(({ serverId, ...view }) => {
      const server = this.#options.registry.findById(serverId)
      return server ? [{ server, ...view }] : []
    })
  }

  /** Makes a bundle. Rejects with `validation_failed`, `unprocessable` or `conflict`. */
  create(body: unknown, by: BundleAuthor & { readonly ownerId: string }): Promise<Bundle> {
    return this.#exclusively(async () => {
      const input = parseBundleInput(body)
      const definition = await this.#check(input, by)
      if (this.#byId.size >= (this.#options.maxBundles ?? 1000))
        throw new GatewayError('unprocessable', { detail: 'No more bundles can be made; remove some.' })
      const now = this.#options.clock.now()
      const bundle: Bundle = {
        ...definition,
        id: newId('bnd', now),
        ownerId: by.ownerId,
        createdAtMs: now,
        updatedAtMs: now,
        revision: 1,
      }
      await this.#options.store.insert(bundle)
      return this.#announce(bundle)
    })
  }

  /** Changes a bundle by a merge patch (see `applyBundlePatch`); errors as of `create`, and `not_found`. */
  patch(id: string, patch: unknown, by: BundleAuthor): Promise<Bundle> {
    return this.#exclusively(async () => {
      const old = this.#get(id)
      const input = applyBundlePatch(this.#inputOf(old), patch)
      const definition = await this.#check(input, by, old)
      return this.#replace(old, definition)
    })
  }

  /** Removes a bundle; rejects with `not_found`. Its servers stay. */
  remove(id: string): Promise<void> {
    return this.#exclusively(async () => {
      const bundle = this.#get(id)
      await this.#options.store.remove(bundle.id)
      this.#byId.delete(bundle.id)
      this.#byName.delete(bundle.name)
      for (const listener of this.#listeners) listener({ kind: 'removed', id: bundle.id })
    })
  }

  /** Hears of every change after it is durable; returns how to stop. */
  onChange(listener: (change: BundleChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #replace(old: Bundle, definition: Definition): Promise<Bundle> {
    const { id, ownerId, createdAtMs, revision } = old
    const bundle: Bundle = {
      ...definition,
      id,
      ownerId,
      createdAtMs,
      updatedAtMs: this.#options.clock.now(),
      revision: revision + 1,
    }
    await this.#options.store.update(bundle)
    return this.#announce(bundle)
  }

  async #check(input: BundleInput, { maySee }: BundleAuthor, old?: Bundle): Promise<Definition> {
    const { registry, accountExists } = this.#options
    const { name, account } = input
    const taken = this.#byName.get(name)
    if ((taken && taken.id !== old?.id) || registry.findByName(name)) {
      const detail = `A ${taken ? 'bundle' : 'server'} named ${name} exists already; choose another name.`
      throw new GatewayError('conflict', { detail })
    }
    const known = new Set(old?.members.map(({ serverId }) => serverId))
    const members = readMembers(input, (idOrName) => {
      const server = registry.find(idOrName)
      return server && (known.has(server.id) || maySee(server)) ? server : undefined
    })
    if (account !== undefined && accountExists && !(await accountExists(account)))
      throw new GatewayError('validation_failed', {
        fields: [{ field: '/account', message: 'there is no such account' }],
      })
    return {
      name,
      ...(input.description !== undefined && { description: input.description }),
      access: input.access,
      ...(account !== undefined && { publicAccountId: account }),
      members,
    }
  }

  #inputOf({ name, description, access, publicAccountId, members }: Bundle): BundleInput {
    return {
      name,
      ...(description !== undefined && { description }),
      access,
      ...(publicAccountId !== undefined && { account: publicAccountId }),
      members: members.map(({ serverId, include, exclude, rename }) => ({
        server: serverId,
        ...(include && { include: [...include] }),
        ...(exclude && { exclude: [...exclude] }),
        ...(rename && { rename }),
      })),
    }
  }

  /** A server is gone: so is its part in every bundle, here at once and in the store after the change under way. */
  #dropServer(serverId: string): void {
    for (const bundle of this.#byId.values()) {
      const members = bundle.members.filter((member) => member.serverId !== serverId)
      if (members.length === bundle.members.length) continue
      this.#announce({ ...bundle, members })
      this.#exclusively(async () => {
        const current = this.#byId.get(bundle.id)
        if (current) await this.#replace(current, current)
      }).catch((error: unknown) => {
        this.#options.log.warn({ err: error, bundle: bundle.name }, 'a bundle could not be written')
      })
    }
  }

  #get(id: string): Bundle {
    const bundle = this.#byId.get(id)
    if (!bundle) throw new GatewayError('not_found')
    return bundle
  }

  #announce(bundle: Bundle): Bundle {
    this.#keep(bundle)
    for (const listener of this.#listeners) listener({ kind: 'changed', bundle })
    return bundle
  }

  #keep(bundle: Bundle): void {
    const old = this.#byId.get(bundle.id)
    if (old && old.name !== bundle.name) this.#byName.delete(old.name)
    this.#byId.set(bundle.id, bundle)
    this.#byName.set(bundle.name, bundle)
  }

  /** No server changes its name or goes while a bundle changes. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#options.registry.exclusively(work)
  }
}

type Definition = Pick<Bundle, 'name' | 'description' | 'access' | 'publicAccountId' | 'members'>

/** Throws `validation_failed` where a server is not there, or there twice. */
function readMembers(input: BundleInput, find: (idOrName: string) => Server | undefined): BundleMember[] {
  const seen = new Set<string>()
  const fields: { field: string; message: string }[] = []
  const members = input.members.flatMap(({ server: idOrName, include, exclude, rename }, index) => {
    const server = find(idOrName)
    const refuse = (message: string) => {
      fields.push({ field: `/members/${index}/server`, message })
      return []
    }
    if (!server) return refuse('there is no such server')
    if (seen.has(server.id)) return refuse('is in the bundle already')
    seen.add(server.id)
    return [
      {
        serverId: server.id,
        ...(include && { include }),
        ...(exclude && { exclude }),
        ...(rename && { rename }),
      },
    ]
  })
  if (fields.length > 0) throw new GatewayError('validation_failed', { fields })
  return members
}
