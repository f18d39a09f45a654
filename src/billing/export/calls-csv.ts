// Usage records as CSV: one row a call, in columns that stay where they are; new ones come at the end.
import { CallIds, formatCallId } from '../../base/id.ts'
import { formatAmount } from '../../base/money.ts'
import type { UsageRecord } from '../../usage/record.ts'
import { csvLine, type CsvValue } from './csv.ts'

const columns: Readonly<Record<string, (record: UsageRecord) => CsvValue>> = {
  id: ({ id }) => formatCallId(id),
  time: ({ id }) => new Date(CallIds.timeMs(id)).toISOString(),
  accountId: ({ accountId }) => accountId,
  userId: ({ userId }) => userId,
  keyId: ({ keyId }) => keyId,
  sessionId: ({ sessionId }) => sessionId,
  serverId: ({ serverId }) => serverId,
  server: ({ server }) => server,
  method: ({ method }) => method,
  tool: ({ tool }) => tool,
  outcome: ({ outcome }) => outcome,
  statusCode: ({ statusCode }) => statusCode,
  cost: ({ cost }) => ({ figure: formatAmount(cost) }),
  currency: ({ currency }) => currency,
  priced: ({ priced }) => priced,
  ruleId: ({ ruleId }) => ruleId,
  ruleVersion: ({ ruleVersion }) => ruleVersion,
  requestBytes: ({ requestBytes }) => requestBytes,
  responseBytes: ({ responseBytes }) => responseBytes,
  durationMs: ({ durationUs }) => durationUs / 1000,
  tokens: ({ tokens }) => tokens,
  upstreamCost: ({ upstreamCost }) =>
    upstreamCost === undefined ? undefined : { figure: formatAmount(upstreamCost) },
  transport: ({ transport }) => transport,
  upstreamTransport: ({ upstreamTransport }) => upstreamTransport,
  era: ({ era }) => era,
  upstreamEra: ({ upstreamEra }) => upstreamEra,
  error: ({ error }) => error,
  clientIp: ({ client }) => client.ip,
  userAgent: ({ client }) => client.userAgent,
  clientInfo: ({ client }) => client.info,
  idempotencyKey: ({ idempotencyKey }) => idempotencyKey,
}

export const callsCsvHead = csvLine(Object.keys(columns))

export const callsCsvLine = (record: UsageRecord): string =>
  csvLine(Object.values(columns).map((read) => read(record)))
