// Routes of accounts: balances, how an account pays, where it stands in the tree, and its ledger.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { formatCallId } from '../../../base/id.ts'
import { formatAmount } from '../../../base/money.ts'
import { isTimeZone } from '../../../base/zone.ts'
import type { Account, Transfer } from '../../../ledger/account.ts'
import type { AccountTree } from '../../../ledger/account-tree.ts'
import type { AdjustmentNote } from '../../../ledger/adjustment-store.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import { isCurrency } from '../../../pricing/currency.ts'
import type { PriceBooks } from '../../../pricing/books/price-books.ts'
import { bookName } from '../../../pricing/rule-input.ts'
import { checkBooks } from './books.ts'
import { getVisibleAccount } from './scope.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, timeShape } from '../view.ts'

export interface BillingAccountDeps {
  readonly ledger: Ledger
  readonly accounts: AccountTree
  readonly books: Pick<PriceBooks, 'has'>
}

const modes = ['prepaid', 'postpaid'] as const
const amount = z.string().describe('A decimal string in the currency of the account.')

const accountShape = z
  .strictObject({
    id: z.string(),
    parentId: z
      .string()
      .optional()
      .describe('Budgets of the parent and of its ancestors bound the calls of this account too.'),
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
    voided: amount.describe('Taken back from grants.'),
    scheduled: amount.describe('In grants that begin later; not yet in the balance.'),
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'Account' })

const name = z.string().min(1).max(200)
const timeZone = z.string().refine(isTimeZone, 'must be an IANA time zone such as Europe/Berlin')

const accountInput = z.strictObject({
  kind: z.enum(['organisation', 'team']).describe('Every user has an account already.'),
  name,
  parentId: z.string().optional().describe('An account of a kind above it.'),
  mode: z.enum(modes).optional(),
  currency: z
    .string()
    .refine(isCurrency, 'must be an ISO 4217 code in capitals such as EUR')
    .optional()
    .describe('ISO 4217; cannot be changed.'),
  timeZone: timeZone.optional(),
  plan: bookName.optional(),
  priceBook: bookName.optional(),
})

const accountPatch = z
  .strictObject({
    name,
    mode: z.enum(modes),
    timeZone,
    parentId: z.string().nullable().describe('Moves the account with all below it; null takes it out.'),
    plan: bookName.nullable(),
    priceBook: bookName.nullable(),
  })
  .partial()
  .refine((patch) => Object.keys(patch).length > 0, 'names no field; send at least one to change')

const transferShape = z
  .strictObject({
    id: z.string(),
    kind: z.enum([
      'grant',
      'charge',
      'reprice',
      'expiry',
      'void',
      'payment',
      'rounding',
      'credit-note',
      'adjustment',
      'bounce',
    ]),
    time: timeShape,
    amount,
    currency: z.string(),
    debit: z.string().describe('The ledger account that the amount left.'),
    credit: z.string().describe('The ledger account at which it arrived.'),
    callId: z.string().optional().describe('The usage record that was charged or put right.'),
    adjustmentId: z.string().optional(),
    reason: z.string().optional().describe('Why the account was adjusted.'),
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
    voided: formatAmount(totals.voided),
    scheduled: formatAmount(totals.scheduled),
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

function transferView(
  transfer: Transfer,
  currency: string,
  note: AdjustmentNote | undefined,
): z.input<typeof transferShape> {
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
    ...(note && { adjustmentId: note.id, reason: note.reason }),
  }
}

const path = '/api/v1/billing/accounts'
const one = `${path}/{id}`

/** `/billing/accounts` and below. */
export function billingAccountRoutes(deps: BillingAccountDeps): Route[] {
  return [...readingRoutes(deps), ...writingRoutes(deps), ledgerRoute(deps)]
}

function readingRoutes({ ledger }: BillingAccountDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists accounts, oldest first: your own; for auditors and administrators all',
      permission: 'signed-in',
      query: z.strictObject({
        ...pageQuery,
        parent: z.string().optional().describe('Only the children of this account.'),
      }),
      response: pageOf(accountShape),
      handler: ({ principal, query }) => {
        const all = may(principal, 'accounts:read-all')
        return pageById(query, {
          fetch: ({ limit, id }) =>
            ledger
              .listAccounts()
              .filter((account) => all || account.id === principal.accountId)
              .filter((account) => query.parent === undefined || account.parentId === query.parent)
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
  ]
}

function writingRoutes({ ledger, books, accounts }: BillingAccountDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: "Makes an organisation's or a team's account",
      permission: 'accounts:manage',
      body: accountInput,
      response: accountShape,
      status: 201,
      errors: [403, 503],
      handler: async ({ body, setHeader }) => {
        const { kind, name: title, parentId, mode, currency, timeZone: zone, plan, priceBook } = body
        await checkBooks(books, { plan, priceBook })
        const account = await accounts.create({
          kind,
          name: title,
          ...(parentId !== undefined && { parentId }),
          ...(mode !== undefined && { mode }),
          ...(currency !== undefined && { currency }),
          ...(zone !== undefined && { timeZone: zone }),
          ...(plan !== undefined && { plan }),
          ...(priceBook !== undefined && { priceBook }),
        })
        setHeader('location', `${path}/${account.id}`)
        return accountView(ledger, account)
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes how an account pays, its name, its time zone, its parent, or its price books',
      permission: 'accounts:manage',
      params: idParams,
      body: accountPatch,
      response: accountShape,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) => {
        const { id } = getVisibleAccount(ledger, principal, params.id)
        const { name: title, mode, timeZone: zone, parentId, plan, priceBook } = body
        await checkBooks(books, { plan, priceBook })
        const change = {
          ...(title !== undefined && { name: title }),
          ...(mode !== undefined && { mode }),
          ...(zone !== undefined && { timeZone: zone }),
          ...(parentId !== undefined && { parentId }),
          ...(plan !== undefined && { plan }),
          ...(priceBook !== undefined && { priceBook }),
        }
        return accountView(ledger, await accounts.change(id, change))
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
      const notes = await ledger.notesOf(rows)
      return makePage(rows, query.limit, {
        positionOf: (transfer) => [transfer.id.toString()],
        show: (transfer) => transferView(transfer, currency, notes.get(transfer.id)),
      })
    },
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
