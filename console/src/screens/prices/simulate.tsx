// What past calls would have cost if the drafts had been in force.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { useNames } from '../../api/names.ts'
import type { Schemas } from '../../api/types.ts'
import { startOf } from '../../parts/days.ts'
import { Field } from '../../parts/field.tsx'
import { count, Money } from '../../parts/format.tsx'
import { Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { PriceHead } from './prices.tsx'

const spans = ['7', '30', '90'] as const

export interface SimulatedSpan {
  readonly days?: (typeof spans)[number]
}

export function readSimulatedSpan(search: Record<string, unknown>): SimulatedSpan {
  const days = spans.find((each) => each === String(search['days']))
  return days ? { days } : {}
}

interface Compared {
  readonly currency: string
  readonly calls: number
  readonly old: string
  readonly new: string
}

const amounts: readonly Column<Compared>[] = [
  { title: 'Calls', isNumber: true, cell: ({ calls }) => count(calls) },
  { title: 'It cost', isNumber: true, cell: (row) => <Money value={row.old} currency={row.currency} /> },
  {
    title: 'It would have cost',
    isNumber: true,
    cell: (row) => <Money value={row.new} currency={row.currency} />,
  },
]

interface SimulateProps {
  readonly span: SimulatedSpan
  readonly onSpan: (span: SimulatedSpan) => void
}

export function SimulatePrices({ span, onSpan }: SimulateProps) {
  const { days = '30' } = span
  const from = startOf(Number(days)).toISOString()
  const simulation = useQuery({
    queryKey: ['drafts', 'simulation', from],
    queryFn: () => call('POST /billing/simulate', { body: { drafts: 'all', keep: true, from } }),
  })
  return (
    <>
      <PriceHead />
      <div className="filters">
        <Field label="Calls of the last">
          <select value={days} onChange={(event) => onSpan(readSimulatedSpan({ days: event.target.value }))}>
            {spans.map((each) => (
              <option key={each} value={each}>
                {each} days
              </option>
            ))}
          </select>
        </Field>
        <Link to="/prices/drafts" className="button">
          The drafts
        </Link>
      </div>
      <p className="quiet">All calls of that time, priced once more with today's rules and all drafts.</p>
      <Loaded query={simulation}>{(found) => <Comparison simulation={found} />}</Loaded>
    </>
  )
}

function Comparison({ simulation }: { readonly simulation: Schemas['Simulation'] }) {
  const nameOf = useNames()
  const { totals, byRule, byAccount } = simulation
  return (
    <>
      <Table
        name="In all"
        columns={[{ title: 'Currency', cell: ({ currency }: Compared) => currency }, ...amounts]}
        rows={totals}
        idOf={({ currency }) => currency}
      />
      <h2>By rule</h2>
      <Table
        name="By rule"
        columns={[{ title: 'Rule', cell: ({ rule }) => rule ?? 'no price' }, ...amounts]}
        rows={byRule}
        idOf={({ rule, ruleId, currency }) => `${ruleId ?? rule} ${currency}`}
      />
      <h2>By account</h2>
      <Table
        name="By account"
        columns={[
          {
            title: 'Account',
            cell: ({ accountId }) => (
              <Link to="/accounts/$id" params={{ id: accountId }}>
                {nameOf(accountId)}
              </Link>
            ),
          },
          ...amounts,
        ]}
        rows={byAccount}
        idOf={({ accountId, currency }) => `${accountId} ${currency}`}
      />
    </>
  )
}
