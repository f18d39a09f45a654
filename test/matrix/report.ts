// The matrix as tables for the README: from the committed cells, or from what a run found; `npm run matrix`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { behaviours, cellName, pairs, refusalOf, type Pair } from './cells.ts'
import { findPending } from './pending.ts'
import { revisions, transports, type Revision } from './revisions.ts'

const root = resolve(import.meta.dirname, '../..')
const summaryPath = join(root, 'node_modules/.cache/tollbridge/matrix.json')

/** `refused`: the pair cannot by the protocol, and says so clearly. */
export type CellState = 'holds' | 'refused' | 'fails'

/** The cell's name → how it went. */
export type Summary = Record<string, CellState>

/** What the last whole run found; written where git does not look. */
export function writeSummary(summary: Summary): void {
  mkdirSync(dirname(summaryPath), { recursive: true })
  writeFileSync(summaryPath, JSON.stringify(summary, undefined, 1))
}

export const readSummary = (): Summary => JSON.parse(readFileSync(summaryPath, 'utf8')) as Summary

/** What the committed table says of every cell. */
export function committedSummary(): Summary {
  const states = pairs.flatMap((pair) =>
    behaviours.map((behaviour): [string, CellState] => {
      const cell = cellName(pair, behaviour)
      if (findPending(cell)) return [cell, 'fails']
      const refused = refusalOf(behaviour, pair.client.revision, pair.upstream.revision)
      return [cell, refused ? 'refused' : 'holds']
    }),
  )
  return Object.fromEntries(states)
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function table(
  corner: string,
  names: readonly string[],
  show: (row: string, column: string) => string,
): string[] {
  return [
    row([corner, ...names]),
    row([corner, ...names].map(() => '---')),
    ...names.map((name) => row([name, ...names.map((column) => show(name, column))])),
  ]
}

/** `1,234 ✓`, or how many of how many. */
function count(summary: Summary, of: readonly Pair[]): string {
  const states = of.flatMap((pair) =>
    behaviours.map((behaviour) => summary[cellName(pair, behaviour)] ?? 'fails'),
  )
  if (states.length === 0) return '–'
  const good = states.filter((state) => state !== 'fails').length
  const all = states.length.toLocaleString('en')
  return good === states.length ? `${all} ✓` : `${good.toLocaleString('en')} of ${all}`
}

/** The README's block, without its marks. */
export function renderMatrix(summary: Summary): string {
  const byTransport = table('client ↓ server →', transports, (client, upstream) =>
    count(
      summary,
      pairs.filter((pair) => pair.client.transport === client && pair.upstream.transport === upstream),
    ),
  )
  const byRevision = table('client ↓ server →', revisions, (client, upstream) => {
    const of = pairs.filter((pair) => pair.client.revision === client && pair.upstream.revision === upstream)
    const refused = behaviours.filter((one) => refusalOf(one, client as Revision, upstream as Revision))
    return `${count(summary, of)}${refused.length > 0 ? ` (no ${refused.join(', ')})` : ''}`
  })
  const states = Object.values(summary)
  const good = states.filter((state) => state !== 'fails').length
  return [
    `${good.toLocaleString('en')} of ${states.length.toLocaleString('en')} cells hold: each is one behaviour of one ` +
      `client at one server (${behaviours.join(', ')}).`,
    '',
    'By transport:',
    '',
    ...byTransport,
    '',
    'By revision; what one side does not know is refused clearly, and counts as held:',
    '',
    ...byRevision,
  ].join('\n')
}

const marks = /<!-- matrix:begin[^>]*-->\n([\s\S]*?)\n*<!-- matrix:end -->/

/** What stands between the marks; undefined where there are none. */
export const matrixBlock = (readme: string): string | undefined => marks.exec(readme)?.[1]?.trim()

/** The README with the block in its place. */
export const withMatrix = (readme: string, block: string): string =>
  readme.replace(marks, (whole) => {
    const begin = whole.slice(0, whole.indexOf('\n'))
    return `${begin}\n\n${block}\n\n<!-- matrix:end -->`
  })
