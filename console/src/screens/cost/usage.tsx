// What was used and what it cost: by day, server, tool, user or key.
import { useQuery } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { dailyCost, startOf } from '../../parts/days.ts'
import { count, duration, Money } from '../../parts/format.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
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
const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone

interface UsageProps {
  readonly view: UsageView
  readonly onView: (view: UsageView) => void
}

export function Usage({ view, onView }: UsageProps) {
  const { by = 'day', days = '30' } = view
  const from = startOf(Number(days)).toISOString()
  const summary = useQuery({
    queryKey: ['summary', from, by],
    queryFn: () => call('GET /billing/usage/summary', { query: { from, groupBy: by, timeZone } }),
  })
  const columns: readonly Column<Group>[] = [
    { title: by, cell: (group) => group[by] ?? 'none' },
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
      </div>
      <Loaded query={summary}>
        {({ groups }) =>
          groups.length === 0 ? (
            <Empty title="Nothing was used in this time" />
          ) : (
            <>
              {by === 'day' && <TimeChart name="Cost by day" points={dailyCost(groups, Number(days))} />}
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
