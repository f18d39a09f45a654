// What answers under /mcp: servers and bundles by their shared names, the built-in server, and everything under no name.
import { builtInName } from '../base/built-in-name.ts'
import { builtInServer } from './built-in-server.ts'
import type { Bundle } from './bundle.ts'
import { aggregateServer } from './bundle-server.ts'
import type { Bundles } from './bundles.ts'
import type { Server } from './server.ts'
import type { Registry } from './servers.ts'

const everything = aggregateServer()

/** Each as a `Server`; an aggregate's is the same object for as long as its bundle does not change. */
export class Endpoints {
  readonly #registry: Registry
  readonly #bundles: Bundles
  readonly #ofBundle = new WeakMap<Bundle, Server>()

  constructor({ registry, bundles }: { registry: Registry; bundles: Bundles }) {
    this.#registry = registry
    this.#bundles = bundles
  }

  /** Plain `/mcp` where there is no name. */
  findByName(name: string | undefined): Server | undefined {
    if (name === undefined) return everything
    if (name === builtInName) return builtInServer
    return this.#registry.findByName(name) ?? this.#asServer(this.#bundles.findByName(name))
  }

  findById(id: string): Server | undefined {
    if (id === everything.id) return everything
    if (id === builtInServer.id) return builtInServer
    return this.#registry.findById(id) ?? this.#asServer(this.#bundles.findById(id))
  }

  #asServer(bundle: Bundle | undefined): Server | undefined {
    if (!bundle) return undefined
    const known = this.#ofBundle.get(bundle)
    if (known) return known
    const server = aggregateServer(bundle)
    this.#ofBundle.set(bundle, server)
    return server
  }
}
