// A table with numbers that line up, and further pages where there are any.
import type { ReactNode } from 'react'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ReactNode
  readonly isNumber?: boolean
}

interface TableProps<Row> {
  readonly name: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly idOf: (row: Row) => string
  /** Absent where all rows are there. */
  readonly onMore?: (() => void) | undefined
}

export function Table<Row>({ name, columns, rows, idOf, onMore }: TableProps<Row>) {
  return (
    <div className="table" role="region" aria-label={name} tabIndex={0}>
      <table>
        <caption className="hidden">{name}</caption>
        <thead>
          <tr>
            {columns.map(({ title, isNumber }) => (
              <th key={title} scope="col" className={isNumber ? 'number' : undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={idOf(row)}>
              {columns.map(({ title, cell, isNumber }) => (
                <td key={title} className={isNumber ? 'number' : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {onMore && (
        <button type="button" onClick={onMore}>
          More
        </button>
      )}
    </div>
  )
}
