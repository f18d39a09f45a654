// The schema's steps, in order. Each folder owns the tables of its own steps.
import type { Migration } from '../migration.ts'
import { identityTables } from './0001-identity.ts'
import { registryTables } from './0002-registry.ts'
import { pricingTables } from './0003-pricing.ts'
import { ledgerTables } from './0004-ledger.ts'
import { usageTables } from './0005-usage.ts'
import { sessionTables } from './0006-sessions.ts'
import { idempotencyTables } from './0007-idempotency.ts'
import { sessionUsage } from './0008-session-usage.ts'
import { bundleTables } from './0009-bundles.ts'
import { resumptionTables } from './0010-resumption.ts'
import { meterTables } from './0011-meters.ts'
import { budgetTables } from './0012-budgets.ts'
import { grantStates } from './0013-grant-states.ts'
import { priceBookTables } from './0014-price-books.ts'
import { accountBooks } from './0015-account-books.ts'
import { invoicingTables } from './0016-invoicing.ts'
import { outboxTables } from './0018-outbox.ts'
import { topUpTables } from './0020-top-ups.ts'
import { cubeTables } from './0021-cubes.ts'
import { correctionTables } from './0022-corrections.ts'
import { paymentTables } from './0023-payments.ts'
import { oauthTables } from './0024-oauth.ts'
import { sessionGrants } from './0025-session-grants.ts'
import { externalUsers } from './0026-external-users.ts'
import { auditTables } from './0027-audit.ts'
import { payloadTable } from './0028-payloads.ts'
import { passkeyTable } from './0029-passkeys.ts'
import { upstreamTokenTables } from './0031-upstream-tokens.ts'
import { dataKeyTable } from './0032-data-keys.ts'
import { ownedClients } from './0033-owned-clients.ts'
import { limitTable } from './0034-limits.ts'
import { accessRuleTable } from './0035-access-rules.ts'
import { definitionTable } from './0036-definitions.ts'
import { groupsAndSuspension } from './0037-groups.ts'
import { taskOwnerTable } from './0038-task-owners.ts'

export const migrations: readonly Migration[] = [
  identityTables,
  registryTables,
  pricingTables,
  ledgerTables,
  usageTables,
  sessionTables,
  idempotencyTables,
  sessionUsage,
  bundleTables,
  resumptionTables,
  meterTables,
  budgetTables,
  grantStates,
  priceBookTables,
  accountBooks,
  invoicingTables,
  outboxTables,
  topUpTables,
  cubeTables,
  correctionTables,
  paymentTables,
  oauthTables,
  sessionGrants,
  externalUsers,
  dataKeyTable,
  ownedClients,
  limitTable,
  accessRuleTable,
  definitionTable,
  groupsAndSuspension,
  upstreamTokenTables,
  passkeyTable,
  auditTables,
  payloadTable,
  taskOwnerTable,
]
