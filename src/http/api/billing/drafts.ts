// Routes of drafts: rules that nobody pays by until they are published.
import { z } from 'zod'
import { assert } from '../../../base/errors.ts'
import { maxDrafts, type Drafts } from '../../../pricing/drafts/drafts.ts'
import type { RuleDraft } from '../../../pricing/drafts/store.ts'
import { outcomes } from '../../../pricing/price.ts'
import { draftInput, draftPatch, matchInput, priceInput } from '../../../pricing/rule-input.ts'
import type { RuleBook } from '../../../pricing/rules.ts'
import { ruleShape, ruleView } from './rules.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface BillingDraftDeps {
  readonly drafts: Drafts
  readonly rules: RuleBook
}

const draftShape = z
  .strictObject({
    id: z.string(),
    state: z.literal('draft'),
    ruleId: z.string().describe('The rule whose next version it will be, or the new rule that it will be.'),
    basedOn: z.int().optional().describe('The version that it was made from; absent for a new rule.'),
    name: z.string(),
    priority: z.int(),
    active: z.boolean(),
    currency: z.string(),
    book: z.string().optional(),
    match: matchInput,
    price: priceInput,
    billOn: z.array(z.enum(outcomes)),
    effectiveFrom: timeShape.optional().describe('Absent: from the moment on in which it is published.'),
    effectiveTo: timeShape.optional(),
    createdAt: timeShape,
    createdBy: z.string().optional(),
    updatedAt: timeShape,
    updatedBy: z.string().optional(),
  })
  .meta({ id: 'RuleDraft' })

function draftView({ rule, createdAtMs, updatedAtMs, ...rest }: RuleDraft): z.input<typeof draftShape> {
  const { effectiveFrom, effectiveTo, billOn, ...members } = rule
  return {
    ...members,
    ...rest,
    state: 'draft',
    billOn: [...billOn],
    ...(effectiveFrom !== undefined && { effectiveFrom: isoTime(Date.parse(effectiveFrom)) }),
    ...(effectiveTo !== undefined && { effectiveTo: isoTime(Date.parse(effectiveTo)) }),
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

const force = z.boolean().default(false).describe('Whether to publish in spite of what the linter finds.')
const publishInput = z.strictObject({ force })
const publishManyInput = z.strictObject({ ids: z.array(z.string().max(64)).min(1).max(maxDrafts), force })

const path = '/api/v1/billing/drafts'
const one = `${path}/{id}`
const publishErrors = [403, 404, 409, 422, 503]

/** `/billing/drafts` and below. */
export function billingDraftRoutes(deps: BillingDraftDeps): Route[] {
  return [...collectionRoutes(deps), ...itemRoutes(deps), ...publishRoutes(deps)]
}

function collectionRoutes({ drafts }: BillingDraftDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a draft of a new rule, or with `ruleId` of the next version of that rule',
      description: 'With `ruleId`, what is not named is as in the latest version.',
      permission: 'rules:manage',
      body: draftInput,
      response: draftShape,
      status: 201,
      errors: [403, 404, 422, 503],
      handler: async ({ principal, body, setHeader }) => {
        const { ruleId, ...rule } = body
        const of = ruleId === undefined ? {} : { ruleId: readId(ruleId, 'rul') }
        const draft = await drafts.create({ ...rule, ...of }, principal.userId)
        setHeader('location', `${path}/${draft.id}`)
        return draftView(draft)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists drafts, oldest first',
      permission: 'rules:read',
      query: z.strictObject(pageQuery),
      response: pageOf(draftShape),
      errors: [403],
      handler: ({ query }) =>
        pageById(query, { fetch: ({ limit, id }) => drafts.list({ limit, after: id }), show: draftView }),
    }),
  ]
}

function itemRoutes({ drafts }: BillingDraftDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a draft',
      permission: 'rules:read',
      params: idParams,
      response: draftShape,
      errors: [403, 404],
      handler: async ({ params }) => draftView(await drafts.get(readId(params.id, 'drf'))),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes a draft',
      description:
        'Each member replaces the old one; null takes it away. `basedOn` says that a newer version of the rule was looked at.',
      permission: 'rules:manage',
      params: idParams,
      body: draftPatch,
      response: draftShape,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) =>
        draftView(await drafts.change(readId(params.id, 'drf'), body, principal.userId)),
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Throws a draft away',
      permission: 'rules:manage',
      params: idParams,
      errors: [403, 404, 503],
      handler: async ({ params }) => {
        await drafts.remove(readId(params.id, 'drf'))
        return undefined
      },
    }),
  ]
}

function publishRoutes({ drafts, rules }: BillingDraftDeps): Route[] {
  const refusal =
    'Where this would bring errors that are not there without it, the answer is 422 with the `findings` of the linter.'
  return [
    defineRoute({
      method: 'POST',
      path: `${one}/publish`,
      summary: 'Makes a version of a draft, which calls pay by from its `effectiveFrom` on',
      description: refusal,
      permission: 'rules:manage',
      params: idParams,
      body: publishInput,
      response: ruleShape,
      errors: publishErrors,
      handler: async ({ principal, params, body }) => {
        const by = { by: principal.userId, force: body.force }
        const [version] = await drafts.publish([readId(params.id, 'drf')], by)
        assert(version, 'a published draft is a version')
        return ruleView(version, rules)
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/publish`,
      summary: 'Publishes several drafts at one moment, all or none',
      description: refusal,
      permission: 'rules:manage',
      body: publishManyInput,
      response: z.strictObject({ items: z.array(ruleShape) }),
      errors: publishErrors,
      handler: async ({ principal, body }) => {
        const ids = body.ids.map((id) => readId(id, 'drf'))
        const versions = await drafts.publish(ids, { by: principal.userId, force: body.force })
        return { items: versions.map((version) => ruleView(version, rules)) }
      },
    }),
  ]
}
