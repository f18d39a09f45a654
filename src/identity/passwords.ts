// Passwords: their rules, and their hashing with argon2id in a bounded number of threads.
import { hash, verify } from '@node-rs/argon2'
import { z } from 'zod'
import { GatewayError } from '../base/errors.ts'

/** A password that may be set: 10 to 200 characters (NIST SP 800-63B: length, no composition rules). */
export const newPassword = z.string().min(10, 'at least 10 characters').max(200, 'at most 200 characters')

/** OWASP's smallest recommended argon2id: 19 MiB, two passes, one lane. The library's default algorithm is argon2id. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Costs as much to verify as a real hash and belongs to no password: these bytes are no output of argon2. */
const nobodysHash = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

export interface PasswordLimits {
  /** Hashes computed at once; each takes 19 MiB and a core for some 20 ms. */
  readonly maxParallel: number
  /** Further hashes that may wait; more are refused with `overloaded`. */
  readonly maxQueued: number
}

/** What runs when a verification's turn comes (it may refuse by throwing) and before the next one's does. */
export interface Turn {
  before(): void
  after(right: boolean): void
}

export class Passwords {
  readonly #limits: PasswordLimits
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limits: PasswordLimits = { maxParallel: 2, maxQueued: 64 }) {
    this.#limits = limits
  }

  /** The text to store for a password (PHC format, random salt). */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => hash(password.normalize('NFC'), cost))
  }

  /**
   * Whether the password is right. Without a stored hash it takes the same time and is false, so that unknown
   * users cannot be told from wrong passwords.
   */
  verify(stored: string | undefined, password: string, turn?: Turn): Promise<boolean> {
    return this.#inTurn(async () => {
      turn?.before()
      const right = (await verify(stored ?? nobodysHash, password.normalize('NFC'))) && stored !== undefined
      turn?.after(right)
      return right
    })
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.maxParallel) this.#running++
    else if (this.#waiting.length >= this.#limits.maxQueued)
      throw new GatewayError('overloaded', { retryAfterS: 1 })
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
