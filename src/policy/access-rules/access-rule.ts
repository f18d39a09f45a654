// An access rule: who may, or may not, use which tools, prompts and resources of which servers.
import type { Role } from '../../identity/principal.ts'
import type { Noun } from '../../registry/bundle.ts'

export const effects = ['allow', 'deny'] as const
export const nouns = ['tool', 'prompt', 'resource'] as const satisfies readonly Noun[]

/** One of them is enough; absent: everybody. */
export interface Who {
  /** Ids. */
  readonly users?: readonly string[] | undefined
  readonly keys?: readonly string[] | undefined
  readonly roles?: readonly Role[] | undefined
  readonly groups?: readonly string[] | undefined
}

export interface AccessRule {
  readonly id: string
  readonly name: string
  /** The first rule that matches decides, in ascending order; of the same priority the older one. */
  readonly priority: number
  readonly effect: (typeof effects)[number]
  readonly who?: Who | undefined
  /** Glob. */
  readonly server: string
  /** Absent: all kinds. */
  readonly kind?: Noun | undefined
  /** Glob over the server's own names of tools and prompts, and over its URIs and templates of resources. */
  readonly item: string
  /**
   * JSON Schema (2020-12) of a call's arguments: with others the rule is as if it were not there. In lists, where there
   * are none, an allowing rule counts and a denying one does not.
   */
  readonly arguments?: Readonly<Record<string, unknown>> | undefined
  /** Milliseconds since the epoch; before and after them the rule is as if it were not there. */
  readonly fromMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly note?: string | undefined
  readonly active: boolean
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A thing that a caller wants to use, by its server's own name for it. */
export interface Thing {
  readonly server: string
  readonly kind: Noun
  readonly item: string
}

/** Whom a rule sees. */
export interface Caller {
  readonly userId: string
  readonly keyId?: string | undefined
  readonly roles: readonly Role[]
  readonly groups?: readonly string[] | undefined
}
