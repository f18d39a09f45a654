// Tables for people: aligned columns, numbers to the right, nothing that a terminal could take for a command.

type Cell = string | number | boolean | null | undefined

export interface Column<Row> {
  readonly title: string
  readonly align?: 'right'
  value(row: Row): Cell
}

/** The rows under a heading. What does not print is shown as `?`: names come from other people. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((column) => show(column.value(row)))),
  ]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  return cells
    .map((line) =>
      line
        .map((cell, index) => {
          const width = widths[index] ?? 0
          return columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The members of one thing, a line each. */
export function formatFields(thing: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(thing).filter(([, value]) => value !== undefined && value !== null)
  const width = Math.max(0, ...entries.map(([name]) => name.length))
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${show(plain(value))}`).join('\n')
}

const plain = (value: unknown): Cell =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as Cell)

/** What steers a terminal, and what no one sees. */
const unprintable =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu

const show = (cell: Cell): string =>
  cell === undefined || cell === null ? '-' : String(cell).replaceAll(unprintable, '?')
