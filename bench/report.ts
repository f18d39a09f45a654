// Medians, ratios and tables of a bench run, for people (Markdown, stdout) and machines (JSON).
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { TargetName } from './targets.ts'
import type { Mode } from './upstream.ts'

/** One target measured once. */
export interface Sample {
  readonly mode: Mode
  readonly connections: number
  readonly target: TargetName
  readonly round: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU of the target's process tree for each call. */
  readonly cpuUsPerCall: number
  readonly rssMb: number
  readonly errors: number
  /** Share of the machine that strangers used meanwhile, in percent. */
  readonly foreignPercent: number
}

/** The median of a cell's rounds, each figure by itself; errors are summed. */
export type Cell = Omit<Sample, 'round'>

/** What a run says of one mode at one number of connections; undefined where a target was not measured. */
export interface Ratios {
  readonly mode: Mode
  readonly connections: number
  /** Calls/s of Tollbridge (durable) to the byte proxy's. */
  readonly toByteProxy?: number
  readonly toSdkProxy?: number
  /** The same with `durability: process`. */
  readonly processToByteProxy?: number
  /** p50 of Tollbridge less that of going directly. */
  readonly addedP50Ms?: number
  readonly processAddedP50Ms?: number
}

export interface RunFacts {
  readonly startedAt: string
  readonly rounds: number
  readonly seconds: number
  readonly generator: string
  readonly pinned: boolean
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}

const cellKey = ({ mode, connections, target }: Sample): string => `${mode}|${connections}|${target}`

/** One cell for each mode, number of connections and target, in order of appearance. */
export function cellsOf(samples: readonly Sample[]): Cell[] {
  return [...Map.groupBy(samples, cellKey).values()].flatMap((group) => {
    const [first] = group
    if (!first) return []
    const of = (pick: (sample: Sample) => number) => median(group.map(pick))
    return {
      mode: first.mode,
      connections: first.connections,
      target: first.target,
      callsPerSecond: of((sample) => sample.callsPerSecond),
      p50Ms: of((sample) => sample.p50Ms),
      p99Ms: of((sample) => sample.p99Ms),
      cpuUsPerCall: of((sample) => sample.cpuUsPerCall),
      rssMb: of((sample) => sample.rssMb),
      errors: group.reduce((sum, sample) => sum + sample.errors, 0),
      foreignPercent: of((sample) => sample.foreignPercent),
    }
  })
}

/** The ratios that the aims are set in. */
export function ratiosOf(cells: readonly Cell[]): Ratios[] {
  return [...Map.groupBy(cells, ({ mode, connections }) => `${mode}|${connections}`).values()].flatMap(
    (group) => {
      const [first] = group
      if (!first) return []
      const by = new Map(group.map((cell) => [cell.target, cell]))
      const rate = (name: TargetName, base: TargetName) => {
        const [own, other] = [by.get(name)?.callsPerSecond, by.get(base)?.callsPerSecond]
        return own === undefined || other === undefined ? undefined : own / other
      }
      const added = (name: TargetName) => {
        const [own, direct] = [by.get(name)?.p50Ms, by.get('direct')?.p50Ms]
        return own === undefined || direct === undefined ? undefined : own - direct
      }
      return {
        mode: first.mode,
        connections: first.connections,
        toByteProxy: rate('tollbridge', 'byte-proxy'),
        toSdkProxy: rate('tollbridge', 'sdk-proxy'),
        processToByteProxy: rate('tollbridge-process', 'byte-proxy'),
        addedP50Ms: added('tollbridge'),
        processAddedP50Ms: added('tollbridge-process'),
      }
    },
  )
}

const fixed = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? '–'
const row = (fields: readonly (string | number)[]): string => `| ${fields.join(' | ')} |`
/** A Markdown table. */
export const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

const ratioTable = (ratios: readonly Ratios[]): string =>
  table(
    [
      'answers',
      'conns',
      '× byte proxy',
      '× SDK proxy',
      'process: × byte proxy',
      '+p50 ms',
      'process: +p50 ms',
    ],
    ratios.map((ratio) => [
      ratio.mode,
      ratio.connections,
      fixed(ratio.toByteProxy, 2),
      fixed(ratio.toSdkProxy, 1),
      fixed(ratio.processToByteProxy, 2),
      fixed(ratio.addedP50Ms, 3),
      fixed(ratio.processAddedP50Ms, 3),
    ]),
  )

const cellTable = (cells: readonly Cell[]): string =>
  table(
    [
      'answers',
      'conns',
      'target',
      'calls/s',
      'p50 ms',
      'p99 ms',
      'CPU µs/call',
      'RSS MB',
      'errors',
      'foreign %',
    ],
    cells.map((cell) => [
      cell.mode,
      cell.connections,
      cell.target,
      cell.callsPerSecond.toFixed(0),
      cell.p50Ms.toFixed(3),
      cell.p99Ms.toFixed(2),
      cell.cpuUsPerCall.toFixed(1),
      cell.rssMb.toFixed(0),
      cell.errors,
      cell.foreignPercent.toFixed(0),
    ]),
  )

/** Both tables, for the terminal. */
export const shortReport = (cells: readonly Cell[], ratios: readonly Ratios[]): string =>
  `${cellTable(cells)}\n\n${ratioTable(ratios)}`

const machineFacts = () => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
})

/** The machine in a sentence. */
export function machineLine(): string {
  const { cpu, cores, memoryGb, kernel, node } = machineFacts()
  return `${cpu}, ${cores} cores, ${memoryGb} GB, kernel ${kernel}, Node ${node}.`
}

/** Writes a report to `KIND-DATE.md` beside those of earlier days; answers its path. */
export function writeDated(kind: string, text: string): string {
  const folder = join(import.meta.dirname, 'results')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${kind}-${new Date().toISOString().slice(0, 10)}.md`)
  writeFileSync(path, `${text}\n`)
  return path
}

/** Writes `DATE.json` (with every sample) and `DATE.md` into `folder`; answers the path without its ending. */
export function writeReport(folder: string, facts: RunFacts, samples: readonly Sample[]): string {
  const cells = cellsOf(samples)
  const ratios = ratiosOf(cells)
  const machine = machineFacts()
  const path = join(folder, facts.startedAt.replace(/[:.]/g, '-'))
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    `${path}.json`,
    `${JSON.stringify({ facts, machine, ratios, cells, samples }, undefined, 1)}\n`,
  )
  writeFileSync(
    `${path}.md`,
    `# Bench of ${facts.startedAt}

${machineLine()}
Medians of ${facts.rounds} rounds of ${facts.seconds} s, targets interleaved within each round, load by ${facts.generator}${facts.pinned ? ', what is measured pinned to core 0, load and upstream to core 1' : ', nothing pinned'}.
CPU and RSS are those of the target's whole process tree (of the upstream for \`direct\`). Errors: broken connections,
statuses other than 200, and answers that never reached the upstream (own generator: also answers without a result).
Foreign: share of the machine that other processes used meanwhile. Only ratios within this run mean anything.

## Tollbridge against the others

${ratioTable(ratios)}

## Every target

${cellTable(cells)}
`,
  )
  return path
}
