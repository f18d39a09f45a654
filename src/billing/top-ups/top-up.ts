// A payment that a provider tells of, and what came of it.

/** Who tells of payments. */
export const providers = ['stripe', 'standard'] as const
export type Provider = (typeof providers)[number]

export interface Payment {
  /** Names the payment for ever: two events with the same reference are one payment. */
  readonly reference: string
  /** The event's own id. */
  readonly event: string
  readonly accountId: string
  /** In nano-units. */
  readonly amount: bigint
  readonly currency: string
  readonly reason?: string
  readonly expiresAtMs?: number
}

/** An event that is no payment for an account, and why. */
export interface Ignored {
  readonly ignored: string
}

export interface Credited {
  readonly grantId: string
  /** The payment was credited before. */
  readonly repeated: boolean
}
