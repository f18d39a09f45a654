// One call: what it was, how it went, its price line by line, and how to make it once more.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { useNames } from '../../api/names.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Copy } from '../../parts/copy.tsx'
import { curlOf } from '../../parts/curl.ts'
import { bytes, duration, money, Money, Time } from '../../parts/format.tsx'
import { Loaded } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

type Priced = Schemas['PricedUsageRecord']

export function Call({ id }: { readonly id: string }) {
  const user = useUser()
  const record = useQuery({
    queryKey: ['call', id],
    queryFn: () => call('GET /billing/usage/{id}', { params: { id } }),
  })
  const payload = useQuery({
    queryKey: ['payload', id],
    queryFn: () => call('GET /billing/usage/{id}/payload', { params: { id } }),
    enabled: has(user, 'auditor'),
  })
  return (
    <>
      <h1>
        Call <code>{id}</code>
      </h1>
      <Loaded query={record}>
        {(found) => (
          <>
            <Facts record={found} />
            <Timeline record={found} />
            <Cost record={found} />
            {payload.data && <Captured payload={payload.data} />}
            {found.method === 'tools/call' && found.tool !== undefined && (
              <Again record={found} tool={found.tool} inputs={payload.data?.arguments} />
            )}
          </>
        )}
      </Loaded>
    </>
  )
}

function Facts({ record }: { readonly record: Priced }) {
  const nameOf = useNames()
  const { server, method, tool, outcome, statusCode, error, userId, accountId, keyId, sessionId } = record
  const others = [
    ['User', 'user', userId],
    ['Account', 'account', accountId],
    ['Key', 'key', keyId],
    ['Session', 'session', sessionId],
  ] as const
  return (
    <dl className="facts">
      <dt>Server</dt>
      <dd>
        <Link to="/servers/$name" params={{ name: server }}>
          {server}
        </Link>
      </dd>
      <dt>What</dt>
      <dd>
        <code>{method}</code> {tool !== undefined && <code>{tool}</code>}
      </dd>
      <dt>Outcome</dt>
      <dd>
        <span className={`badge ${outcome}`}>{outcome}</span> {statusCode} {error}
      </dd>
      <dt>Size</dt>
      <dd>
        {bytes(record.requestBytes)} asked, {bytes(record.responseBytes)} answered
        {record.tokens !== undefined && `, ${record.tokens} tokens`}
      </dd>
      <dt>Way</dt>
      <dd>
        {record.transport} ({record.era}) to {record.upstreamTransport} ({record.upstreamEra})
      </dd>
      <dt>From</dt>
      <dd>
        {record.clientIp} {record.clientInfo ?? record.userAgent}
      </dd>
      {others.map(
        ([title, name, value]) =>
          value !== undefined && (
            <div key={name} className="fact">
              <dt>{title}</dt>
              <dd>
                <Link to="/calls" search={{ [name]: value }} title={`All calls of this ${name}`}>
                  {nameOf(value)}
                </Link>
              </dd>
            </div>
          ),
      )}
    </dl>
  )
}

/** The steps that the record tells of; it is on disk before the answer leaves. */
function Timeline({ record: { time, durationMs, outcome, upstreamTransport } }: { readonly record: Priced }) {
  const end = new Date(Date.parse(time) + durationMs).toISOString()
  const isSent = upstreamTransport !== 'none' && outcome !== 'denied'
  return (
    <>
      <h2>What happened</h2>
      <ol className="timeline">
        <li>
          It came: <Time at={time} exact />
        </li>
        <li>
          {isSent
            ? 'Its worst case was held on the account, and it was sent to the server'
            : 'It was refused, and nothing was sent'}
        </li>
        <li>
          It ended after {duration(durationMs)}: <Time at={end} exact />
        </li>
        <li>Its record and its cost were on disk before the answer left</li>
      </ol>
    </>
  )
}

function Cost({ record }: { readonly record: Priced }) {
  const { cost, currency, priced, ruleId, ruleVersion, breakdown } = record
  return (
    <>
      <h2>
        Cost: {money(cost, currency)}
        {!priced && ' (no rule was for it)'}
      </h2>
      {ruleId !== undefined && (
        <p>
          By{' '}
          <Link to="/prices/$id" params={{ id: ruleId }}>
            version {ruleVersion} of this rule
          </Link>
        </p>
      )}
      {breakdown.length > 0 && (
        <Table
          name="The cost, line by line"
          rows={breakdown}
          idOf={({ component, quantity }) => `${component} ${quantity}`}
          columns={[
            { title: 'For', cell: ({ component }) => component },
            { title: 'Quantity', isNumber: true, cell: ({ quantity }) => quantity },
            { title: 'Price', isNumber: true, cell: ({ unitPrice }) => unitPrice ?? '' },
            {
              title: 'Amount',
              isNumber: true,
              cell: ({ amount }) => <Money value={amount} currency={currency} places={14} />,
            },
          ]}
        />
      )}
    </>
  )
}

function Captured({ payload }: { readonly payload: Schemas['Payload'] }) {
  return (
    <>
      <h2>What was said</h2>
      <p className="quiet">
        Kept until <Time at={payload.expiresAt} exact />
        {payload.cut && '; cut, since it was long'}
      </p>
      <pre tabIndex={0}>{JSON.stringify(payload.arguments, undefined, 2)}</pre>
      <pre tabIndex={0}>{JSON.stringify(payload.result ?? payload.error, undefined, 2)}</pre>
    </>
  )
}

interface AgainProps {
  readonly record: Priced
  readonly tool: string
  /** Absent where they were not captured, or are not for this user. */
  readonly inputs: unknown
}

function Again({ record: { server }, tool, inputs }: AgainProps) {
  return (
    <>
      <h2>Once more, as curl</h2>
      {inputs === undefined && (
        <p className="quiet">Arguments are not kept by default: fill them in. It costs what a call costs.</p>
      )}
      <Copy text={curlOf({ origin: location.origin, server, tool, inputs: inputs ?? {} })} />
    </>
  )
}
