// One call: what it was, how it went, and its price line by line.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { bytes, duration, money, Money, Time } from '../../parts/format.tsx'
import { Loaded } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

export function Call({ id }: { readonly id: string }) {
  const record = useQuery({
    queryKey: ['call', id],
    queryFn: () => call('GET /billing/usage/{id}', { params: { id } }),
  })
  return (
    <>
      <h1>
        Call <code>{id}</code>
      </h1>
      <Loaded query={record}>
        {(found) => (
          <>
            <dl className="facts">
              <dt>When</dt>
              <dd>
                <Time at={found.time} exact />
              </dd>
              <dt>Server</dt>
              <dd>
                <Link to="/servers/$name" params={{ name: found.server }}>
                  {found.server}
                </Link>
              </dd>
              <dt>What</dt>
              <dd>
                <code>{found.method}</code> {found.tool !== undefined && <code>{found.tool}</code>}
              </dd>
              <dt>Outcome</dt>
              <dd>
                <span className={`badge ${found.outcome}`}>{found.outcome}</span> {found.error}
              </dd>
              <dt>Took</dt>
              <dd>{duration(found.durationMs)}</dd>
              <dt>Size</dt>
              <dd>
                {bytes(found.requestBytes)} asked, {bytes(found.responseBytes)} answered
              </dd>
              <dt>Way</dt>
              <dd>
                {found.transport} ({found.era}) to {found.upstreamTransport} ({found.upstreamEra})
              </dd>
              <dt>From</dt>
              <dd>
                {found.clientIp} {found.clientInfo}
              </dd>
            </dl>
            <h2>
              Cost: {money(found.cost, found.currency)}
              {!found.priced && ' (no rule was for it)'}
            </h2>
            {found.breakdown.length > 0 && (
              <Table
                name="The cost, line by line"
                rows={found.breakdown}
                idOf={({ component, quantity }) => `${component} ${quantity}`}
                columns={[
                  { title: 'For', cell: ({ component }) => component },
                  { title: 'Quantity', isNumber: true, cell: ({ quantity }) => quantity },
                  { title: 'Price', isNumber: true, cell: ({ unitPrice }) => unitPrice ?? '' },
                  {
                    title: 'Amount',
                    isNumber: true,
                    cell: ({ amount }) => <Money value={amount} currency={found.currency} />,
                  },
                ]}
              />
            )}
          </>
        )}
      </Loaded>
    </>
  )
}
