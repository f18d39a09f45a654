// What needs attention: servers that fail, tools held back, budgets that run out, invoices past due, keys that end.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../api/client.ts'
import { budgetsQuery, serversQuery } from '../api/lists.ts'
import { allPages } from '../api/pages.ts'
import { count, Money, Time } from '../parts/format.tsx'

/** Keys that end sooner than this are told of. */
const soonMs = 7 * 86_400_000

const isBefore = (time: string | undefined, ms: number): boolean =>
  time !== undefined && Date.parse(time) < ms

/** Nothing where nothing needs any. */
export function Attention() {
  const servers = useQuery(serversQuery)
  const budgets = useQuery(budgetsQuery)
  const keys = useQuery({
    queryKey: ['keys', ''],
    queryFn: () => allPages((query) => call('GET /keys', { query })),
  })
  const definitions = useQuery({
    queryKey: ['definitions'],
    queryFn: () => call('GET /definitions', {}),
    refetchInterval: 15_000,
  })
  const invoices = useQuery({
    queryKey: ['invoices', 'open'],
    queryFn: () =>
      allPages((query) => call('GET /billing/invoices', { query: { ...query, status: 'finalized' } })),
  })
  const failing = servers.data?.filter(({ status }) => status === 'error') ?? []
  const held = definitions.data?.items ?? []
  const short = budgets.data?.filter(({ state }) => state !== 'ok') ?? []
  const overdue = invoices.data?.filter(({ dueAt }) => isBefore(dueAt, Date.now())) ?? []
  const ending = keys.data?.filter(({ expiresAt }) => isBefore(expiresAt, Date.now() + soonMs)) ?? []
  if ([failing, held, short, overdue, ending].every(({ length }) => length === 0)) return null
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
        {held.map(({ serverId, server, held: tools }) => (
          <li key={serverId}>
            {tools === 1 ? 'One tool' : `${count(tools)} tools`} of{' '}
            <Link to="/servers/$name" params={{ name: server }}>
              {server}
            </Link>{' '}
            {tools === 1 ? 'is' : 'are'} held back until somebody approves
          </li>
        ))}
        {short.map(({ id, name, subject, state, resetsAt }) => (
          <li key={`${id} ${subject ?? ''}`}>
            The budget “{name ?? id}” is {state === 'exhausted' ? 'used up' : 'nearly used up'}
            {resetsAt !== undefined && (
              <>
                ; it begins anew <Time at={resetsAt} />
              </>
            )}
          </li>
        ))}
        {overdue.map(({ id, number, amountDue, currency, dueAt = '' }) => (
          <li key={id}>
            <Link to="/invoices/$id" params={{ id }}>
              {number ?? id}
            </Link>
            , <Money value={amountDue} currency={currency} />, was due <Time at={dueAt} />
          </li>
        ))}
        {ending.map(({ id, name, expiresAt = '' }) => (
          <li key={id}>
            Your key <Link to="/keys">{name}</Link> ends <Time at={expiresAt} />
          </li>
        ))}
      </ul>
    </section>
  )
}
