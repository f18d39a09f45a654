// Price books: named sets of rules that only the accounts pay by which have them.
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { bookName } from '../rule-input.ts'
import type { RuleBook } from '../rules.ts'
import type { PriceBook, PriceBookStore } from './store.ts'

const description = z.string().min(1).max(500)

/** The body of POST /books. */
export const bookInput = z.strictObject({ name: bookName, description: description.optional() })

/** The body of PATCH /books/{name}; a name stays what it is, since rules and accounts go by it. */
export const bookPatch = z.strictObject({ description: description.nullable() })

const maxBooks = 1000

export interface PriceBooksParts {
  readonly store: PriceBookStore
  readonly rules: Pick<RuleBook, 'whileUnused'>
  readonly clock: Clock
}

export class PriceBooks {
  readonly #store: PriceBookStore
  readonly #rules: PriceBooksParts['rules']
  readonly #clock: Clock

  constructor({ store, rules, clock }: PriceBooksParts) {
    this.#store = store
    this.#rules = rules
    this.#clock = clock
  }

  /** Throws `conflict` where the name is taken, `unprocessable` where there are too many. */
  async create(input: z.output<typeof bookInput>, createdBy?: string): Promise<PriceBook> {
    const { name, description: text } = input
    if ((await this.#store.count()) >= maxBooks)
      throw new GatewayError('unprocessable', { detail: `There are ${maxBooks} price books, the most.` })
    const nowMs = this.#clock.now()
    const book: PriceBook = {
      name,
      ...(text !== undefined && { description: text }),
      createdAtMs: nowMs,
      ...(createdBy !== undefined && { createdBy }),
      updatedAtMs: nowMs,
    }
    await this.#store.insert(book).catch((error: unknown) => {
      if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
      throw new GatewayError('conflict', { detail: `There is a price book "${name}" already.`, cause: error })
    })
    return book
  }

  list(page: { limit: number; after?: string | undefined }): Promise<PriceBook[]> {
    return this.#store.list(page)
  }

  /** Throws `not_found`. */
  async get(name: string): Promise<PriceBook> {
    const found = await this.#store.find(name)
    if (!found) throw new GatewayError('not_found')
    return found
  }

  async has(name: string): Promise<boolean> {
    return (await this.#store.find(name)) !== undefined
  }

  /** Throws `not_found`. */
  async change(name: string, patch: z.output<typeof bookPatch>): Promise<PriceBook> {
    await this.#store.describe(name, patch.description, this.#clock.now())
    return this.get(name)
  }

  /**
   * Throws `not_found`, and `conflict` where a rule is in it or an account has it; `accounts` counts those when it is
   * asked.
   */
  async remove(name: string, accounts: () => number): Promise<void> {
    await this.get(name)
    await this.#rules.whileUnused(name, async () => {
      const users = accounts()
      if (users > 0) {
        const detail = `${users === 1 ? 'One account has' : `${users} accounts have`} the book "${name}"; give them another or none first.`
        throw new GatewayError('conflict', { detail })
      }
      await this.#store.remove(name)
    })
  }
}
