// How a client proves itself by its key: a short JWT that it signed for us and that counts once (RFC 7523, section 3).
import { createLocalJWKSet, decodeJwt, errors, jwtVerify, type JWK } from 'jose'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { issuerAlgorithms } from './issuers/issuer-terms.ts'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const leewayS = 60
/** How far ahead its end may lie. */
const maxLifetimeS = 600
const maxRemembered = 100_000

/** The client that an assertion says it is of; nothing is verified yet. */
export function claimedClient(assertion: string): string | undefined {
  try {
    const { sub } = decodeJwt(assertion)
    return sub
  } catch {
    return undefined
  }
}

export class ClientAssertions {
  readonly #clock: Clock
  readonly #audiences: () => readonly string[]
  /** Names of assertions that were used → their end, in seconds. */
  readonly #used = new Map<string, number>()

  /** `audiences` are the names under which we may be meant: our issuer, and the token endpoint. */
  constructor(clock: Clock, audiences: () => readonly string[]) {
    this.#clock = clock
    this.#audiences = audiences
  }

  /** Whether an assertion is this client's, by one of its keys, for us, now, and for the first time. */
  async verify(assertion: string, client: { id: string; keys: readonly JWK[] }): Promise<boolean> {
    const nowS = Math.floor(this.#clock.now() / 1000)
    try {
      const { payload } = await jwtVerify(assertion, createLocalJWKSet({ keys: [...client.keys] }), {
        issuer: client.id,
        subject: client.id,
        audience: [...this.#audiences()],
        algorithms: [...issuerAlgorithms],
        requiredClaims: ['exp', 'jti'],
        clockTolerance: leewayS,
        currentDate: new Date(nowS * 1000),
      })
      const { exp = 0, jti = '' } = payload
      return (
        exp - nowS <= maxLifetimeS && this.#isFirst(`${client.id}\n${jti}`, { endsAtS: exp + leewayS, nowS })
      )
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return false
      throw error
    }
  }

  /** What cannot be remembered cannot be told from a repetition: then nobody gets in this way for a while. */
  #isFirst(name: string, { endsAtS, nowS }: { endsAtS: number; nowS: number }): boolean {
    if (this.#used.has(name)) return false
    if (this.#used.size >= maxRemembered)
      for (const [each, endS] of this.#used) if (endS < nowS) this.#used.delete(each)
    if (this.#used.size >= maxRemembered) throw new GatewayError('overloaded', { retryAfterS: 60 })
    this.#used.set(name, endsAtS)
    return true
  }
}
