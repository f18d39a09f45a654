// Routes of pricing rules: making, reading, changing and retiring them, and their versions.
import { z } from 'zod'
import { outcomes } from '../../pricing/price.ts'
import { matchInput, priceInput, ruleInput, rulePatch, toRuleObject } from '../../pricing/rule-input.ts'
import type { RuleBook } from '../../pricing/rules.ts'
import type { RuleVersion } from '../../pricing/price.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from './page.ts'
import { defineRoute, type Route } from './route.ts'
import { idParams, pageById, readId, timeShape } from './view.ts'

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
    match: matchInput,
    price: priceInput,
    billOn: z.array(z.enum(outcomes)),
    effectiveFrom: timeShape,
    effectiveTo: timeShape.optional(),
    createdAt: timeShape.describe('When this version was made.'),
  })
  .meta({ id: 'Rule' })

export function ruleView(rule: RuleVersion): z.input<typeof ruleShape> {
  const view = toRuleObject(rule)
  return { ...view, billOn: [...view.billOn] }
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
        return ruleView(rule)
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
          fetch: ({ limit, id }) =>
            rules.listRules({ limit, ...(id !== undefined && { cursor: id }) }).items.map(ruleView),
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
      handler: ({ params }) => ruleView(rules.getRule(readId(params.id, 'rul'))),
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
        ruleView(await rules.change(readId(params.id, 'rul'), body, principal.userId)),
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Retires a rule: it prices no further call',
      permission: 'rules:manage',
      params: idParams,
      errors: [403, 404, 503],
      handler: async ({ params }) => {
        await rules.retire(readId(params.id, 'rul'))
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
      handler: ({ params, query }) => versionPage(rules.getVersions(readId(params.id, 'rul')), query),
    }),
  ]
}

function versionPage(
  versions: readonly RuleVersion[],
  query: { limit: number; cursor?: string | undefined },
) {
  const [after = 0] = decodeCursor(query.cursor, 1) ?? []
  const rest = versions.filter(({ version }) => version > Number(after))
  return makePage(rest, query.limit, { positionOf: ({ version }) => [version], show: ruleView })
}
