// A budget as the API shows it: what it says, and what has been used of it now.
import { z } from 'zod'
import { formatAmount } from '../../../base/money.ts'
import { callUnit, type Budget, type BudgetState } from '../../../ledger/budgets/budget.ts'
import { marksOf } from '../../../ledger/budgets/threshold.ts'
import { budgetMode, windowInput } from './budget-input.ts'
import { isoTime, timeShape } from '../view.ts'

const amount = z.string().describe("A decimal string in the budget's currency, or a number of calls.")

export const budgetShape = z
  .strictObject({
    id: z.string(),
    name: z.string().optional(),
    scope: z
      .strictObject({
        account: z.string(),
        user: z.string(),
        key: z.string(),
        session: z.string(),
        server: z.string(),
      })
      .partial()
      .describe('One member, with an id or *.'),
    amount,
    unit: z.enum(['money', 'calls']),
    currency: z.string().optional().describe('Of budgets in money.'),
    window: windowInput,
    timeZone: z.string(),
    mode: budgetMode,
    thresholds: z.array(z.string()),
    increases: z.array(
      z.strictObject({
        id: z.string(),
        amount,
        until: timeShape,
        createdBy: z.string(),
        createdAt: timeShape,
      }),
    ),
    subject: z
      .string()
      .optional()
      .describe(
        'With a scope of *: whose figures these are, which is who has used most where none was asked for.',
      ),
    limit: amount.describe('The amount and the increases that are in force.'),
    spent: amount,
    held: amount.describe('Set aside for calls that are running.'),
    remaining: amount,
    windowStart: timeShape.optional(),
    resetsAt: timeShape
      .optional()
      .describe('When the window ends; of a rolling one, when its oldest part leaves it.'),
    state: z
      .enum(['ok', 'warning', 'exhausted'])
      .describe('warning: a threshold is passed; exhausted: nothing remains.'),
    createdBy: z.string(),
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'Budget' })

export function budgetView(budget: Budget, state: BudgetState, nowMs: number): z.input<typeof budgetShape> {
  const { id, name, scope, currency, window, timeZone, mode, createdBy } = budget
  const { subject, windowStartMs, resetsAtMs } = state
  return {
    id,
    ...(name !== undefined && { name }),
    scope: { [scope.kind]: scope.subject },
    amount: formatAmount(budget.amount),
    ...(currency === callUnit ? { unit: 'calls' as const } : { unit: 'money' as const, currency }),
    window,
    timeZone,
    mode,
    thresholds: budget.thresholds.map(({ text }) => text),
    increases: budget.increases
      .filter(({ untilMs }) => untilMs > nowMs)
      .map((each) => ({
        id: each.id,
        amount: formatAmount(each.amount),
        until: isoTime(each.untilMs),
        createdBy: each.createdBy,
        createdAt: isoTime(each.createdAtMs),
      })),
    ...(subject !== undefined && { subject }),
    limit: formatAmount(state.limit),
    spent: formatAmount(state.spent),
    held: formatAmount(state.held),
    remaining: formatAmount(state.remaining),
    ...(windowStartMs !== undefined && { windowStart: isoTime(windowStartMs) }),
    ...(resetsAtMs !== undefined && { resetsAt: isoTime(resetsAtMs) }),
    state: stateOf(budget, state),
    createdBy,
    createdAt: isoTime(budget.createdAtMs),
    updatedAt: isoTime(budget.updatedAtMs),
  }
}

function stateOf(budget: Budget, { spent, remaining }: BudgetState): 'ok' | 'warning' | 'exhausted' {
  if (remaining === 0n) return 'exhausted'
  return marksOf(budget).some((mark) => spent >= mark.amount) ? 'warning' : 'ok'
}
