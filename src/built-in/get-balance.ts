// get_balance: what the caller's account has, has set aside for running calls, and has spent.
import { z } from 'zod'
import { assert } from '../base/errors.ts'
import { formatAmount } from '../base/money.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { defineTool, type BuiltInTool } from './tool.ts'

export interface BalanceDeps {
  readonly ledger: Pick<Ledger, 'findAccount' | 'totals'>
  /** Where an account is topped up; undefined where there is nowhere. */
  readonly topUpUrl: (accountId: string, currency: string) => string | undefined
}

const amount = z.string().describe('A decimal string in `currency`.')

export const getBalance = ({ ledger, topUpUrl }: BalanceDeps): BuiltInTool =>
  defineTool({
    name: 'get_balance',
    title: 'Balance',
    description:
      'What your account has left to spend, what running calls have set aside, and what was spent.',
    input: z.strictObject({}),
    output: z.strictObject({
      accountId: z.string(),
      currency: z.string(),
      mode: z.enum(['prepaid', 'postpaid']).describe('prepaid: calls stop at zero; postpaid: they are owed.'),
      balance: amount,
      held: amount.describe('Of the balance, set aside for calls that are running.'),
      available: amount.describe('The balance without what is held.'),
      granted: amount,
      spent: amount,
      topUpUrl: z.string().optional().describe('Where your user can top the account up.'),
    }),
    run: (_, { accountId }) => {
      const account = ledger.findAccount(accountId)
      assert(account, 'every caller has an account')
      const { currency, mode } = account
      const { balance, held, granted, spent } = ledger.totals(accountId)
      const url = topUpUrl(accountId, currency)
      const inUse = held > 0n ? `, ${formatAmount(held)} of it set aside for running calls` : ''
      const limit = mode === 'prepaid' ? 'Calls stop at zero.' : 'Postpaid: calls do not stop at zero.'
      return {
        text: `The balance is ${formatAmount(balance)} ${currency}${inUse}. ${limit}`,
        data: {
          accountId,
          currency,
          mode,
          balance: formatAmount(balance),
          held: formatAmount(held),
          available: formatAmount(balance - held),
          granted: formatAmount(granted),
          spent: formatAmount(spent),
          ...(url !== undefined && { topUpUrl: url }),
        },
      }
    },
  })
