// Every route under `/api/v1/billing`, in the order of the reference.
import { billingAccountRoutes, type BillingAccountDeps } from './billing-accounts.ts'
import { billingAdjustmentRoutes, type BillingAdjustmentDeps } from './billing-adjustments.ts'
import { billingAuditRoutes, type BillingAuditDeps } from './billing-audit.ts'
import { billingBudgetRoutes, type BillingBudgetDeps } from './billing-budgets.ts'
import { billingBookRoutes, type BillingBookDeps } from './billing-books.ts'
import { billingCostRoutes, type BillingCostDeps } from './billing-cost.ts'
import { billingDraftRoutes, type BillingDraftDeps } from './billing-drafts.ts'
import { billingExportRoutes, type BillingExportDeps } from './billing-export.ts'
import { billingEventRoutes, type BillingEventDeps } from './billing-events.ts'
import { billingGrantRoutes, type BillingGrantDeps } from './billing-grants.ts'
import { billingCreditNoteRoutes, type BillingCreditNoteDeps } from './billing-credit-notes.ts'
import { billingInvoiceRoutes, type BillingInvoiceDeps } from './billing-invoices.ts'
import { billingLintRoutes, type BillingLintDeps } from './billing-lint.ts'
import { billingPricingRoutes, type BillingPricingDeps } from './billing-pricing.ts'
import { billingProfileRoutes, type BillingProfileDeps } from './billing-profiles.ts'
import { billingRuleRoutes, type BillingRuleDeps } from './billing-rules.ts'
import { billingSimulateRoutes, type BillingSimulateDeps } from './billing-simulate.ts'
import { billingSummaryRoutes, type BillingSummaryDeps } from './billing-summary.ts'
import { billingUsageRoutes, type BillingUsageDeps } from './billing-usage.ts'
import { billingTopUpRoutes, type BillingTopUpDeps } from './billing-top-ups.ts'
import { billingWebhookRoutes, type BillingWebhookDeps } from './billing-webhooks.ts'
import type { Route } from './route.ts'

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
