// Calls that wait for their callers' input, each behind an unguessable key in a sealed `requestState`.
import type { Clock } from '../../base/clock.ts'
import { randomToken } from '../../base/id.ts'
import {
  checkState,
  requestDigest,
  stateExpired,
  stateText,
} from '../../eras/modern-client-legacy-server/state.ts'
import type { JsonRpcRequest } from '../../wire/json-rpc.ts'

/** Encrypts and authenticates text; `open` is undefined where the text was not sealed here or was changed. */
export interface StateSeal {
  seal(text: string): string
  open(sealed: string): string | undefined
}

/** A call that can wait. */
export interface Parkable {
  readonly request: JsonRpcRequest
  readonly principalTag: string
  /** Nobody came back in time. */
  expire(): void
}

export interface ParkingOptions {
  readonly seal: StateSeal
  readonly clock: Clock
  /** Calls that may wait at a time. */
  readonly maxParked: number
  /** How long one may wait. */
  readonly parkedMs: number
}

interface Place<Call> {
  readonly call: Call
  readonly timer: NodeJS.Timeout
  readonly requestState: string
}

/** A state is good for one retry: whoever comes first takes the call along. */
export class Parking<Call extends Parkable> {
  readonly #options: ParkingOptions
  readonly #places = new Map<string, Place<Call>>()

  constructor(options: ParkingOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#places.size
  }

  /** The `requestState` for the caller; undefined where there is no room. */
  park(call: Call): string | undefined {
    const { seal, clock, maxParked, parkedMs } = this.#options
    if (this.#places.size >= maxParked) return undefined
    const key = randomToken()
    const timer = setTimeout(() => {
      this.#places.delete(key)
      call.expire()
    }, parkedMs).unref()
    const expiresAtMs = clock.monotonicMs() + parkedMs
    const { request, principalTag } = call
    const digest = requestDigest(request)
    const requestState = seal.seal(stateText({ key, principalTag, digest, expiresAtMs }))
    this.#places.set(key, { call, timer, requestState })
    return requestState
  }

  /** The call that a retry may continue, still parked, and its key; or why there is none, as a sentence. */
  find(
    requestState: string,
    retry: { readonly request: JsonRpcRequest; readonly principalTag: string },
  ): { readonly call: Call; readonly key: string } | { readonly fault: string } {
    const { seal, clock } = this.#options
    const nowMs = clock.monotonicMs()
    const state = checkState(seal.open(requestState), { ...retry, nowMs })
    if ('fault' in state) return state
    const place = this.#places.get(state.key)
    // To the byte: encodings of sealed text may have characters that do not count.
    return place?.requestState === requestState
      ? { call: place.call, key: state.key }
      : { fault: stateExpired }
  }

  take(key: string): void {
    clearTimeout(this.#places.get(key)?.timer)
    this.#places.delete(key)
  }

  /** Empties it; each call expires. */
  clear(): void {
    for (const [key, { call }] of this.#places) {
      this.take(key)
      call.expire()
    }
  }
}
