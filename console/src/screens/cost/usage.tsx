// What was used and what it cost: by day, server, tool, user or key.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { useNames } from '../../api/names.ts'
import type { Schemas } from '../../api/types.ts'
import { Bars, type Bar } from '../../parts/bars.tsx'
import { Field } from '../../parts/field.tsx'
import { dailyCost, startOf } from '../../parts/days.ts'
import { Amount, count, duration, Money } from '../../parts/format.tsx'
import { readCallFilter } from '../calls/calls.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { currentZone } from '../../parts/zone.ts'
import { TimeChart } from '../../parts/time-chart.tsx'

const groupings = ['day', 'server', 'tool', 'user', 'key', 'account', 'outcome'] as const
const spans = { '7': '7 days', '30': '30 days', '90': '90 days' } as const

export interface UsageView {
  readonly by?: (typeof groupings)[number]
  readonly days?: keyof typeof spans
}

export function readUsageView(search: Record<string, unknown>): UsageView {
  const by = groupings.find((each) => each === search['by'])
  const days = (['7', '30', '90'] as const).find((each) => each === String(search['days']))
  return { ...(by && { by }), ...(days && { days }) }
}

type Group = Schemas['UsageGroup']

interface UsageProps {
  readonly view: UsageView
  readonly onView: (view: UsageView) => void
}

const most = 12

/** The dearest ones as bars that lead to their calls. */
const barsOf = (groups: readonly Group[], by: Exclude<UsageView['by'], undefined>): readonly Bar[] =>
  groups
    .toSorted((one, other) => Number(other.cost) - Number(one.cost))
    .slice(0, most)
    .map((group) => ({
      id: `${group[by]} ${group.currency}`,
      title: <Calls group={group} by={by} />,
      value: Number(group.cost),
      shown: <Amount value={group.cost} currency={group.currency} />,
    }))

/** A group's name; it leads to the group's calls where the list of calls can be filtered by it. */
function Calls({ group, by }: { readonly group: Group; readonly by: Exclude<UsageView['by'], undefined> }) {
  const nameOf = useNames()
  const name = group[by]
  if (name === undefined || name === null) return 'none'
  if (by === 'day') return name
  return (
    <Link to="/calls" search={readCallFilter({ [by]: name })}>
      {nameOf(name)}
    </Link>
  )
}

export function Usage({ view, onView }: UsageProps) {
  const timeZone = currentZone()
  const { by = 'day', days = '30' } = view
  const from = startOf(Number(days)).toISOString()
  const summary = useQuery({
    queryKey: ['summary', from, by, timeZone],
    queryFn: () => call('GET /billing/usage/summary', { query: { from, groupBy: by, timeZone } }),
    placeholderData: keepPreviousData,
  })
  const columns: readonly Column<Group>[] = [
    { title: by, cell: (group) => <Calls group={group} by={by} /> },
    { title: 'Calls', isNumber: true, cell: ({ calls }) => count(calls) },
    { title: 'Failed', isNumber: true, cell: ({ failedCalls }) => count(failedCalls) },
    { title: '95 % within', isNumber: true, cell: ({ p95Ms }) => (p95Ms === null ? '' : duration(p95Ms)) },
    {
      title: 'Cost',
      isNumber: true,
      cell: ({ cost, currency }) => <Money value={cost} currency={currency} />,
    },
  ]
  return (
    <>
      <h1>Usage and cost</h1>
      <div className="filters">
        <Field label="By">
          <select value={by} onChange={(event) => onView(readUsageView({ ...view, by: event.target.value }))}>
            {groupings.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </Field>
        <Field label="In the last">
          <select
            value={days}
            onChange={(event) => onView(readUsageView({ ...view, days: event.target.value }))}
          >
            {Object.entries(spans).map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        </Field>
        <a className="button" href={`/api/v1/billing/export?format=csv&from=${from}`} download>
          Calls as CSV
        </a>
        <a className="button" href={`/api/v1/billing/export?format=focus&from=${from}`} download>
          As FOCUS
        </a>
      </div>
      <Loaded query={summary}>
        {({ groups }) =>
          groups.length === 0 ? (
            <Empty title="Nothing was used in this time" />
          ) : (
            <>
              {by === 'day' ? (
                <TimeChart name="Cost by day" points={dailyCost(groups, Number(days))} />
              ) : (
                <Bars name={`Cost by ${by}`} bars={barsOf(groups, by)} />
              )}
              <Table
                name={`Usage by ${by}`}
                columns={columns}
                rows={groups}
                idOf={(group) => `${group[by]} ${group.currency}`}
              />
            </>
          )
        }
      </Loaded>
    </>
  )
}
