// Idempotency keys of calls: one execution a key, and the same answer for every repeat, for the life of the record.
import { createHash } from 'node:crypto'
import { GatewayError } from '../base/errors.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import type { KeptAnswer, KeptAnswerStore } from './kept-store.ts'

/** The right to run a call for its key. Finished exactly once. */
export interface Claim {
  /** The row that keeps this answer; commit it with the record. Answers over the cap are kept as a mark only. */
  keep(answer: { record: bigint; status: number; bytes: Uint8Array }): KeptAnswer
  /** The answer is durable, or (undefined) nothing ran and the key is free again. */
  finish(kept: KeptAnswer | undefined): void
}

export type Verdict =
  | { readonly kind: 'run'; readonly claim: Claim }
  | { readonly kind: 'repeat'; readonly kept: KeptAnswer }
  | { readonly kind: 'refuse'; readonly error: GatewayError }

interface InFlight {
  readonly fingerprint: string
  /** False while it is only being looked up whether the key is free. */
  runs: boolean
  /** It is known whether it runs. */
  readonly looked: Promise<void>
  readonly done: Promise<void>
}

/** Requests are the same when server, method and parameters are; `_meta` may differ between tries. */
export function fingerprint(serverId: string, request: JsonRpcRequest): string {
  const { _meta, ...params } = request.params ?? {}
  return createHash('sha256')
    .update(JSON.stringify([serverId, request.method, params]))
    .digest('base64url')
}

/** Keys are the account's own: nobody can probe for another account's. */
export class Replays {
  readonly #store: KeptAnswerStore
  readonly #maxBytes: number
  readonly #inFlight = new Map<string, InFlight>()

  constructor(store: KeptAnswerStore, options: { maxBytes: number }) {
    this.#store = store
    this.#maxBytes = options.maxBytes
  }

  /** Runs, repeats or refuses. Waits for a call that is running with the same key. */
  async claim(accountId: string, key: string, print: string): Promise<Verdict> {
    const name = `${accountId} ${key}`
    for (let running = this.#inFlight.get(name); running; running = this.#inFlight.get(name)) {
      const isOther = running.fingerprint !== print
      // The key may be this one's already, and the other may be looked up only to be refused.
      if (isOther && !running.runs) await running.looked
      else if (isOther) return { kind: 'refuse', error: new GatewayError('idempotency_conflict') }
      else await running.done
    }
    const [looked, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const own: InFlight = { fingerprint: print, runs: false, looked: looked.promise, done: done.promise }
    const end = () => {
      if (this.#inFlight.get(name) === own) this.#inFlight.delete(name)
      looked.resolve()
      done.resolve()
    }
    this.#inFlight.set(name, own)
    const kept = await this.#store.findKept(accountId, key).catch((error: unknown) => {
      end()
      throw error
    })
    if (!kept) {
      own.runs = true
      looked.resolve()
      return { kind: 'run', claim: this.#claim({ accountId, key, fingerprint: print }, end) }
    }
    end()
    if (kept.fingerprint !== print) return { kind: 'refuse', error: new GatewayError('idempotency_conflict') }
    if (kept.bytes === null) {
      const detail = 'The first call with this idempotency key is done, but its answer was too large to keep.'
      return { kind: 'refuse', error: new GatewayError('idempotency_unknown', { detail }) }
    }
    return { kind: 'repeat', kept }
  }

  #claim(of: Pick<KeptAnswer, 'accountId' | 'key' | 'fingerprint'>, end: () => void): Claim {
    return {
      keep: ({ record, status, bytes }) => ({
        ...of,
        record,
        status,
        bytes: bytes.length > this.#maxBytes ? null : bytes,
      }),
      finish: end,
    }
  }
}

/** A kept answer under the id of the request that repeats. */
export function repeatedAnswer(kept: KeptAnswer, request: JsonRpcRequest): JsonRpcMessage {
  const answer = JSON.parse(Buffer.from(kept.bytes ?? []).toString()) as JsonRpcMessage
  return { ...answer, id: request.id }
}
