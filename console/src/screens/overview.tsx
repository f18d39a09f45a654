// What an operator opens in the morning: spend now and against budgets, calls, errors, and what needs attention.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { call } from '../api/client.ts'
import { budgetsQuery, streamsQuery } from '../api/lists.ts'
import { allPages } from '../api/pages.ts'
import type { Schemas } from '../api/types.ts'
import { useLive } from '../app/live.ts'
import { useUser } from '../app/session.ts'
import { Bars } from '../parts/bars.tsx'
import { dailyCost, startOf } from '../parts/days.ts'
import { Amount, count, duration } from '../parts/format.tsx'
import { LiveMark } from '../parts/live-mark.tsx'
import { Empty, Loaded } from '../parts/states.tsx'
import { TimeChart } from '../parts/time-chart.tsx'
import { currentZone } from '../parts/zone.ts'
import { Attention } from './attention.tsx'

const days = 30
const mostServers = 5

export function Overview() {
  const { userId } = useUser()
  const timeZone = currentZone()
  const from = startOf(days).toISOString()
  const live = useLive([['cost'], ['summary'], ['budgets']])
  const cost = useQuery({
    queryKey: ['cost', userId],
    queryFn: () => call('GET /billing/cost/current', { query: {} }),
  })
  const month = useQuery({
    queryKey: ['summary', from, 'day', timeZone],
    queryFn: () => call('GET /billing/usage/summary', { query: { from, groupBy: 'day', timeZone } }),
  })
  const sessions = useQuery({
    queryKey: ['sessions', 'all'],
    queryFn: () => allPages((query) => call('GET /sessions', { query })),
    refetchInterval: 15_000,
  })
  const streams = useQuery(streamsQuery)
  return (
    <>
      <div className="head">
        <h1>Overview</h1>
        <LiveMark state={live} />
      </div>
      <section className="figures" aria-label="This month">
        <Loaded query={cost}>
          {({ currentCost, currency }) => (
            <Figure
              name="Your own cost this month"
              value={<Amount value={currentCost} currency={currency} />}
            />
          )}
        </Loaded>
        <Loaded query={month}>{(summary) => <Figures summary={summary} />}</Loaded>
        {streams.data && (
          <Figure
            name="Live streams"
            value={count(streams.data.length)}
            more={sessions.data && `open sessions: ${count(openOf(sessions.data))}`}
          />
        )}
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
              <h2>Cost by day, in {days} days</h2>
              <TimeChart name="Cost by day" points={dailyCost(groups, days)} />
            </section>
          )
        }
      </Loaded>
      <div className="columns">
        <TopServers from={from} />
        <Budgets />
      </div>
      <Attention />
    </>
  )
}

const isOver: ReadonlySet<Schemas['Session']['status']> = new Set(['closed', 'expired'])

function Figures({ summary }: { readonly summary: Schemas['UsageSummary'] }) {
  const { totalCalls, failedCalls, totalCost, currency, p95Ms } = summary
  const share = totalCalls === 0 ? 0 : (failedCalls / totalCalls) * 100
  return (
    <>
      <Figure
        name={`Cost in ${days} days`}
        value={totalCost === null ? 'several currencies' : <Amount value={totalCost} currency={currency} />}
      />
      <Figure name={`Calls in ${days} days`} value={count(totalCalls)} />
      <Figure name="Failed" value={`${count(failedCalls)} (${share.toFixed(1)} %)`} />
      {p95Ms !== null && <Figure name="95 % answered within" value={duration(p95Ms)} />}
    </>
  )
}

const openOf = (sessions: readonly Schemas['Session'][]): number =>
  sessions.filter(({ status }) => !isOver.has(status)).length

interface FigureProps {
  readonly name: string
  readonly value: ReactNode
  readonly more?: ReactNode
}

function Figure({ name, value, more }: FigureProps) {
  return (
    <div className="figure">
      <p className="quiet">{name}</p>
      <p className="value">{value}</p>
      {more !== undefined && <p className="quiet">{more}</p>}
    </div>
  )
}

function TopServers({ from }: { readonly from: string }) {
  const servers = useQuery({
    queryKey: ['summary', from, 'server'],
    queryFn: () => call('GET /billing/usage/summary', { query: { from, groupBy: 'server' } }),
  })
  const groups = servers.data?.groups ?? []
  if (groups.length === 0) return null
  return (
    <section>
      <h2>Cost by server</h2>
      <Bars
        name="Cost by server"
        bars={groups
          .toSorted((one, other) => Number(other.cost) - Number(one.cost))
          .slice(0, mostServers)
          .map(({ server, cost, currency }) => ({
            id: `${server} ${currency}`,
            title: (
              <Link to="/calls" search={{ ...(typeof server === 'string' && { server }) }}>
                {server}
              </Link>
            ),
            value: Number(cost),
            shown: <Amount value={cost} currency={currency} />,
          }))}
      />
    </section>
  )
}

function Budgets() {
  const budgets = useQuery(budgetsQuery)
  if (!budgets.data || budgets.data.length === 0) return null
  return (
    <section>
      <h2>Budgets</h2>
      <Bars
        name="Budgets"
        bars={budgets.data.map(({ id, name, subject, spent, limit, unit, currency, state }) => ({
          id: `${id} ${subject ?? ''}`,
          title: <Link to="/budgets">{name ?? id}</Link>,
          value: Number(spent),
          of: Number(limit),
          state,
          shown:
            unit === 'calls' ? (
              `${spent} of ${limit} calls`
            ) : (
              <>
                <Amount value={spent} /> of <Amount value={limit} currency={currency ?? null} />
              </>
            ),
        }))}
      />
    </section>
  )
}
