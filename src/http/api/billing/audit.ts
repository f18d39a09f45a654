// Routes of billing's own state: the audit of records, rollups and ledger, and whether usage can be written.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { differenceKinds } from '../../../billing/differences.ts'
import type { VerifyResult } from '../../../billing/verify.ts'
import { Answer, defineRoute, type Route } from '../route.ts'

export interface BillingAuditDeps {
  /** Runs the audit; the signal ends it early. */
  verify(signal: AbortSignal): Promise<VerifyResult>
  /** Whether the store takes usage records at the moment. */
  isStoreReady(): boolean
}

const verifyShape = z
  .strictObject({
    ok: z.boolean(),
    checked: z.int().describe('Usage records that were recomputed.'),
    counts: z.strictObject({
      records: z.int(),
      rollups: z.int().describe('Quarter-hours that were compared.'),
      transfers: z.int(),
      balances: z.int(),
      grants: z.int(),
      budgets: z.int().describe('Budgets whose spending was compared with the records.'),
      meters: z.int().describe('Counts of prices that go by the quantities of a period.'),
      documents: z.int().describe('Final invoices and credit notes.'),
    }),
    differenceCount: z.int(),
    differences: z
      .array(
        z.strictObject({
          kind: z.enum(differenceKinds),
          id: z.string(),
          expected: z.string(),
          actual: z.string(),
        }),
      )
      .describe('The first of them; `differenceCount` says how many there are.'),
  })
  .meta({ id: 'Verification' })

const healthShape = z.strictObject({
  status: z.enum(['ok', 'unavailable']),
  store: z.enum(['ok', 'unavailable']),
})

const maxWaiting = 4

/** Audits one after another: each reads everything there is. */
class Audits {
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0

  async run(audit: () => Promise<VerifyResult>): Promise<VerifyResult> {
    if (this.#waiting >= maxWaiting) throw new GatewayError('overloaded', { retryAfterS: 10 })
    this.#waiting++
    const mine = this.#turn.then(audit)
    this.#turn = mine.catch(() => {})
    try {
      return await mine
    } finally {
      this.#waiting--
    }
  }
}

/** `/billing/verify` and `/billing/health`. */
export function billingAuditRoutes(deps: BillingAuditDeps): Route[] {
  const audits = new Audits()
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/verify',
      summary: 'Recomputes records, rollups and ledger, and names what differs',
      permission: 'verify',
      response: verifyShape,
      errors: [403, 503],
      handler: async ({ signal }) => {
        const result = await audits.run(() => deps.verify(signal))
        return { ...result, differences: result.differences.map((difference) => ({ ...difference })) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/health',
      summary: 'Whether usage can be recorded; 503 where it cannot',
      permission: 'public',
      response: healthShape,
      errors: [503],
      handler: () => {
        if (deps.isStoreReady()) return { status: 'ok' as const, store: 'ok' as const }
        const body = JSON.stringify({ status: 'unavailable', store: 'unavailable' })
        return new Answer('application/json; charset=utf-8', body, { status: 503 })
      },
    }),
  ]
}
