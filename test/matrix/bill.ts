// The bill of one conversation: what it must hold, whichever way the calls took, and how it differs from the records.
import type { Pair } from './cells.ts'
import { eraOf } from './revisions.ts'

/** One set of prices for the whole matrix. */
export const rules = [
  { name: 'tools', priority: 1, match: { method: 'tools/call' }, price: { perCall: '0.01' } },
  {
    name: 'failures',
    priority: 2,
    match: { tool: 'fail' },
    price: { perCall: '0.003' },
    billOn: ['success', 'tool_error'],
  },
  { name: 'prompts', priority: 1, match: { method: 'prompts/get' }, price: { perCall: '0.002' } },
].map((rule) => ({ ...rule, active: true, currency: 'USD' }))

/** A record, as far as the matrix looks at it. */
export interface BilledRecord {
  readonly method: string
  readonly tool?: string
  readonly outcome: string
  readonly cost: string
  readonly transport: string
  readonly upstreamTransport: string
  readonly era: string
  readonly upstreamEra: string
}

export interface Line {
  readonly method: string
  readonly tool?: string | undefined
  /** Absent where how it ends is left to the server, and only that it is free is asked. */
  readonly outcome?: string
  readonly cost: string
}

/** What a conversation has asked for, in lines as they must stand on its bill. */
export class Bill {
  /** A server that asks on its own initiative: over a bridge, the question is a free round of whichever call runs. */
  asksByItself = false
  readonly #lines: { readonly behaviour: string; readonly line: Line }[] = []

  add(behaviour: string, line: Line): void {
    this.#lines.push({ behaviour, line })
  }

  /**
   * Everything that is wrong with the records, one sentence each. Lines of behaviours that failed are left out on both
   * sides: nobody knows how far they came.
   */
  faultsOf(records: readonly BilledRecord[], pair: Pair, failed: ReadonlySet<string>): string[] {
    const ignored = new Set(
      this.#lines.filter(({ behaviour }) => failed.has(behaviour)).map(({ line }) => keyOf(line)),
    )
    const requests = records
      .filter(({ method }) => isRequest(method))
      .filter((record) => !ignored.has(keyOf(record)))
    const left = [...requests]
    const missing = this.#lines
      .filter(({ line }) => !ignored.has(keyOf(line)))
      .filter(({ line }) => {
        const at = left.findIndex((record) => matches(line, record))
        if (at >= 0) left.splice(at, 1)
        return at < 0
      })
    return [
      ...missing.map(({ line }) => `missing: ${told(line)}`),
      ...left.filter((record) => !this.#isRound(record)).map((record) => `not asked for: ${told(record)}`),
      ...records.flatMap((record) => placeFaults(record, pair)),
      ...records
        .filter(({ method, cost }) => !isRequest(method) && Number(cost) !== 0)
        .map((record) => `a message that is no request costs: ${told(record)}`),
    ]
  }

  #isRound({ method, outcome, cost }: BilledRecord): boolean {
    return this.asksByItself && askable.has(method) && outcome === 'success' && Number(cost) === 0
  }
}

/** What may be answered with a question (MCP 2026-07-28, "Multi Round-Trip Requests"). */
const askable = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Notifications differ by transport (a modern cancel is a closed stream over HTTP), and so does the GET stream. */
const isRequest = (method: string): boolean => !method.startsWith('notifications/') && method !== 'stream'

const keyOf = ({ method, tool }: { method: string; tool?: string | undefined }): string =>
  `${method} ${tool ?? ''}`
const told = ({ method, tool, outcome, cost }: Line): string =>
  [method, tool, outcome ?? 'any outcome', cost].filter((part) => part !== undefined).join(' ')

const matches = (line: Line, record: BilledRecord): boolean =>
  keyOf(line) === keyOf(record) &&
  Number(line.cost) === Number(record.cost) &&
  (line.outcome === undefined || line.outcome === record.outcome)

function placeFaults(record: BilledRecord, { client, upstream }: Pair): string[] {
  const expected = {
    transport: client.transport,
    upstreamTransport: upstream.transport,
    era: eraOf(client.revision),
    upstreamEra: eraOf(upstream.revision),
  }
  return Object.entries(expected)
    .filter(([name, value]) => record[name as keyof typeof expected] !== value)
    .map(
      ([name, value]) => `${told(record)}: ${name} is ${record[name as keyof typeof expected]}, not ${value}`,
    )
}
