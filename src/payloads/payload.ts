// What is kept of one call: its masked arguments and what the server said.

/** JSON, masked and shortened. A call that the server did not answer has neither `result` nor `error`. */
export interface Payload {
  readonly arguments?: unknown
  readonly result?: unknown
  readonly error?: unknown
  /** Something was left out for its size. */
  readonly cut: boolean
}

/** A payload with the call that it is of. */
export interface KeptPayload {
  /** The id of the call's record. */
  readonly id: bigint
  readonly serverId: string
  readonly expiresAtMs: number
  readonly payload: Payload
}
