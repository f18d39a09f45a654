// What accounts and grants are made of, as whoever makes them says it.
import type { AccountKind, AccountMode } from './account.ts'

export interface AccountDefaults {
  readonly mode: AccountMode
  readonly currency: string
  readonly timeZone: string
}

export interface AccountInput {
  readonly id: string
  readonly kind: AccountKind
  readonly name: string
  readonly ownerId?: string
  readonly parentId?: string
  /** The configured ones where they are absent. */
  readonly mode?: AccountMode
  readonly currency?: string
  readonly timeZone?: string
  readonly plan?: string
  readonly priceBook?: string
}

export interface GrantInput {
  readonly amount: bigint
  readonly priority: number
  readonly startsAtMs?: number
  readonly expiresAtMs?: number
  readonly reason?: string
  readonly createdBy: string
}
