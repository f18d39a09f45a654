// The table of idempotency keys: reserved before the work, answered after it, sealed, and forgotten after a day unless it lasts.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Database } from '../db/database.ts'
import type { SealedColumn } from '../db/sealed-column.ts'
import type { IdempotencyStore, IdempotentRequest, Reservation, StoredAnswer } from './reservation.ts'

interface Row {
  scope: string
  key: string
  fingerprint: Uint8Array
  answer: string | null
  created_at: bigint
  lasting: bigint
}

interface Tables {
  api_idempotency: Row
}

/** Answers may hold a secret that is shown once, so they are sealed; `context` binds a text to its row. */
interface AnswerSeal {
  seal(plaintext: string, context: string): string
  open(sealed: string, context: string): string
}

export interface IdempotencyOptions {
  readonly seal: AnswerSeal
  /** A keyed hash for fingerprints, which cover bodies with passwords and must not be guessable from the table. */
  mac(text: string): Uint8Array
  readonly clock: Clock
  /** How long a key is remembered that does not last. Default: 24 hours. */
  readonly retentionMs?: number
}

const dayMs = 24 * 60 * 60 * 1000

/** Keeps keys in the database, so that they hold across restarts and nodes. */
export class StoredIdempotency implements IdempotencyStore {
  readonly #database: Database
  readonly #options: IdempotencyOptions

  constructor(database: Database, options: IdempotencyOptions) {
    this.#database = database
    this.#options = options
  }

  async reserve(request: IdempotentRequest): Promise<Reservation> {
    const builder = this.#database.builder<Tables>()
    const fingerprint = this.#mac(request)
    // The row may go (released, expired) between the two statements; then the key is free and the next try takes it.
    for (let attempt = 0; attempt < 3; attempt++) {
      const insert = builder
        .insertInto('api_idempotency')
        .values({
          scope: request.scope,
          key: request.key,
          fingerprint,
          answer: null,
          created_at: BigInt(this.#options.clock.now()),
          lasting: request.lasting ? 1n : 0n,
        })
        .onConflict((conflict) => conflict.doNothing())
      const [, inserted] = await this.#database.write(this.#deleteExpired(request), insert)
      if (inserted === 1) return { state: 'new' }
      const found = await this.#find(request)
      if (found) return this.#judge(request, found, fingerprint)
    }
    throw new GatewayError('overloaded')
  }

  async complete(request: IdempotentRequest, answer: StoredAnswer): Promise<void> {
    const sealed = this.#options.seal.seal(JSON.stringify(answer), contextOf(request))
    await this.#database.write(
      this.#database
        .builder<Tables>()
        .updateTable('api_idempotency')
        .set({ answer: sealed })
        .where('scope', '=', request.scope)
        .where('key', '=', request.key),
    )
  }

  async release(request: IdempotentRequest): Promise<void> {
    await this.#database.write(
      this.#database
        .builder<Tables>()
        .deleteFrom('api_idempotency')
        .where('scope', '=', request.scope)
        .where('key', '=', request.key)
        .where('answer', 'is', null),
    )
  }

  /** Deletes every key older than the retention, but for those that last; for a timer. */
  async sweep(): Promise<void> {
    const query = this.#database.builder<Tables>().deleteFrom('api_idempotency')
    await this.#database.write(query.where('created_at', '<', this.#cutoff()).where('lasting', '=', 0n))
  }

  #deleteExpired(request: IdempotentRequest) {
    return this.#database
      .builder<Tables>()
      .deleteFrom('api_idempotency')
      .where('scope', '=', request.scope)
      .where('key', '=', request.key)
      .where('created_at', '<', this.#cutoff())
      .where('lasting', '=', 0n)
  }

  #cutoff(): bigint {
    return BigInt(this.#options.clock.now() - (this.#options.retentionMs ?? dayMs))
  }

  async #find(request: IdempotentRequest): Promise<Row | undefined> {
    const query = this.#database
      .builder<Tables>()
      .selectFrom('api_idempotency')
      .selectAll()
      .where('scope', '=', request.scope)
      .where('key', '=', request.key)
    const [row] = await this.#database.read<Row>(query)
    return row
  }

  #judge(request: IdempotentRequest, row: Row, fingerprint: Uint8Array): Reservation {
    if (!Buffer.from(row.fingerprint).equals(fingerprint)) return { state: 'mismatch' }
    if (row.answer === null) return { state: 'in-flight' }
    const answer = JSON.parse(this.#options.seal.open(row.answer, contextOf(request))) as StoredAnswer
    return { state: 'stored', answer }
  }

  #mac({ fingerprint }: IdempotentRequest): Uint8Array {
    return this.#options.mac(`idempotency:${Buffer.from(fingerprint).toString('hex')}`)
  }
}

const contextOf = ({ scope, key }: Pick<IdempotentRequest, 'scope' | 'key'>): string =>
  JSON.stringify(['idempotency', scope, key])

export const keptAnswers: SealedColumn = {
  holds: 'answers kept for idempotency keys',
  table: 'api_idempotency',
  column: 'answer',
  id: ['scope', 'key'],
  contextOf: ({ scope = '', key = '' }) => contextOf({ scope, key }),
}
