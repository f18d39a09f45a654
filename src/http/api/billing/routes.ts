// Every route under `/api/v1/billing`, in the order of the reference.
import { billingAccountRoutes, type BillingAccountDeps } from './accounts.ts'
import { billingAdjustmentRoutes, type BillingAdjustmentDeps } from './adjustments.ts'
import { billingAuditRoutes, type BillingAuditDeps } from './audit.ts'
import { billingBudgetRoutes, type BillingBudgetDeps } from './budgets.ts'
import { billingBookRoutes, type BillingBookDeps } from './books.ts'
import { billingCostRoutes, type BillingCostDeps } from './cost.ts'
import { billingDraftRoutes, type BillingDraftDeps } from './drafts.ts'
import { billingExportRoutes, type BillingExportDeps } from './export.ts'
import { billingEventRoutes, type BillingEventDeps } from './events.ts'
import { billingGrantRoutes, type BillingGrantDeps } from './grants.ts'
import { billingCreditNoteRoutes, type BillingCreditNoteDeps } from './credit-notes.ts'
import { billingInvoiceRoutes, type BillingInvoiceDeps } from './invoices.ts'
import { billingLintRoutes, type BillingLintDeps } from './lint.ts'
import { billingPricingRoutes, type BillingPricingDeps } from './pricing.ts'
import { billingProfileRoutes, type BillingProfileDeps } from './profiles.ts'
import { billingRuleRoutes, type BillingRuleDeps } from './rules.ts'
import { billingSimulateRoutes, type BillingSimulateDeps } from './simulate.ts'
import { billingSummaryRoutes, type BillingSummaryDeps } from './summary.ts'
import { billingUsageRoutes, type BillingUsageDeps } from './usage.ts'
import { billingTopUpRoutes, type BillingTopUpDeps } from './top-ups.ts'
import { billingWebhookRoutes, type BillingWebhookDeps } from './webhooks.ts'
import type { Route } from '../route.ts'

export type BillingRouteDeps = BillingRuleDeps &
  BillingDraftDeps &
  BillingBookDeps &
  BillingLintDeps &
  BillingPricingDeps &
  BillingUsageDeps &
  BillingExportDeps &
  BillingSimulateDeps &
  BillingSummaryDeps &
  BillingCostDeps &
  BillingAccountDeps &
  BillingAdjustmentDeps &
  BillingGrantDeps &
  BillingBudgetDeps &
  BillingEventDeps &
  BillingTopUpDeps &
  BillingWebhookDeps &
  BillingProfileDeps &
  BillingInvoiceDeps &
  BillingCreditNoteDeps &
  BillingAuditDeps

export function billingRoutes(deps: BillingRouteDeps): Route[] {
  return [
    ...billingRuleRoutes(deps),
    ...billingDraftRoutes(deps),
    ...billingBookRoutes(deps),
    ...billingLintRoutes(deps),
    ...billingPricingRoutes(deps),
    ...billingSimulateRoutes(deps),
    ...billingUsageRoutes(deps),
    ...billingExportRoutes(deps),
    ...billingSummaryRoutes(deps),
    ...billingCostRoutes(deps),
    ...billingAccountRoutes(deps),
    ...billingAdjustmentRoutes(deps),
    ...billingGrantRoutes(deps),
    ...billingBudgetRoutes(deps),
    ...billingEventRoutes(deps),
    ...billingTopUpRoutes(deps),
    ...billingWebhookRoutes(deps),
    ...billingProfileRoutes(deps),
    ...billingInvoiceRoutes(deps),
    ...billingCreditNoteRoutes(deps),
    ...billingAuditRoutes(deps),
  ]
}
