// Routes of API keys: one's own, and for administrators a look at everybody's and their end.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { assert, GatewayError } from '../../../base/errors.ts'
import type { ApiKey } from '../../../identity/key-store.ts'
import { keyInput, keyRotation, type Keys, type KeyScope, type ShownKey } from '../../../identity/keys.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { Budgets } from '../../../ledger/budgets/budgets.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import { readAmount } from '../billing/amount.ts'
import { keyBudgetInput, readThresholds } from '../billing/budget-input.ts'
import { budgetShape, budgetView } from '../billing/budget-view.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface KeyRouteDeps {
  readonly keys: Keys
  readonly budgets: Budgets
  readonly ledger: Ledger
  readonly clock: Clock
}

const keyShape = z
  .strictObject({
    id: z.string(),
    userId: z.string(),
    prefix: z.string().describe('The first, public part of the key.'),
    name: z.string(),
    servers: z.array(z.string()).optional().describe('Names of the servers that the key is limited to.'),
    createdAt: timeShape,
    expiresAt: timeShape.optional(),
    suspendedBy: z.string().optional().describe('The user who keeps it from being used.'),
    lastUsedAt: timeShape.optional().describe('To the minute.'),
    budget: budgetShape.optional().describe('The first budget of this key, with what is used of it.'),
  })
  .meta({ id: 'Key' })

const shownKeyShape = keyShape
  .extend({ key: z.string().describe('The key itself; shown this once.') })
  .meta({ id: 'NewKey' })

function keyView({ budgets, clock }: KeyRouteDeps, key: ApiKey): z.input<typeof keyShape> {
  const { createdAtMs, expiresAtMs, lastUsedAtMs, servers, ...rest } = key
  const [budget] = budgets.ofKey(key.id)
  return {
    ...rest,
    ...(servers && { servers: [...servers] }),
    createdAt: isoTime(createdAtMs),
    ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
    ...(lastUsedAtMs !== undefined && { lastUsedAt: isoTime(lastUsedAtMs) }),
    ...(budget && { budget: budgetView(budget, budgets.state(budget.id), clock.now()) }),
  }
}

const shownKeyView = (deps: KeyRouteDeps, { apiKey, key }: ShownKey): z.input<typeof shownKeyShape> => ({
  ...keyView(deps, apiKey),
  key,
})

const newKeyInput = keyInput.extend({ budget: keyBudgetInput.optional() })

/** A key and its budget; where the budget cannot be made, there is no key either. */
async function makeKey(
  deps: KeyRouteDeps,
  principal: Principal,
  { budget, ...input }: z.output<typeof newKeyInput>,
): Promise<ShownKey> {
  const account = deps.ledger.findAccount(principal.accountId)
  assert(account, 'every caller has an account')
  const shown = await deps.keys.create(principal.userId, input)
  if (!budget) return shown
  const { id } = shown.apiKey
  try {
    await deps.budgets.create({
      name: input.name,
      scope: { kind: 'key', subject: id },
      accountId: account.id,
      amount: readAmount(budget.amount),
      currency: account.currency,
      window: budget.window,
      timeZone: account.timeZone,
      mode: budget.mode,
      thresholds: readThresholds(['0.5', '0.8', '1']),
      createdBy: principal.userId,
    })
    return shown
  } catch (error) {
    await deps.keys.delete(id, { userId: principal.userId })
    throw error
  }
}

/** The keys that a list is about: the caller's own unless it asks for others and may see them. */
function listScope(principal: Principal, user: string | undefined): KeyScope {
  if (user === undefined || user === principal.userId) return { userId: principal.userId }
  if (!may(principal, 'keys:manage-all')) throw new GatewayError('forbidden')
  return user === '*' ? {} : { userId: user }
}

/** `/keys` and `/keys/{id}`. */
export function keyRoutes(deps: KeyRouteDeps): Route[] {
  const path = '/api/v1/keys'
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes an API key of your own; it is shown once',
      permission: 'keys:manage',
      body: newKeyInput,
      response: shownKeyShape,
      status: 201,
      errors: [403, 422],
      handler: async ({ principal, body, setHeader }) => {
        const shown = await makeKey(deps, principal, body)
        setHeader('location', `${path}/${shown.apiKey.id}`)
        return shownKeyView(deps, shown)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists your API keys, oldest first',
      permission: 'keys:manage',
      query: z.strictObject({
        ...pageQuery,
        user: z
          .string()
          .regex(/^(\*|usr_[0-9a-z]{26})$/, 'a user id, or *')
          .optional()
          .describe('For administrators: a user id, or `*` for everybody.'),
      }),
      response: pageOf(keyShape),
      errors: [403],
      handler: ({ principal, query }) => {
        const scope = listScope(principal, query.user)
        return pageById(query, {
          fetch: ({ limit, id }) => deps.keys.list({ limit, afterId: id }, scope),
          show: (key) => keyView(deps, key),
        })
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: `${path}/{id}`,
      summary: 'Suspends an API key, at once, or lets it be used again',
      description:
        'Administrators may suspend the keys of others, and only they may take that back. Open streams of a suspended key end.',
      permission: 'keys:manage',
      params: idParams,
      body: z.strictObject({ suspended: z.boolean() }),
      response: keyShape,
      errors: [403, 404],
      handler: async ({ principal, params, body }) => {
        const scope = may(principal, 'keys:manage-all') ? {} : { userId: principal.userId }
        const by = { ...scope, byId: principal.userId }
        return keyView(deps, await deps.keys.suspend(readId(params.id, 'key'), body.suspended, by))
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: `${path}/{id}`,
      summary: 'Revokes an API key, at once',
      description: 'Administrators may revoke the keys of others.',
      permission: 'keys:manage',
      params: idParams,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const scope = may(principal, 'keys:manage-all') ? {} : { userId: principal.userId }
        const id = readId(params.id, 'key')
        await deps.keys.delete(id, scope)
        await deps.budgets.deleteOfKey(id)
        return undefined
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/{id}/rotate`,
      summary: 'Gives your key a new secret, which is shown once',
      permission: 'keys:manage',
      params: idParams,
      body: keyRotation.prefault({}),
      response: shownKeyShape,
      errors: [403, 404],
      handler: async ({ principal, params, body }) =>
        shownKeyView(
          deps,
          await deps.keys.rotate(readId(params.id, 'key'), body, { userId: principal.userId }),
        ),
    }),
  ]
}
