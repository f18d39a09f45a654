// Whether the `Mcp-Param-*` headers of a modern tool call say what its arguments say.
import { isObject } from '../base/is-object.ts'
import type { Principal } from '../identity/principal.ts'
import type { Permissions } from '../policy/permissions.ts'
import type { Server } from '../registry/server.ts'
import type { Catalogues } from '../upstreams/catalogue.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { mirroredParams, paramMismatch, type MirroredParam } from '../wire/param-headers.ts'
import type { Ways } from './ways.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** How long a call waits for its tool's schema. */
const schemaMs = 5000

/**
 * Compares with the tool's schema where the call carries such headers; a call without them goes to the server, which
 * knows whether it wants some. A legacy server knows of no such headers, so that every call to one is compared. The
 * members of an aggregate compare by themselves. The catalogue is fetched at most once in its lifetime, so that the check is rarely felt.
 */
export class ParamChecks {
  readonly #catalogues: Catalogues
  /** By schema object, which the catalogue keeps for as long as it is current. */
  readonly #mirrored = new WeakMap<object, readonly MirroredParam[]>()
  readonly #permissions: Pick<Permissions, 'isPermitted'>
  readonly #ways: Pick<Ways, 'eraOf' | 'findMember'>

  constructor(
    catalogues: Catalogues,
    ways: Pick<Ways, 'eraOf' | 'findMember'>,
    permissions: Pick<Permissions, 'isPermitted'>,
  ) {
    this.#permissions = permissions
    this.#catalogues = catalogues
    this.#ways = ways
  }

  /** Undefined at once where there is nothing to compare; else the first disagreement, as a sentence. */
  mismatch(
    { server, principal }: { server: Server; principal: Principal },
    message: JsonRpcMessage,
    headers: Headers,
  ): undefined | Promise<string | undefined> {
    if (message.method !== 'tools/call' || isOwn(server)) return undefined
    // What is compared would tell that the tool is there.
    const item = message.params?.['name']
    if (typeof item === 'string' && !this.#permissions.isPermitted(principal, server, { kind: 'tool', item }))
      return undefined
    if (this.#ways.eraOf(server) === 'legacy') return this.#compare({ server, principal }, message, headers)
    for (const name in headers)
      if (name.startsWith('mcp-param-')) return this.#compare({ server, principal }, message, headers)
    return undefined
  }

  /**
   * The input schema of the tool that a modern call is for, to make the headers of: undefined at once where there are
   * none to make. Resolves with nothing where the server does not tell in time; it then says itself what it misses.
   */
  inputSchema(server: Server, message: JsonRpcMessage, caller: Principal): Promise<unknown> | undefined {
    if (message.method !== 'tools/call') return undefined
    const to =
      server.transport.type === 'aggregate'
        ? this.#ways.findMember(server, caller, message)
        : { server, tool: message.params?.['name'] }
    if (to?.server.transport.type !== 'streamable-http') return undefined
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), schemaMs)
      this.#schemaOf(to.server, to.tool, caller)
        .then(resolve, () => resolve(undefined))
        .finally(() => clearTimeout(timer))
    })
  }

  async #schemaOf(server: Server, tool: unknown, caller: Principal): Promise<unknown> {
    const { tools } = await this.#catalogues.get(server, caller)
    return tools.find(({ name }) => name === tool)?.inputSchema
  }

  async #compare(
    { server, principal }: { server: Server; principal: Principal },
    message: JsonRpcMessage,
    headers: Headers,
  ): Promise<string | undefined> {
    const schema = await this.#schemaOf(server, message.params?.['name'], principal)
    if (!isObject(schema)) return undefined
    let mirrored = this.#mirrored.get(schema)
    if (!mirrored) this.#mirrored.set(schema, (mirrored = mirroredParams(schema)))
    return paramMismatch(mirrored, message.params?.['arguments'], headers)
  }
}

/** Answered by the gateway itself: an aggregate's members compare, and the built-in server wants no such headers. */
const isOwn = ({ transport }: Server): boolean =>
  transport.type === 'aggregate' || transport.type === 'built-in'
