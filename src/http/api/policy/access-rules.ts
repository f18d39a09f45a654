// Routes of access rules: who may use which tools, prompts and resources, and why.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Users } from '../../../identity/users.ts'
import { roles } from '../../../identity/principal.ts'
import { effects, nouns, type AccessRule } from '../../../policy/access-rules/access-rule.ts'
import { accessRuleInput, accessRulePatch } from '../../../policy/access-rules/access-rule-input.ts'
import type { AccessRules } from '../../../policy/access-rules/access-rules.ts'
import { fieldErrors, mergePatch } from '../../../registry/server-input.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, timeShape } from '../view.ts'

export interface AccessRuleRouteDeps {
  readonly accessRules: AccessRules
  readonly users: Pick<Users, 'get'>
}

const ruleShape = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    priority: z.int(),
    effect: z.enum(effects),
    who: z
      .strictObject({
        users: z.array(z.string()).optional(),
        keys: z.array(z.string()).optional(),
        roles: z.array(z.enum(roles)).optional(),
        groups: z.array(z.string()).optional(),
      })
      .optional(),
    server: z.string(),
    kind: z.enum(nouns).optional(),
    item: z.string(),
    arguments: z.record(z.string(), z.unknown()).optional(),
    from: timeShape.optional(),
    until: timeShape.optional(),
    note: z.string().optional(),
    active: z.boolean(),
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'AccessRule' })

const listShape = z.strictObject({ items: z.array(ruleShape), nextCursor: z.null() })

const question = z.strictObject({
  user: z.string().describe('A user id.'),
  key: z.string().optional().describe('The id of an API key of theirs, where they call with one.'),
  server: z.string().min(1).max(64).describe("The server's name."),
  kind: z.enum(nouns).default('tool'),
  arguments: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('Those of a call; absent: whether it is listed.'),
  item: z.string().min(1).max(2048).describe("The server's own name of a tool or prompt, or a URI."),
})

const explanationShape = z
  .strictObject({
    allowed: z.boolean(),
    decidedBy: ruleShape.nullable().describe('Null where no rule matches: then it is allowed.'),
    tested: z.array(
      z.strictObject({
        rule: z.string().describe("The rule's name."),
        matches: z.boolean(),
        mismatch: z.enum(['active', 'time', 'server', 'kind', 'item', 'who', 'arguments']).optional(),
      }),
    ),
  })
  .meta({ id: 'AccessExplanation' })

const path = '/api/v1/access-rules'
const one = `${path}/{id}`

function show({
  createdAtMs,
  updatedAtMs,
  fromMs,
  untilMs,
  who,
  arguments: schema,
  ...rule
}: AccessRule): z.input<typeof ruleShape> {
  return {
    ...rule,
    ...(schema && { arguments: { ...schema } }),
    ...(who && {
      who: {
        ...(who.users && { users: [...who.users] }),
        ...(who.keys && { keys: [...who.keys] }),
        ...(who.roles && { roles: [...who.roles] }),
        ...(who.groups && { groups: [...who.groups] }),
      },
    }),
    ...(fromMs !== undefined && { from: isoTime(fromMs) }),
    ...(untilMs !== undefined && { until: isoTime(untilMs) }),
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

/** `/access-rules`, `/access-rules/{id}`, where `{id}` is an id or a name, and `/access-rules/explain`. */
export function accessRuleRoutes(deps: AccessRuleRouteDeps): Route[] {
  const { accessRules } = deps
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes an access rule; what it denies is unknown to those whom it is for',
      permission: 'access-rules:manage',
      body: accessRuleInput,
      response: ruleShape,
      status: 201,
      errors: [409, 422],
      handler: async ({ body, setHeader }) => {
        const rule = await accessRules.create(body)
        setHeader('location', `${path}/${rule.id}`)
        return show(rule)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists all access rules, in the order in which they decide',
      permission: 'access-rules:read',
      response: listShape,
      handler: () => ({ items: accessRules.list().map(show), nextCursor: null }),
    }),
    explainRoute(deps),
    ...itemRoutes(deps),
  ]
}

function explainRoute({ accessRules, users }: AccessRuleRouteDeps): Route {
  return defineRoute({
    method: 'POST',
    path: `${path}/explain`,
    audit: false,
    summary: 'Says whether a user may use something of a server, and which rule decides',
    description: 'Whether they may use the server at all is not asked here; see its `access`.',
    permission: 'access-rules:read',
    body: question,
    response: explanationShape,
    errors: [404],
    handler: async ({ body: { user, key, arguments: given, ...thing } }) => {
      const { roles: held, groups } = await users.get(user)
      const caller = { userId: user, roles: held, groups, ...(key !== undefined && { keyId: key }) }
      const { allowed, decidedBy, tested } = accessRules.explain(caller, thing, given)
      return {
        allowed,
        decidedBy: decidedBy ? show(decidedBy) : null,
        tested: tested.map(({ rule, mismatch }) => ({
          rule: rule.name,
          matches: mismatch === undefined,
          ...(mismatch !== undefined && { mismatch }),
        })),
      }
    },
  })
}

function itemRoutes({ accessRules }: AccessRuleRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows an access rule',
      permission: 'access-rules:read',
      params: idParams,
      response: ruleShape,
      errors: [404],
      handler: ({ params }) => show(accessRules.get(params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes an access rule, at once',
      permission: 'access-rules:manage',
      params: idParams,
      body: accessRulePatch,
      response: ruleShape,
      errors: [404, 409],
      handler: async ({ params, body }) => {
        const rule = accessRules.get(params.id)
        const { id, createdAt: _c, updatedAt: _u, ...before } = show(rule)
        const parsed = accessRuleInput.safeParse(mergePatch({ ...before }, body))
        if (!parsed.success)
          throw new GatewayError('validation_failed', { fields: parsed.error.issues.flatMap(fieldErrors) })
        return show(await accessRules.replace(id, parsed.data))
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes an access rule',
      permission: 'access-rules:manage',
      params: idParams,
      errors: [404],
      handler: async ({ params }) => {
        await accessRules.remove(accessRules.get(params.id).id)
        return undefined
      },
    }),
  ]
}
