// What an aggregate shows of its members and under which names: one rule for listing, calling and billing.
import { compileGlob, type Glob } from '../../base/glob.ts'
import type { Member, Noun } from '../../registry/bundle.ts'
import type { Server } from '../../registry/server.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

/** Tools and prompts go by names, resources and templates by URIs. */
type Kind = 'name' | 'uri'

const kindOf = (noun: Noun): Kind => (noun === 'resource' ? 'uri' : 'name')

/** Longest name of a tool (SEP-986). */
export const maxNameLength = 128

const separator = '__'

/**
 * A member's own names as the aggregate's, and back. What `expose` gives, `findOwn` finds, and it finds nothing else:
 * what is not listed cannot be called.
 */
export class ExposedMember {
  readonly server: Server
  readonly #include: readonly Glob[] | undefined
  readonly #exclude: readonly Glob[]
  readonly #newNames: ReadonlyMap<string, string>
  readonly #oldNames: ReadonlyMap<string, string>
  readonly #isPermitted: Member['isPermitted']
  readonly #showsOf: Member['shows']

  constructor({ server, include, exclude = [], rename = {}, isPermitted, shows }: Member) {
    this.#isPermitted = isPermitted
    this.#showsOf = shows
    this.server = server
    this.#include = include?.map(compileGlob)
    this.#exclude = exclude.map(compileGlob)
    this.#newNames = new Map(Object.entries(rename))
    this.#oldNames = new Map(Object.entries(rename).map(([old, name]) => [name, old]))
  }

  /** The aggregate's name for something that is the member's; undefined where it is not shown. */
  expose(noun: Noun, own: string): string | undefined {
    if (!this.#shows(noun, own)) return undefined
    if (noun === 'resource') return this.prefixed(own)
    const name = this.#nameOf(own)
    return name === undefined || name.length > maxNameLength ? undefined : name
  }

  /** What of the member's own list is for this caller. */
  visible<Item>(noun: Noun, key: string, items: readonly Item[]): readonly Item[] {
    const shown = this.#showsOf?.(noun, key, items)
    return shown ? items.filter((_, place) => shown[place]) : items
  }

  /** Shown by the patterns, but too long with the member's name before it. */
  isTooLong(noun: Noun, own: string): boolean {
    return noun !== 'resource' && this.#shows(noun, own) && (this.#nameOf(own)?.length ?? 0) > maxNameLength
  }

  /** The member's own name for what the aggregate calls so; undefined where that is nothing that it shows. */
  findOwn(noun: Noun, exposed: string): string | undefined {
    const own = noun === 'resource' ? this.#ownUri(exposed) : this.#ownName(exposed)
    return own !== undefined && this.expose(noun, own) === exposed ? own : undefined
  }

  /** A URI of the member as the aggregate names it, shown or not. */
  prefixed(uri: string): string {
    return `${uriPrefix(this.server.name)}${uri}`
  }

  #shows(noun: Noun, own: string): boolean {
    if (this.#isPermitted?.(noun, own) === false) return false
    if (this.#include && !this.#include.some((glob) => glob.matches(own))) return false
    return !this.#exclude.some((glob) => glob.matches(own))
  }

  /** Undefined where another one goes by this name now. */
  #nameOf(own: string): string | undefined {
    const local = this.#newNames.get(own) ?? own
    const isTaken = this.#oldNames.has(local) && this.#oldNames.get(local) !== own
    return isTaken ? undefined : `${this.server.name}${separator}${local}`
  }

  #ownName(exposed: string): string | undefined {
    const prefix = `${this.server.name}${separator}`
    if (!exposed.startsWith(prefix)) return undefined
    const local = exposed.slice(prefix.length)
    return this.#oldNames.get(local) ?? local
  }

  #ownUri(exposed: string): string | undefined {
    const prefix = uriPrefix(this.server.name)
    return exposed.startsWith(prefix) ? exposed.slice(prefix.length) : undefined
  }
}

/**
 * What stands before a URI of this server: `weather+`. A URI scheme begins with a letter (RFC 3986, section 3.1), so a
 * name that begins with a digit gets `n.` before it. Names of servers hold neither dots nor plus signs, so the first
 * plus sign ends the prefix whatever follows.
 */
const uriPrefix = (name: string): string => (/^[a-z]/.test(name) ? `${name}+` : `n.${name}+`)

/** The name of the server that a name of the aggregate is about: servers' names hold no underscore. */
const serverOfName = (exposed: string): string => exposed.slice(0, Math.max(0, exposed.indexOf(separator)))

const serverOfUri = (exposed: string): string =>
  exposed.slice(0, Math.max(0, exposed.indexOf('+'))).replace(/^n\./, '')

/** What a request names: a tool, prompt, resource or template of the aggregate. */
export interface Target {
  readonly noun: Noun
  /** Undefined where the request does not say it as it should. */
  readonly exposed: string | undefined
}

/** Undefined where a request of this method names nothing that belongs to one member. */
export function targetOf({ method, params }: JsonRpcMessage): Target | undefined {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
  switch (method) {
    case 'tools/call':
      return { noun: 'tool', exposed: text(params?.['name']) }
    case 'prompts/get':
      return { noun: 'prompt', exposed: text(params?.['name']) }
    case 'resources/read':
      return { noun: 'resource', exposed: text(params?.['uri']) }
    case 'completion/complete': {
      const ref = params?.['ref'] as Readonly<Record<string, unknown>> | null | undefined
      if (ref?.['type'] === 'ref/resource') return { noun: 'resource', exposed: text(ref['uri']) }
      return { noun: 'prompt', exposed: text(ref?.['name']) }
    }
    default:
      return undefined
  }
}

/** The member that a request is for. */
export interface Address {
  readonly server: Server
  readonly member: ExposedMember
  readonly kind: Kind
  /** The member's own name, or URI, of what the request names. */
  readonly name: string
  /** The same where it is a tool. */
  readonly tool?: string
}

/** The members that a caller may use, or how one of them is found by its server's name. */
export type Members = readonly Member[] | ((serverName: string) => Member | undefined)

/**
 * Whom a request to an aggregate is for, of the members that its caller may use. `unknown` where it names nothing that
 * the aggregate shows this caller; undefined where requests of this method are not for one member.
 */
export function addressOf(message: JsonRpcMessage, members: Members): Address | 'unknown' | undefined {
  const target = targetOf(message)
  if (!target) return undefined
  const { noun, exposed } = target
  const kind = kindOf(noun)
  if (exposed === undefined) return 'unknown'
  const serverName = kind === 'uri' ? serverOfUri(exposed) : serverOfName(exposed)
  const found =
    typeof members === 'function'
      ? members(serverName)
      : members.find(({ server }) => server.name === serverName)
  if (!found) return 'unknown'
  const member = new ExposedMember(found)
  const name = member.findOwn(noun, exposed)
  if (name === undefined) return 'unknown'
  return { server: found.server, member, kind, name, ...(noun === 'tool' && { tool: name }) }
}
