// A table of a list that comes page by page.
import { useInfiniteQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Loaded } from './states.tsx'
import { Table, type Column } from './table.tsx'

interface PageQuery {
  readonly limit: number
  readonly cursor?: string
}

interface PagedTableProps<Row> {
  readonly name: string
  /** What the list is of; another key is another list. */
  readonly of: readonly unknown[]
  readonly fetchPage: (
    query: PageQuery,
  ) => Promise<{ readonly items: readonly Row[]; readonly nextCursor: string | null }>
  readonly columns: readonly Column<Row>[]
  readonly idOf: (row: Row) => string
  readonly empty: ReactNode
  /** Milliseconds after which the list is asked for again. */
  readonly every?: number
}

export function PagedTable<Row>({ name, of, fetchPage, columns, idOf, empty, every }: PagedTableProps<Row>) {
  const pages = useInfiniteQuery({
    queryKey: of,
    queryFn: ({ pageParam }) => fetchPage({ limit: 50, ...(pageParam !== '' && { cursor: pageParam }) }),
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor,
    ...(every !== undefined && { refetchInterval: every }),
  })
  return (
    <Loaded query={pages}>
      {(data) => {
        const rows = data.pages.flatMap(({ items }) => items)
        if (rows.length === 0) return empty
        const onMore = pages.hasNextPage ? () => void pages.fetchNextPage() : undefined
        return <Table name={name} columns={columns} rows={rows} idOf={idOf} onMore={onMore} />
      }}
    </Loaded>
  )
}
