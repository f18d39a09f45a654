// An event of the audit log: who did what to what, from where, and how it ended; never a secret, never a body.

/** Who asked. All members are absent where nobody proved who they are. */
export interface AuditActor {
  readonly userId?: string
  readonly username?: string
  readonly roles?: readonly string[]
  /** How they proved themselves: `token`, `key`, `oauth` or `public`; `gateway` is the gateway itself. */
  readonly via?: string
  readonly keyId?: string
  readonly loginId?: string
  readonly grantId?: string
}

export interface AuditResource {
  /** For example `servers`. */
  readonly type: string
  readonly id: string
}

/** `refused`: by what the caller sent or may not do. `failed`: by the gateway or a server; it may have been done in part. */
export const auditOutcomes = ['success', 'refused', 'failed'] as const
type AuditOutcome = (typeof auditOutcomes)[number]

/** What happened, before it has a place in the log. */
export interface AuditFacts {
  /** Nouns and a verb, for example `keys.rotate`. */
  readonly action: string
  readonly actor: AuditActor
  readonly resource?: AuditResource
  readonly outcome: AuditOutcome
  /** HTTP status of the answer. */
  readonly status?: number
  /** Code of the refusal. */
  readonly code?: string
  /** The socket's address. */
  readonly ip?: string
  readonly userAgent?: string
  readonly requestId?: string
  /** Names of the fields that were sent; never their values. */
  readonly fields?: readonly string[]
  /** Id of what was made by it, where that is not the resource. */
  readonly made?: string
  /** How many like it this stands for; absent means one. */
  readonly count?: number
  /** When the first of them came, in milliseconds. */
  readonly sinceMs?: number
  /** One sentence, of the gateway's own events. */
  readonly note?: string
}

export interface AuditEvent extends AuditFacts {
  /** `aud_…` */
  readonly id: string
  readonly timeMs: number
}

/** An event with its place in the chain. */
export interface ChainedEvent extends AuditEvent {
  readonly seq: bigint
  readonly hash: string
}
