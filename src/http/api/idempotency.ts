// Runs a POST with an Idempotency-Key once, and gives its answer to everybody who repeats it.
import { createHash } from 'node:crypto'
import { GatewayError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { IdempotencyStore, IdempotentRequest, StoredAnswer } from '../../idempotency/reservation.ts'

/** A stored answer that is given again carries this header. */
const replayedHeader = 'idempotency-replayed'

interface Flight {
  readonly fingerprint: Buffer
  readonly answer: Promise<StoredAnswer>
}

/** Requests with a key that are running in this process, and the store that remembers the finished ones. */
export class IdempotentRequests {
  readonly #flights = new Map<string, Flight>()
  readonly #store: IdempotencyStore
  readonly #log: Log

  constructor(store: IdempotencyStore, log: Log) {
    this.#store = store
    this.#log = log
  }

  /**
   * The answer to this request: `execute` is called for the first with its key only. One that comes while the first
   * runs waits for it and shares its answer, refusals included. An answer of 400 or more frees the key.
   * Throws GatewayError `idempotency_conflict` for another request with the same key, and `idempotency_unknown` where
   * the first one ended without a known answer (a crash in between).
   */
  async run(request: IdempotentRequest, execute: () => Promise<StoredAnswer>): Promise<StoredAnswer> {
    const name = JSON.stringify([request.scope, request.key])
    const flight = this.#flights.get(name)
    if (flight) {
      if (!flight.fingerprint.equals(request.fingerprint)) throw new GatewayError('idempotency_conflict')
      return replayed(await flight.answer)
    }
    const answer = this.#first(request, execute)
    this.#flights.set(name, { fingerprint: Buffer.from(request.fingerprint), answer })
    try {
      return await answer
    } finally {
      this.#flights.delete(name)
    }
  }

  async #first(request: IdempotentRequest, execute: () => Promise<StoredAnswer>): Promise<StoredAnswer> {
    const reservation = await this.#store.reserve(request)
    if (reservation.state === 'mismatch') throw new GatewayError('idempotency_conflict')
    if (reservation.state === 'in-flight') throw new GatewayError('idempotency_unknown')
    if (reservation.state === 'stored') return replayed(reservation.answer)
    const answer = await execute()
    try {
      if (answer.status >= 400) await this.#store.release(request)
      else await this.#store.complete(request, answer)
    } catch (error) {
      // The effect is there and its answer is true; only the repetition will find no stored answer.
      this.#log.error({ err: error }, 'the answer of an idempotent request could not be stored')
    }
    return answer
  }
}

const replayed = (answer: StoredAnswer): StoredAnswer => ({
  ...answer,
  headers: { ...answer.headers, [replayedHeader]: 'true' },
})

/**
 * The value of an Idempotency-Key header: 1 to 255 printable ASCII characters.
 * Throws GatewayError `invalid_request` where it is something else.
 */
export function readIdempotencyKey(header: string): string {
  if (/^[\x21-\x7e]{1,255}$/.test(header)) return header
  throw new GatewayError('invalid_request', {
    detail: 'Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.',
  })
}

/** What makes two requests the same: method, target with query, and the body's bytes. */
export const fingerprintOf = (method: string, target: string, body: Uint8Array): Buffer =>
  createHash('sha256').update(`${method} ${target}\n`).update(body).digest()
