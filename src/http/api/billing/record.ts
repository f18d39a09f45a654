// A usage record as the API shows it, alone or with the price that made its cost.
import { z } from 'zod'
import { formatAmount, formatDecimal, ledgerScale, parseDecimal, rescale } from '../../../base/money.ts'
import type { CompiledRule } from '../../../pricing/choice.ts'
import { outcomes } from '../../../pricing/price.ts'
import { exactScale } from '../../../pricing/cumulative.ts'
import { breakdown, type PriceLine } from '../../../pricing/rating.ts'
import { priceInput } from '../../../pricing/rule-input.ts'
import { recordJson } from '../../../usage/record-json.ts'
import type { UsageRecord } from '../../../usage/record.ts'
import { priceLineShape } from './pricing.ts'
import { timeShape } from '../view.ts'

const transports = ['streamable-http', 'sse', 'websocket', 'stdio', 'api'] as const

export const recordShape = z
  .strictObject({
    id: z.string(),
    time: timeShape.describe('When the call arrived.'),
    userId: z.string(),
    accountId: z.string(),
    keyId: z.string().optional(),
    sessionId: z.string().optional(),
    serverId: z.string(),
    server: z.string(),
    method: z.string(),
    tool: z.string().optional(),
    transport: z.enum(transports),
    upstreamTransport: z.enum([...transports, 'aggregate', 'built-in', 'none']),
    era: z.enum(['legacy', 'modern']),
    upstreamEra: z.enum(['legacy', 'modern', 'none']),
    outcome: z.enum(outcomes),
    statusCode: z.int(),
    requestBytes: z.int(),
    responseBytes: z.int(),
    durationMs: z.number(),
    cost: z.string(),
    currency: z.string(),
    ruleId: z.string().optional(),
    ruleVersion: z.int().optional(),
    priced: z.boolean().describe('Whether a rule matched; an unpriced call costs nothing.'),
    error: z.string().optional(),
    clientIp: z.string(),
    userAgent: z.string(),
    clientInfo: z.string().optional().describe('What the client says of itself, name/version.'),
    idempotencyKey: z.string().optional(),
    tokens: z.int().optional().describe('As the server reported them.'),
    upstreamCost: z.string().optional().describe('What the call cost the server, as it reported.'),
    counted: z
      .strictObject({
        before: z.string().optional().describe('Calls, bytes, microseconds, tokens or nano-units.'),
      })
      .optional()
      .describe(
        'What a price that counts over a period had counted before; absent inside at its first call.',
      ),
  })
  .meta({ id: 'UsageRecord' })

export const pricedRecordShape = recordShape
  .extend({
    price: priceInput.optional().describe('The price of the rule version that was in force.'),
    breakdown: z.array(priceLineShape).describe('Lines that sum to the cost; none where it was free.'),
  })
  .meta({ id: 'PricedUsageRecord' })

export const recordView = (record: UsageRecord): z.input<typeof recordShape> => recordJson(record)

/** `rule` is the version that priced the record, where one did. */
export function pricedRecordView(
  record: UsageRecord,
  rule: CompiledRule | undefined,
): z.input<typeof pricedRecordShape> {
  return {
    ...recordView(record),
    ...(rule && { price: rule.rule.price }),
    breakdown: rule && record.cost !== 0n ? linesOf(record, rule) : [],
  }
}

function linesOf(record: UsageRecord, rule: CompiledRule): PriceLine[] {
  const { requestBytes, responseBytes, durationUs, cost, tokens, upstreamCost, counted } = record
  const quantities = {
    calls: 1,
    bytes: requestBytes + responseBytes,
    durationUs,
    ...(tokens !== undefined && { tokens }),
    ...(upstreamCost !== undefined && { upstreamCost }),
  }
  const { amount, lines } = breakdown(rule.rates, quantities, counted?.before)
  const charged = formatAmount(cost)
  if (amount === charged) return lines
  // A prepaid account did not cover the last stretch of a call that is paid by time.
  const rated = lines.reduce((sum, line) => sum + (parseDecimal(line.amount, exactScale) ?? 0n), 0n)
  const uncovered = rescale(cost, ledgerScale, exactScale) - rated
  return [...lines, { component: 'maximum', quantity: '1', amount: formatDecimal(uncovered, exactScale) }]
}
