// A user's consent to an OAuth client, as those who verify its tokens see it.
import type { Scope } from './scopes.ts'
import type { User } from './user-store.ts'

export interface Grant {
  /** `ogr_…` */
  readonly id: string
  readonly user: User
  readonly clientId: string
  /** URL of the one MCP endpoint that the client may use. */
  readonly resource: string
  readonly scopes: readonly Scope[]
  readonly expiresAtMs: number
  readonly revoked: boolean
}

export interface GrantReader {
  /** The grant, or undefined where it or its user is gone. */
  find(id: string): Promise<Grant | undefined>
  /** Those that are there, by id. */
  findMany(ids: readonly string[]): Promise<Map<string, Grant>>
}
