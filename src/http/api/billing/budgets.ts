// Routes of budgets: made, shown with what is used of them, changed, raised for a while, and removed.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { AccountTree } from '../../../ledger/account-tree.ts'
import { callUnit, oneCall, type Budget, type BudgetInput } from '../../../ledger/budgets/budget.ts'
import type { Budgets } from '../../../ledger/budgets/budgets.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import { readAmount } from './amount.ts'
import { budgetInput, budgetPatch, increaseInput, readScope, readThresholds } from './budget-input.ts'
import type { FindSubjects, Subject } from './budget-subject.ts'
import { budgetShape, budgetView } from './budget-view.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, pageById, readFuture, readId } from '../view.ts'

export interface BillingBudgetDeps {
  readonly budgets: Budgets
  readonly accounts: AccountTree
  readonly ledger: Ledger
  readonly clock: Clock
  readonly findSubjects: FindSubjects
}

const path = '/api/v1/billing/budgets'
const one = `${path}/{id}`

/** `/billing/budgets` and below. */
export function billingBudgetRoutes(deps: BillingBudgetDeps): Route[] {
  return [...readingRoutes(deps), ...makingRoutes(deps), ...changingRoutes(deps)]
}

const shown = ({ budgets, clock }: BillingBudgetDeps, budget: Budget, subject?: string) =>
  budgetView(budget, budgets.state(budget.id, subject), clock.now())

const maySee = (principal: Principal, budget: Budget): boolean =>
  may(principal, 'accounts:read-all') || budget.accountId === principal.accountId

/** A budget that the caller may see; `not_found` where there is none and where it is somebody else's. */
function getVisible({ budgets }: BillingBudgetDeps, principal: Principal, id: string): Budget {
  const budget = budgets.get(readId(id, 'bud'))
  if (!maySee(principal, budget)) throw new GatewayError('not_found')
  return budget
}

function readingRoutes(deps: BillingBudgetDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary:
        'Lists budgets with what is used of them, oldest first: your own; for auditors and administrators all',
      permission: 'signed-in',
      query: z.strictObject(pageQuery),
      response: pageOf(budgetShape),
      handler: ({ principal, query }) =>
        pageById(query, {
          fetch: ({ limit, id }) =>
            deps.budgets
              .list()
              .filter((budget) => maySee(principal, budget))
              .filter((budget) => id === undefined || budget.id > id)
              .slice(0, limit),
          show: (budget) => shown(deps, budget),
        }),
    }),
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a budget with what is used of it',
      permission: 'signed-in',
      params: idParams,
      query: z.strictObject({
        subject: z.string().max(200).optional().describe('With a scope of *: whose figures to show, an id.'),
      }),
      response: budgetShape,
      errors: [404],
      handler: ({ principal, params, query }) =>
        shown(deps, getVisible(deps, principal, params.id), query.subject),
    }),
  ]
}

function makingRoutes(deps: BillingBudgetDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a budget; what was spent earlier in its window counts',
      permission: 'accounts:manage',
      body: budgetInput,
      response: budgetShape,
      status: 201,
      errors: [403, 422, 503],
      handler: async ({ principal, body, setHeader }) => {
        const { kind, text } = readScope(body.scope)
        const subject = text === '*' ? readEach(kind) : await findOnly(deps, principal, { kind, text })
        const input = readInput(deps, body, { principal, kind, subject })
        const account = kind === 'account' ? deps.ledger.findAccount(subject.id) : undefined
        const check = account && body.unit === 'money' && (() => deps.accounts.checkOneCurrency(account))
        const budget = await deps.budgets.create(input, check || undefined)
        setHeader('location', `${path}/${budget.id}`)
        return shown(deps, budget)
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${one}/increase`,
      summary: 'Raises a budget until a time',
      permission: 'accounts:manage',
      params: idParams,
      body: increaseInput,
      response: budgetShape,
      errors: [403, 404, 422, 503],
      handler: async ({ principal, params, body }) => {
        const { id } = getVisible(deps, principal, params.id)
        const untilMs = readFuture(body.until, { field: '/until', nowMs: deps.clock.now() })
        const amount = wholeCalls(deps.budgets.get(id), readAmount(body.amount))
        const input = { amount, untilMs, createdBy: principal.userId }
        return shown(deps, await deps.budgets.increase(id, input))
      },
    }),
  ]
}

function changingRoutes(deps: BillingBudgetDeps): Route[] {
  return [
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: "Changes a budget's name, amount, mode or thresholds",
      permission: 'accounts:manage',
      params: idParams,
      body: budgetPatch,
      response: budgetShape,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) => {
        const { id } = getVisible(deps, principal, params.id)
        const { name, amount, mode, thresholds } = body
        const change = {
          ...(name !== undefined && { name }),
          ...(amount !== undefined && { amount: wholeCalls(deps.budgets.get(id), readAmount(amount)) }),
          ...(mode !== undefined && { mode }),
          ...(thresholds !== undefined && { thresholds: readThresholds(thresholds) }),
        }
        return shown(deps, await deps.budgets.change(id, change))
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes a budget with its increases',
      permission: 'accounts:manage',
      params: idParams,
      errors: [403, 404, 503],
      handler: async ({ principal, params }) => {
        await deps.budgets.delete(getVisible(deps, principal, params.id).id)
        return undefined
      },
    }),
  ]
}

/** Throws `validation_failed` for a part of a call. */
function wholeCalls({ currency }: Budget, amount: bigint): bigint {
  if (currency === callUnit && amount % oneCall !== 0n)
    throw invalid('/amount', 'must be a whole number of calls')
  return amount
}

const invalid = (field: string, message: string): GatewayError =>
  new GatewayError('validation_failed', { fields: [{ field, message }] })

function readEach(kind: string): Subject {
  if (kind === 'account') throw invalid('/scope/account', 'must be an account; * goes with the other scopes')
  return { id: '*' }
}

async function findOnly(
  { findSubjects }: BillingBudgetDeps,
  principal: Principal,
  { kind, text }: { kind: Budget['scope']['kind']; text: string },
): Promise<Subject> {
  const [only, other] = await findSubjects(principal, kind, text)
  if (!only) throw invalid(`/scope/${kind}`, `names no ${kind}; check the id or name`)
  if (other) throw invalid(`/scope/${kind}`, 'is the name of several; give the id')
  return only
}

/** What the request leaves out is the account's where there is one, else the configured. */
function readInput(
  { ledger }: BillingBudgetDeps,
  body: z.output<typeof budgetInput>,
  given: { principal: Principal; kind: Budget['scope']['kind']; subject: Subject },
): BudgetInput {
  const { kind, subject, principal } = given
  const { accountId } = subject
  const account = accountId === undefined ? undefined : ledger.findAccount(accountId)
  const money = body.currency ?? account?.currency ?? ledger.defaults.currency
  const currency = body.unit === 'calls' ? callUnit : money
  if (account && currency !== callUnit && account.currency !== currency)
    throw invalid('/currency', `must be ${account.currency}, the currency of that account`)
  return {
    ...(body.name !== undefined && { name: body.name }),
    scope: { kind, subject: subject.id },
    ...(accountId !== undefined && { accountId }),
    amount: readAmount(body.amount),
    currency,
    window: body.window,
    timeZone: body.timeZone ?? account?.timeZone ?? ledger.defaults.timeZone,
    mode: body.mode,
    thresholds: readThresholds(body.thresholds),
    createdBy: principal.userId,
  }
}
