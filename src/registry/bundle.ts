// A bundle: one endpoint over several registered servers, and which part of each it shows.
import type { Access, Server } from './server.ts'

/**
 * Which part of a server an aggregate shows. Patterns are globs over its own names: of a tool or prompt its name, of a
 * resource or template its URI.
 */
export interface MemberView {
  /** What is shown; everything where absent. */
  readonly include?: readonly string[]
  /** What is not shown of that. */
  readonly exclude?: readonly string[]
  /** New names of tools and prompts, by their own. */
  readonly rename?: Readonly<Record<string, string>>
}

/** A server of a bundle, by id. */
export interface BundleMember extends MemberView {
  readonly serverId: string
}

/** What a server offers by a name or a URI. */
export type Noun = 'tool' | 'prompt' | 'resource'

/** A server as it stands now, and what an aggregate shows of it. */
export interface Member extends MemberView {
  readonly server: Server
  /** Whether this caller may use something of it, by the server's own name or URI; everything where absent. */
  readonly isPermitted?: (noun: Noun, own: string) => boolean
  /** Of each item of a list of the server whether this caller may see it; all where absent. */
  readonly shows?: (noun: Noun, key: string, items: readonly unknown[]) => readonly boolean[]
}

export interface Bundle {
  readonly id: string
  /** Of the same namespace as servers' names. */
  readonly name: string
  readonly description?: string
  readonly ownerId: string
  /** Who may use the endpoint. What it leads to each caller has to be allowed by itself. */
  readonly access: Access
  /** The account that pays for calls without a credential; set where `access` is `public`. */
  readonly publicAccountId?: string
  readonly members: readonly BundleMember[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** Grows with each change. */
  readonly revision: number
}
