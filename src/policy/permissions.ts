// What callers may use of a server they reach: access rules and held-back definitions, for listing as for calling.
import { isObject } from '../base/is-object.ts'
import type { Noun } from '../registry/bundle.ts'
import type { Server } from '../registry/server.ts'
import type { Caller, Thing } from './access-rules/access-rule.ts'
import type { AccessRules, Misfit } from './access-rules/access-rules.ts'
import type { HoldReason } from './definitions/definition.ts'
import type { Definitions } from './definitions/definitions.ts'

type Guarded = Pick<Server, 'id' | 'name' | 'definitions'>

/** A part of a server's list: what its items are, and the member that they go by. */
export interface Listed {
  readonly noun: Noun
  readonly key: string
  readonly items: readonly unknown[]
}

export class Permissions {
  readonly #rules: Pick<AccessRules, 'restricts' | 'isPermitted' | 'findMisfit' | 'onChange'>
  readonly #definitions: Pick<Definitions, 'guards' | 'findHold' | 'see' | 'onChange'>

  constructor(
    rules: Pick<AccessRules, 'restricts' | 'isPermitted' | 'findMisfit' | 'onChange'>,
    definitions: Pick<Definitions, 'guards' | 'findHold' | 'see' | 'onChange'>,
  ) {
    this.#rules = rules
    this.#definitions = definitions
  }

  /** Whether access rules keep anything of this server from anybody: where none does, nobody need ask further. */
  restricts(server: Guarded): boolean {
    return this.#rules.restricts(server.name)
  }

  /** By the server's own name or URI. What is not permitted is not there. */
  isPermitted(caller: Caller, server: Guarded, { kind, item }: Omit<Thing, 'server'>): boolean {
    return this.#rules.isPermitted(caller, { server: server.name, kind, item })
  }

  /** Of each item of a list whether the caller may see it; takes note of how tools are described. */
  shows(caller: Caller, server: Guarded, { noun, key, items }: Listed): boolean[] {
    const shown = noun === 'tool' ? this.#definitions.see(server, items) : items.map(() => true)
    if (!this.#rules.restricts(server.name)) return shown
    return items.map((item, place) => {
      const name = isObject(item) ? item[key] : undefined
      return (
        shown[place] === true &&
        typeof name === 'string' &&
        this.isPermitted(caller, server, { kind: noun, item: name })
      )
    })
  }

  /** Why a permitted tool is held back for everybody. */
  findHold(server: Guarded, tool: string): HoldReason | undefined {
    return this.#definitions.guards(server) ? this.#definitions.findHold(server, tool) : undefined
  }

  /** Why these arguments of a permitted tool are denied. */
  findMisfit(caller: Caller, server: Guarded, call: { tool: string; given: unknown }): Misfit | undefined {
    const thing: Thing = { server: server.name, kind: 'tool', item: call.tool }
    return this.#rules.findMisfit(caller, thing, call.given ?? {})
  }

  /** Calls back when what callers may use may have changed; returns how to stop. */
  onChange(listener: () => void): () => void {
    const ends = [this.#rules.onChange(listener), this.#definitions.onChange(listener)]
    return () => {
      for (const end of ends) end()
    }
  }
}
