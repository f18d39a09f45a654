// What an operator opens in the morning: spend, calls, errors, and what needs attention.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { call } from '../api/client.ts'
import { budgetsQuery, serversQuery } from '../api/lists.ts'
import type { Schemas } from '../api/types.ts'
import { useUser } from '../app/session.ts'
import { dailyCost, startOf } from '../parts/days.ts'
import { Amount, count, duration, Time } from '../parts/format.tsx'
import { Empty, Loaded } from '../parts/states.tsx'
import { TimeChart } from '../parts/time-chart.tsx'

const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone

export function Overview() {
  const { userId } = useUser()
  const from = startOf(30).toISOString()
  const cost = useQuery({
    queryKey: ['cost', userId],
    queryFn: () => call('GET /billing/cost/current', { query: {} }),
    refetchInterval: 10_000,
  })
  const month = useQuery({
    queryKey: ['summary', from, 'day'],
    queryFn: () => call('GET /billing/usage/summary', { query: { from, groupBy: 'day', timeZone } }),
    refetchInterval: 30_000,
  })
  return (
    <>
      <h1>Overview</h1>
      <section className="figures" aria-label="This month">
        <Loaded query={cost}>
          {({ currentCost, currency }) => (
            <Figure name="Your cost this month" value={<Amount value={currentCost} currency={currency} />} />
          )}
        </Loaded>
        <Loaded query={month}>{(summary) => <Figures summary={summary} />}</Loaded>
      </section>
      <Loaded query={month}>
        {({ groups }) =>
          groups.length === 0 ? (
            <Empty title="No calls yet">
              <p>
                <Link to="/servers">Register a server</Link>, then <Link to="/connect">connect a client</Link>
                ; what it calls and what that costs is shown here at once.
              </p>
            </Empty>
          ) : (
            <section>
              <h2>Cost by day, in 30 days</h2>
              <TimeChart name="Cost by day" points={dailyCost(groups, 30)} />
            </section>
          )
        }
      </Loaded>
      <Attention />
    </>
  )
}

function Figures({ summary }: { readonly summary: Schemas['UsageSummary'] }) {
  const { totalCalls, failedCalls, totalCost, currency, latency } = summary as Schemas['UsageSummary'] & {
    readonly latency?: { readonly p95Ms?: number | null }
  }
  const share = totalCalls === 0 ? 0 : (failedCalls / totalCalls) * 100
  return (
    <>
      <Figure
        name="Cost in 30 days"
        value={totalCost === null ? 'several currencies' : <Amount value={totalCost} currency={currency} />}
      />
      <Figure name="Calls in 30 days" value={count(totalCalls)} />
      <Figure name="Failed" value={`${count(failedCalls)} (${share.toFixed(1)} %)`} />
      {typeof latency?.p95Ms === 'number' && <Figure name="95 % within" value={duration(latency.p95Ms)} />}
    </>
  )
}

function Figure({ name, value }: { readonly name: string; readonly value: ReactNode }) {
  return (
    <div className="figure">
      <p className="quiet">{name}</p>
      <p className="value">{value}</p>
    </div>
  )
}

/** Servers that fail, and budgets that run out. */
function Attention() {
  const servers = useQuery(serversQuery)
  const budgets = useQuery(budgetsQuery)
  const failing = servers.data?.filter(({ status }) => status === 'error') ?? []
  const short = budgets.data?.filter(({ state }) => state !== 'ok') ?? []
  if (failing.length + short.length === 0) return null
  return (
    <section>
      <h2>What needs attention</h2>
      <ul className="attention">
        {failing.map(({ name, lastFailure }) => (
          <li key={name}>
            <Link to="/servers/$name" params={{ name }}>
              {name}
            </Link>{' '}
            fails
            {lastFailure && (
              <>
                : {lastFailure.message}, <Time at={lastFailure.at} />
              </>
            )}
          </li>
        ))}
        {short.map(({ id, name, spent, limit, currency, state }) => (
          <li key={id}>
            The budget {name ?? id} is {state === 'exhausted' ? 'used up' : 'nearly used up'}:{' '}
            <Amount value={spent} currency={currency} /> of <Amount value={limit} currency={currency} />
          </li>
        ))}
      </ul>
    </section>
  )
}
