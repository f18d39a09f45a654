// Every call, newest first, filtered by what its address says.
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { useNames } from '../../api/names.ts'
import type { Operations, Schemas } from '../../api/types.ts'
import { useLive } from '../../app/live.ts'
import { Field } from '../../parts/field.tsx'
import { duration, Money, Time } from '../../parts/format.tsx'
import { LiveMark } from '../../parts/live-mark.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

type Query = NonNullable<Operations['GET /billing/usage']['query']>
export type CallFilter = Pick<
  Query,
  'server' | 'tool' | 'outcome' | 'method' | 'session' | 'key' | 'user' | 'account' | 'rule'
>
type Call = Schemas['UsageRecord']

const outcomes = ['success', 'tool_error', 'error', 'timeout', 'cancelled', 'denied', 'unknown'] as const

/** Of an address; what it does not know it drops. */
export function readCallFilter(search: Record<string, unknown>): CallFilter {
  const text = (name: string): Record<string, string> => {
    const value = search[name]
    return typeof value === 'string' && value !== '' ? { [name]: value } : {}
  }
  const outcome = outcomes.find((each) => each === search['outcome'])
  return {
    ...text('server'),
    ...text('tool'),
    ...text('method'),
    ...text('session'),
    ...text('key'),
    ...text('user'),
    ...text('account'),
    ...text('rule'),
    ...(outcome && { outcome }),
  }
}

const columns: readonly Column<Call>[] = [
  {
    title: 'When',
    cell: ({ id, time }) => (
      <Link to="/calls/$id" params={{ id }}>
        <Time at={time} />
      </Link>
    ),
  },
  { title: 'Server', cell: ({ server }) => server },
  { title: 'What', cell: ({ method, tool }) => <code>{tool ?? method}</code> },
  { title: 'Outcome', cell: ({ outcome }) => <span className={`badge ${outcome}`}>{outcome}</span> },
  { title: 'Took', isNumber: true, cell: ({ durationMs }) => duration(durationMs) },
  { title: 'Cost', isNumber: true, cell: ({ cost, currency }) => <Money value={cost} currency={currency} /> },
]

interface CallsProps {
  readonly filter: CallFilter
  readonly onFilter: (filter: CallFilter) => void
}

export function Calls({ filter, onFilter }: CallsProps) {
  const nameOf = useNames()
  const [isPaused, setPaused] = useState(false)
  const live = useLive([['calls']], isPaused)
  const calls = useInfiniteQuery({
    queryKey: ['calls', filter],
    queryFn: ({ pageParam }) =>
      call('GET /billing/usage', {
        query: { ...filter, limit: 50, ...(pageParam && { cursor: pageParam }) },
      }),
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor,
    // What is there stays until other calls are.
    placeholderData: keepPreviousData,
    ...(live === 'reconnecting' && { refetchInterval: 5000 }),
  })
  const change = (name: keyof CallFilter, value: string): void => {
    const { [name]: _, ...rest } = filter
    onFilter(readCallFilter(value === '' ? rest : { ...rest, [name]: value }))
  }
  return (
    <>
      <div className="head">
        <h1>Calls</h1>
        <LiveMark state={live} onPause={setPaused} />
      </div>
      <div className="filters" role="search">
        {(['server', 'tool', 'method'] as const).map((name) => (
          <Field key={name} label={name}>
            <input value={filter[name] ?? ''} onChange={(event) => change(name, event.target.value)} />
          </Field>
        ))}
        {(['user', 'account', 'key', 'session', 'rule'] as const).map(
          (name) =>
            filter[name] !== undefined && (
              <button key={name} type="button" onClick={() => change(name, '')}>
                {name} {nameOf(filter[name])} ✕
              </button>
            ),
        )}
        <Field label="outcome">
          <select value={filter.outcome ?? ''} onChange={(event) => change('outcome', event.target.value)}>
            <option value="">any</option>
            {outcomes.map((outcome) => (
              <option key={outcome}>{outcome}</option>
            ))}
          </select>
        </Field>
      </div>
      <Loaded query={calls}>
        {({ pages }) => {
          const rows = pages.flatMap(({ items }) => items)
          return rows.length === 0 ? (
            <Empty title={Object.keys(filter).length === 0 ? 'No calls yet' : 'No such calls'}>
              <p>A call stands here as soon as it is answered.</p>
            </Empty>
          ) : (
            <Table
              name="Calls"
              columns={columns}
              rows={rows}
              idOf={({ id }) => id}
              onMore={calls.hasNextPage ? () => void calls.fetchNextPage() : undefined}
            />
          )
        }}
      </Loaded>
    </>
  )
}
