// Usage records as FOCUS 1.2 cost and usage rows: one row a call, all mandatory columns, our own with the prefix `x_`.
import { CallIds, formatCallId } from '../../base/id.ts'
import { formatAmount } from '../../base/money.ts'
import { monthOf } from '../../base/zone.ts'
import type { Account } from '../../ledger/account.ts'
import type { UsageRecord } from '../../usage/record.ts'
import { csvLine, type CsvValue } from './csv.ts'

interface Row {
  readonly record: UsageRecord
  readonly account: Pick<Account, 'name' | 'timeZone'>
  /** Who issues the invoice: the operator of the gateway. */
  readonly issuer: string
}

const cost = ({ record }: Row): CsvValue => ({ figure: formatAmount(record.cost) })
const arrivedMs = ({ record }: Row): number => CallIds.timeMs(record.id)

/** FOCUS 1.2, "Date/Time Format": UTC, whole seconds. */
const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
const secondMs = 1000

/** Column by column as the specification lists them (focus.finops.org, version 1.2, "Columns"). */
const columns: Readonly<Record<string, (row: Row) => CsvValue>> = {
  BilledCost: cost,
  BillingAccountId: ({ record }) => record.accountId,
  BillingAccountName: ({ account }) => account.name,
  BillingAccountType: () => 'Tollbridge account',
  BillingCurrency: ({ record }) => record.currency,
  BillingPeriodStart: (row) => time(monthOf(arrivedMs(row), row.account.timeZone).startMs),
  BillingPeriodEnd: (row) => time(monthOf(arrivedMs(row), row.account.timeZone).endMs),
  ChargeCategory: () => 'Usage',
  // Null but for corrections of closed periods, which are no calls.
  ChargeClass: () => undefined,
  ChargeDescription: ({ record }) => descriptionOf(record),
  ChargeFrequency: () => 'Usage-Based',
  ChargePeriodStart: (row) => time(arrivedMs(row)),
  // The end is exclusive and lies behind the start.
  ChargePeriodEnd: (row) => {
    const startMs = Math.floor(arrivedMs(row) / secondMs) * secondMs
    const endMs = Math.ceil((arrivedMs(row) + row.record.durationUs / 1000) / secondMs) * secondMs
    return time(Math.max(endMs, startMs + secondMs))
  },
  ConsumedQuantity: () => 1,
  ConsumedUnit: () => 'Calls',
  ContractedCost: cost,
  EffectiveCost: cost,
  InvoiceIssuerName: ({ issuer }) => issuer,
  ListCost: cost,
  PricingQuantity: () => 1,
  PricingUnit: () => 'Calls',
  ProviderName: ({ issuer }) => issuer,
  PublisherName: ({ issuer }) => issuer,
  ResourceId: ({ record }) => record.serverId,
  ResourceName: ({ record }) => record.server,
  ResourceType: () => 'MCP server',
  ServiceCategory: () => 'AI and Machine Learning',
  ServiceName: ({ record }) => record.server,
  ServiceSubcategory: () => 'Other (AI and Machine Learning)',
  SkuId: ({ record }) => record.ruleId,
  SkuPriceId: ({ record }) =>
    record.ruleId === undefined ? undefined : `${record.ruleId}/${record.ruleVersion ?? 0}`,
  SubAccountId: ({ record }) => record.userId,
  SubAccountType: () => 'User',
  x_CallId: ({ record }) => formatCallId(record.id),
  x_Method: ({ record }) => record.method,
  x_Tool: ({ record }) => record.tool,
  x_Outcome: ({ record }) => record.outcome,
  x_KeyId: ({ record }) => record.keyId,
  x_SessionId: ({ record }) => record.sessionId,
  x_RequestBytes: ({ record }) => record.requestBytes,
  x_ResponseBytes: ({ record }) => record.responseBytes,
  x_DurationMs: ({ record }) => record.durationUs / 1000,
}

export const focusHead = csvLine(Object.keys(columns))

export const focusLine = (row: Row): string => csvLine(Object.values(columns).map((read) => read(row)))

function descriptionOf({ method, tool, server, outcome }: UsageRecord): string {
  const what = tool === undefined ? method : `${method} ${tool}`
  return `${what} at ${server} (${outcome})`
}
