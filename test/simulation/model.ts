// What the money must come to, worked out as naively as possible: no tables, no folds, no scaled integers of ours.

/** A price as the simulation uses it. */
export interface ModelPrice {
  readonly perCall?: string
  readonly perKb?: string
  readonly perSecond?: string
  readonly minimum?: string
  readonly maximum?: string
}

export interface ModelVersion {
  readonly fromMs: number
  readonly price: ModelPrice
  readonly billOn: readonly string[]
}

/** Rules have different priorities and match tools by how they begin, so that the choice needs no order of its own. */
export interface ModelRule {
  readonly id: string
  readonly prefix: string
  readonly priority: number
  readonly versions: ModelVersion[]
}

export interface ModelCall {
  readonly tool: string
  readonly atMs: number
  readonly outcome: string
  readonly free: boolean
  readonly bytes: number
  readonly durationUs: number
}

function versionFor(
  rules: readonly ModelRule[],
  { tool, atMs }: Pick<ModelCall, 'tool' | 'atMs'>,
): ModelVersion | undefined {
  const matching = rules
    .filter(({ prefix, versions }) => tool.startsWith(prefix) && (versions[0]?.fromMs ?? Infinity) <= atMs)
    .sort((a, b) => b.priority - a.priority)
  return matching[0]?.versions.findLast(({ fromMs }) => fromMs <= atMs)
}

/** In nano-units. Decimals become whole numbers of 10⁻¹², sums are kept over 1024 × 10⁶ parts of them. */
export function costOf(rules: readonly ModelRule[], call: ModelCall): bigint {
  const version = versionFor(rules, call)
  if (!version || call.free || !version.billOn.includes(call.outcome)) return 0n
  const pico = (text = '0'): bigint => {
    const [whole = '0', part = ''] = text.split('.')
    return BigInt(whole + part.padEnd(12, '0'))
  }
  const { perCall, perKb, perSecond, minimum, maximum } = version.price
  const parts = 1024n * 1_000_000n
  let sum = pico(perCall) * parts
  sum += pico(perKb) * BigInt(call.bytes) * 1_000_000n
  sum += pico(perSecond) * BigInt(call.durationUs) * 1024n
  if (sum < pico(minimum) * parts) sum = pico(minimum) * parts
  if (maximum !== undefined && sum > pico(maximum) * parts) sum = pico(maximum) * parts
  return (sum + 500n * parts) / (1000n * parts)
}

/** Prices of a whole month, by the tools that they are for: each is set once and stays. */
export const monthly = {
  calls: {
    tool: 'steps',
    price: {
      flat: '0.05',
      tiers: {
        mode: 'graduated',
        unit: 'call',
        steps: [
          { upTo: '3', unitPrice: '0.1' },
          { upTo: '7', unitPrice: '0.03', flatPrice: '0.2' },
          { upTo: null, unitPrice: '0.001' },
        ],
      },
    },
  },
  volume: {
    tool: 'volume',
    price: {
      tiers: {
        mode: 'volume',
        unit: 'call',
        steps: [
          { upTo: '4', unitPrice: '0.1' },
          { upTo: null, unitPrice: '0.02', flatPrice: '0.01' },
        ],
      },
    },
  },
  packages: {
    tool: 'packages',
    price: { package: { unit: 'kb', size: '5', price: '0.07', free: '2' } },
  },
} as const

/** What one account's calls of one tool cost in one month together, in nano-units. */
export function monthlyCost(tool: string, { calls, bytes }: { calls: number; bytes: number }): bigint {
  if (calls === 0) return 0n
  const cents = 10_000_000n
  if (tool === monthly.volume.tool)
    return calls <= 4 ? BigInt(calls) * 10n * cents : BigInt(calls) * 2n * cents + cents
  if (tool === monthly.packages.tool) return BigInt(Math.ceil(Math.max(0, bytes - 2048) / 5120)) * 7n * cents
  let sum = 5n * cents
  for (let call = 1; call <= calls; call++) {
    if (call === 4) sum += 20n * cents
    sum += call <= 3 ? 10n * cents : call <= 7 ? 3n * cents : cents / 10n
  }
  return sum
}
