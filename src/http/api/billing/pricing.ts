// Routes that price without storing: a quote for given usage, and the explanation of a rule's choice.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { booksOf } from '../../../ledger/account-books.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import { quote } from '../../../pricing/quote.ts'
import { priceInput, quoteInput } from '../../../pricing/rule-input.ts'
import type { RuleBook } from '../../../pricing/rules.ts'
import { getAccountOf } from './scope.ts'
import { ruleShape, ruleView } from './rules.ts'
import { defineRoute, type Route } from '../route.ts'

export interface BillingPricingDeps {
  readonly rules: RuleBook
  readonly ledger: Ledger
  readonly clock: Clock
  /** The account of a user, or undefined where there is no such user. */
  findAccountId(userId: string): Promise<string | undefined>
}

export const priceLineShape = z.strictObject({
  component: z.string().describe('The part of the price: perCall, perKb, … minimum, maximum, rounding.'),
  quantity: z.string(),
  unitPrice: z.string().optional(),
  amount: z.string(),
})

const quoteShape = z
  .strictObject({ amount: z.string(), currency: z.string(), lines: z.array(priceLineShape) })
  .meta({ id: 'Quote' })

const name = z.string().min(1).max(512)

const explainInput = z.strictObject({
  server: name.describe("The server's name."),
  method: name.describe('For example tools/call.'),
  tool: name.optional(),
  userId: z.string().max(64).optional().describe('Who calls; you, where it is absent.'),
  transport: z.enum(['streamable-http', 'sse', 'websocket', 'stdio', 'api']).default('streamable-http'),
  at: z.iso.datetime({ offset: true }).optional().describe('When the call arrives; now, where it is absent.'),
})

const explanationShape = z
  .strictObject({
    rule: ruleShape.optional().describe('The chosen rule; absent where none prices such a call.'),
    price: priceInput.optional(),
    candidates: z
      .array(
        z.strictObject({
          ruleId: z.string(),
          version: z.int(),
          name: z.string(),
          priority: z.int(),
          book: z.string().optional().describe('The price book that it is in.'),
          matched: z.boolean(),
          lostBecause: z.string().optional().describe('Absent for the chosen rule alone.'),
        }),
      )
      .describe('Every rule in the order of choice; without the right to read rules, those that match.'),
  })
  .meta({ id: 'Explanation' })

/** `/billing/quote` and `/billing/explain`. */
export function billingPricingRoutes(deps: BillingPricingDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/quote',
      audit: false,
      summary: 'What a price would charge for given usage: exact, unrounded, nothing stored',
      permission: 'signed-in',
      body: quoteInput,
      response: quoteShape,
      handler: ({ body: { price, usage, currency } }) => {
        const { lines, ...rest } = quote(price, usage, currency)
        return { ...rest, lines: [...lines] }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/explain',
      audit: false,
      summary: 'Which rule prices a call, and why every other one does not',
      permission: 'signed-in',
      body: explainInput,
      response: explanationShape,
      errors: [404],
      handler: ({ principal, body }) => explain(deps, principal, body),
    }),
  ]
}

async function explain(
  deps: BillingPricingDeps,
  principal: Principal,
  input: z.output<typeof explainInput>,
): Promise<z.input<typeof explanationShape>> {
  const { rules, ledger, clock } = deps
  const { server, method, tool, transport, at } = input
  const { userId, accountId } = await getAccountOf(principal, input.userId, (id) => deps.findAccountId(id))
  const account = ledger.findAccount(accountId)
  if (!account) throw new GatewayError('not_found')
  const { chosen, candidates } = rules.explain({
    server,
    method,
    ...(tool !== undefined && { tool }),
    user: userId,
    account: accountId,
    transport,
    currency: account.currency,
    books: booksOf(account, ledger),
    atMs: at === undefined ? clock.now() : Date.parse(at),
  })
  // The others tell of prices that were made for somebody else.
  const shown = may(principal, 'rules:read') ? candidates : candidates.filter(({ matched }) => matched)
  return {
    ...(chosen && { rule: ruleView(chosen.rule, rules), price: chosen.rule.price }),
    candidates: shown.map((candidate) => ({ ...candidate })),
  }
}
