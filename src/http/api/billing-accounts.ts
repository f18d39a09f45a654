// Routes of accounts: balances, how an account pays, its grants, and its ledger.
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { formatCallId } from '../../base/id.ts'
import { formatAmount, parseAmount } from '../../base/money.ts'
import { isTimeZone } from '../../base/zone.ts'
import type { Account, Grant, Transfer } from '../../ledger/account.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { may } from '../../policy/roles.ts'
import type { PriceBooks } from '../../pricing/books/price-books.ts'
import { bookName } from '../../pricing/rule-input.ts'
import { checkBooks } from './billing-books.ts'
import { getVisibleAccount } from './billing-scope.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from './page.ts'
import { defineRoute, type Route } from './route.ts'
import { idParams, isoTime, pageById, timeShape } from './view.ts'

export interface BillingAccountDeps {
  readonly ledger: Ledger
  readonly books: Pick<PriceBooks, 'has'>
  readonly clock: Clock
}

const modes = ['prepaid', 'postpaid'] as const
const amount = z.string().describe('A decimal string in the currency of the account.')

const accountShape = z
  .strictObject({
    id: z.string(),
    parentId: z.string().optional(),
    kind: z.enum(['organisation', 'team', 'user', 'key']),
    name: z.string(),
    ownerId: z.string().optional(),
    mode: z.enum(modes).describe('prepaid: a hard balance; postpaid: metered only.'),
    currency: z.string(),
    timeZone: z.string(),
    plan: z.string().optional().describe('The price book of its plan; absent: that of the account above it.'),
    priceBook: z
      .string()
      .optional()
      .describe('The price book made for it, whose rules stand first; absent: that of the account above it.'),
    balance: amount,
    held: amount.describe('Set aside for calls that are running.'),
    granted: amount,
    spent: amount,
    expired: amount,
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'Account' })

const accountPatch = z
  .strictObject({
    name: z.string().min(1).max(200),
    mode: z.enum(modes),
    timeZone: z.string().refine(isTimeZone, 'must be an IANA time zone such as Europe/Berlin'),
    plan: bookName.nullable(),
    priceBook: bookName.nullable(),
  })
  .partial()
  .refine((patch) => Object.keys(patch).length > 0, 'names no field; send at least one to change')

/** In nano-units; the sum of very many such grants still fits a column. */
const maxGrant = 10n ** 17n
const amountPattern = /^\d{1,12}(?:\.\d{1,9})?$/
const amountText = `must be a decimal string above 0 such as "25.00", at most ${formatAmount(maxGrant)}, with at most 9 decimals`

const grantInput = z.strictObject({
  amount: z
    .string({ error: amountText })
    .regex(amountPattern, amountText)
    .refine((text) => {
      const nano = amountPattern.test(text) ? (parseAmount(text) ?? 0n) : 1n
      return nano > 0n && nano <= maxGrant
    }, amountText),
  priority: z.int().min(-1_000_000).max(1_000_000).default(0).describe('Lower burns first.'),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  reason: z.string().min(1).max(500).optional(),
})

const grantShape = z
  .strictObject({
    id: z.string(),
    accountId: z.string(),
    amount,
    currency: z.string(),
    priority: z.int(),
    expiresAt: timeShape.optional(),
    reason: z.string().optional(),
    createdBy: z.string(),
    createdAt: timeShape,
  })
  .meta({ id: 'Grant' })

const transferShape = z
  .strictObject({
    id: z.string(),
    kind: z.enum(['grant', 'charge', 'reprice', 'expiry']),
    time: timeShape,
    amount,
    currency: z.string(),
    debit: z.string().describe('The ledger account that the amount left.'),
    credit: z.string().describe('The ledger account at which it arrived.'),
    callId: z.string().optional().describe('The usage record that was charged.'),
  })
  .meta({ id: 'Transfer' })

function accountView(ledger: Ledger, account: Account): z.input<typeof accountShape> {
  const { createdAtMs, updatedAtMs, ...rest } = account
  const totals = ledger.totals(account.id)
  return {
    ...rest,
    balance: formatAmount(totals.balance),
    held: formatAmount(totals.held),
    granted: formatAmount(totals.granted),
    spent: formatAmount(totals.spent),
    expired: formatAmount(totals.expired),
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

function grantView(grant: Grant, currency: string): z.input<typeof grantShape> {
  const { id, accountId, priority, expiresAtMs, reason, createdBy, createdAtMs } = grant
  return {
    id,
    accountId,
    priority,
    createdBy,
    currency,
    amount: formatAmount(grant.amount),
    createdAt: isoTime(createdAtMs),
    ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
    ...(reason !== undefined && { reason }),
  }
}

function transferView(transfer: Transfer, currency: string): z.input<typeof transferShape> {
  const { id, kind, atMs, debit, credit, record } = transfer
  return {
    id: id.toString(),
    kind,
    time: isoTime(atMs),
    amount: formatAmount(transfer.amount),
    currency,
    debit: debit.toString(),
    credit: credit.toString(),
    ...(record !== undefined && { callId: formatCallId(record) }),
  }
}

const path = '/api/v1/billing/accounts'
const one = `${path}/{id}`

/** `/billing/accounts` and below. */
export function billingAccountRoutes(deps: BillingAccountDeps): Route[] {
  return [...accountRoutes(deps), ...grantRoutes(deps), ledgerRoute(deps)]
}

function accountRoutes({ ledger, books }: BillingAccountDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists accounts, oldest first: your own; for auditors and administrators all',
      permission: 'signed-in',
      query: z.strictObject(pageQuery),
      response: pageOf(accountShape),
      handler: ({ principal, query }) => {
        const all = may(principal, 'accounts:read-all')
        return pageById(query, {
          fetch: ({ limit, id }) =>
            ledger
              .listAccounts()
              .filter((account) => all || account.id === principal.accountId)
              .filter((account) => id === undefined || account.id > id)
              .slice(0, limit),
          show: (account) => accountView(ledger, account),
        })
      },
    }),
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows an account with its balance',
      permission: 'signed-in',
      params: idParams,
      response: accountShape,
      errors: [404],
      handler: ({ principal, params }) =>
        accountView(ledger, getVisibleAccount(ledger, principal, params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes how an account pays, its name, its time zone, or its price books',
      permission: 'accounts:manage',
      params: idParams,
      body: accountPatch,
      response: accountShape,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) => {
        const { id } = getVisibleAccount(ledger, principal, params.id)
        const { name, mode, timeZone, plan, priceBook } = body
        await checkBooks(books, { plan, priceBook })
        const change = {
          ...(name !== undefined && { name }),
          ...(mode !== undefined && { mode }),
          ...(timeZone !== undefined && { timeZone }),
          ...(plan !== undefined && { plan }),
          ...(priceBook !== undefined && { priceBook }),
        }
        return accountView(ledger, await ledger.changeAccount(id, change))
      },
    }),
  ]
}

function grantRoutes({ ledger, clock }: BillingAccountDeps): Route[] {
  const grants = `${one}/grants`
  return [
    defineRoute({
      method: 'POST',
      path: grants,
      summary: 'Puts credit on an account',
      description:
        'Grants burn by priority, then the earliest expiry, then the oldest. Send an Idempotency-Key.',
      permission: 'accounts:manage',
      params: idParams,
      body: grantInput,
      response: grantShape,
      status: 201,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) => {
        const { id, currency } = getVisibleAccount(ledger, principal, params.id)
        const { priority, reason, expiresAt } = body
        const expiresAtMs = expiresAt === undefined ? undefined : readFuture(expiresAt, clock.now())
        const grant = await ledger.grant(id, {
          amount: parseAmount(body.amount) ?? 0n,
          priority,
          createdBy: principal.userId,
          ...(expiresAtMs !== undefined && { expiresAtMs }),
          ...(reason !== undefined && { reason }),
        })
        return grantView(grant, currency)
      },
    }),
    defineRoute({
      method: 'GET',
      path: grants,
      summary: "Lists an account's grants, oldest first",
      permission: 'signed-in',
      params: idParams,
      query: z.strictObject(pageQuery),
      response: pageOf(grantShape),
      errors: [404],
      handler: async ({ principal, params, query }) => {
        const account = getVisibleAccount(ledger, principal, params.id)
        const all = await ledger.listGrants(account.id)
        return pageById(query, {
          fetch: ({ limit, id }) => all.filter((grant) => id === undefined || grant.id > id).slice(0, limit),
          show: (grant) => grantView(grant, account.currency),
        })
      },
    }),
  ]
}

function ledgerRoute({ ledger }: BillingAccountDeps): Route {
  return defineRoute({
    method: 'GET',
    path: `${one}/ledger`,
    summary: "Lists an account's transfers, newest first",
    permission: 'signed-in',
    params: idParams,
    query: z.strictObject(pageQuery),
    response: pageOf(transferShape),
    errors: [404],
    handler: async ({ principal, params, query }) => {
      const { id, currency } = getVisibleAccount(ledger, principal, params.id)
      const before = readTransferCursor(query.cursor)
      const rows = await ledger.listTransfers(id, {
        limit: query.limit + 1,
        ...(before !== undefined && { before }),
      })
      return makePage(rows, query.limit, {
        positionOf: (transfer) => [transfer.id.toString()],
        show: (transfer) => transferView(transfer, currency),
      })
    },
  })
}

function readFuture(text: string, nowMs: number): number {
  const timeMs = Date.parse(text)
  if (timeMs > nowMs) return timeMs
  throw new GatewayError('validation_failed', {
    fields: [{ field: '/expiresAt', message: 'must be in the future' }],
  })
}

function readTransferCursor(cursor: string | undefined): bigint | undefined {
  const [position] = decodeCursor(cursor, 1) ?? []
  if (position === undefined) return undefined
  if (/^\d{1,18}$/.test(String(position))) return BigInt(String(position))
  throw new GatewayError('validation_failed', {
    fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
  })
}
