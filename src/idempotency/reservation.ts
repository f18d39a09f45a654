// What an idempotency key promises: one execution, and the same answer for everybody who repeats the request.

/** An answer as it was sent. */
export interface StoredAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A key in the name of one caller. The fingerprint covers method, target and body of the request. */
export interface IdempotentRequest {
  /** Principal's user id, or the client's address where there is no principal. */
  readonly scope: string
  readonly key: string
  readonly fingerprint: Uint8Array
  /** The key is never forgotten: what the request does lasts as well. */
  readonly lasting?: boolean
}

/**
 * `new`: run it, then `complete` or `release`. `stored`: repeat this answer. `in-flight`: somebody has it and has not
 * answered; where that is nobody alive, the outcome is unknown. `mismatch`: the key belongs to another request.
 */
export type Reservation =
  | { readonly state: 'new' }
  | { readonly state: 'in-flight' }
  | { readonly state: 'mismatch' }
  | { readonly state: 'stored'; readonly answer: StoredAnswer }

export interface IdempotencyStore {
  /** Durable before it resolves with `new`. */
  reserve(request: IdempotentRequest): Promise<Reservation>
  complete(request: IdempotentRequest, answer: StoredAnswer): Promise<void>
  /** Forgets a key whose request failed, so that it can be tried again. */
  release(request: IdempotentRequest): Promise<void>
}
