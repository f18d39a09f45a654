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
