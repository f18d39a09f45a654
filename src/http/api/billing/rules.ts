// Routes of pricing rules: making, reading, changing and retiring them, and their versions.
import { z } from 'zod'
import { outcomes } from '../../../pricing/price.ts'
import { matchInput, priceInput, ruleInput, rulePatch, toRuleObject } from '../../../pricing/rule-input.ts'
import type { VersionLife } from '../../../pricing/choice.ts'
import type { RuleBook } from '../../../pricing/rules.ts'
import type { RuleVersion } from '../../../pricing/price.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface BillingRuleDeps {
  readonly rules: RuleBook
}

export const ruleShape = z
  .strictObject({
    id: z.string(),
    version: z.int().describe('Grows with each change; records name the version that priced them.'),
    name: z.string(),
    priority: z.int(),
    active: z.boolean(),
    currency: z.string(),
    book: z.string().optional().describe('The price book; absent: for everybody.'),
    match: matchInput,
    price: priceInput,
    billOn: z.array(z.enum(outcomes)),
    effectiveFrom: timeShape,
    effectiveTo: timeShape.optional(),
    createdAt: timeShape.describe('When this version was published.'),
    createdBy: z.string().optional().describe('The user who published it.'),
    state: z
      .enum(['published', 'retired'])
      .describe('retired: it prices no further call. Drafts are at /billing/drafts.'),
    rank: z
      .int()
      .optional()
      .describe('In lists: its place in the order in which the rules of its book are asked, from 1.'),
    retiredAt: timeShape.optional(),
    retiredBy: z.string().optional(),
  })
  .meta({ id: 'Rule' })

export function ruleView(
  rule: RuleVersion,
  rules: { lifeOf(rule: RuleVersion): VersionLife },
): z.input<typeof ruleShape> {
  const view = toRuleObject(rule)
  const { state, retiredAtMs, retiredBy } = rules.lifeOf(rule)
  return {
    ...view,
    billOn: [...view.billOn],
    state,
    ...(retiredAtMs !== undefined && { retiredAt: isoTime(retiredAtMs) }),
    ...(retiredBy !== undefined && { retiredBy }),
  }
}

const path = '/api/v1/billing/rules'
const one = `${path}/{id}`

/** `/billing/rules` and below. */
export function billingRuleRoutes(deps: BillingRuleDeps): Route[] {
  return [...collectionRoutes(deps), ...itemRoutes(deps)]
}

function collectionRoutes({ rules }: BillingRuleDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a pricing rule',
      permission: 'rules:manage',
      body: ruleInput,
      response: ruleShape,
      status: 201,
      errors: [403, 422, 503],
      handler: async ({ principal, body, setHeader }) => {
        const rule = await rules.create(body, principal.userId)
        setHeader('location', `${path}/${rule.ruleId}`)
        return ruleView(rule, rules)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the rules in their latest versions, oldest first',
      permission: 'rules:read',
      query: z.strictObject(pageQuery),
      response: pageOf(ruleShape),
      errors: [403],
      handler: ({ query }) =>
        pageById(query, {
          fetch: ({ limit, id }) => {
            const ranks = rules.ranks()
            return rules
              .listRules({ limit, ...(id !== undefined && { cursor: id }) })
              .items.map((rule) => ({ ...ruleView(rule, rules), rank: ranks.get(rule.ruleId) ?? 0 }))
          },
          show: (rule) => rule,
        }),
    }),
  ]
}

function itemRoutes({ rules }: BillingRuleDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a rule in its latest version',
      permission: 'rules:read',
      params: idParams,
      response: ruleShape,
      errors: [403, 404],
      handler: ({ params }) => ruleView(rules.getRule(readId(params.id, 'rul')), rules),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Makes the next version of a rule',
      description: 'Records that are already written keep the price of their version.',
      permission: 'rules:manage',
      params: idParams,
      body: rulePatch,
      response: ruleShape,
      errors: [403, 404, 422, 503],
      handler: async ({ principal, params, body }) =>
        ruleView(await rules.change(readId(params.id, 'rul'), body, principal.userId), rules),
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Retires a rule: it prices no further call',
      permission: 'rules:manage',
      params: idParams,
      errors: [403, 404, 503],
      handler: async ({ principal, params }) => {
        await rules.retire(readId(params.id, 'rul'), principal.userId)
        return undefined
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${one}/versions`,
      summary: 'Lists every version of a rule, of a retired one too, oldest first',
      permission: 'rules:read',
      params: idParams,
      query: z.strictObject(pageQuery),
      response: pageOf(ruleShape),
      errors: [403, 404],
      handler: ({ params, query }) => versionPage(rules, readId(params.id, 'rul'), query),
    }),
  ]
}

function versionPage(rules: RuleBook, ruleId: string, query: { limit: number; cursor?: string | undefined }) {
  const [after = 0] = decodeCursor(query.cursor, 1) ?? []
  const rest = rules.getVersions(ruleId).filter(({ version }) => version > Number(after))
  return makePage(rest, query.limit, {
    positionOf: ({ version }) => [version],
    show: (rule) => ruleView(rule, rules),
  })
}
