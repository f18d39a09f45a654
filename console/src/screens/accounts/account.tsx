// One account: what it has left, where its credit came from, where it went, and how it pays.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { accountsQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Field } from '../../parts/field.tsx'
import { Money, money, Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'
import { AccountSettings } from './account-settings.tsx'

const grantColumns: readonly Column<Schemas['Grant']>[] = [
  { title: 'Made', cell: ({ createdAt }) => <Time at={createdAt} /> },
  {
    title: 'Amount',
    isNumber: true,
    cell: ({ amount, currency }) => <Money value={amount} currency={currency} />,
  },
  {
    title: 'Left',
    isNumber: true,
    cell: ({ remaining, currency }) => <Money value={remaining} currency={currency} />,
  },
  { title: 'State', cell: ({ state }) => state },
  { title: 'Ends', cell: ({ expiresAt }) => (expiresAt === undefined ? 'never' : <Time at={expiresAt} />) },
  { title: 'Reason', cell: ({ reason }) => reason },
]

const transferColumns: readonly Column<Schemas['Transfer']>[] = [
  { title: 'When', cell: ({ time }) => <Time at={time} /> },
  { title: 'What', cell: ({ kind }) => kind },
  {
    title: 'For',
    cell: ({ callId, reason }) =>
      callId === undefined ? (
        reason
      ) : (
        <Link to="/calls/$id" params={{ id: callId }}>
          {callId}
        </Link>
      ),
  },
  {
    title: 'Amount',
    isNumber: true,
    cell: ({ amount, currency }) => <Money value={amount} currency={currency} />,
  },
]

/** Of whoever may give credit: what is left of a grant is taken back. */
function useVoid(accountId: string) {
  const queries = useQueryClient()
  const take = useMutation({
    mutationFn: ({ id }: Schemas['Grant']) =>
      call('POST /billing/accounts/{id}/grants/{grantId}/void', {
        params: { id: accountId, grantId: id },
      }),
    onSettled: () =>
      Promise.all(
        ['account', 'grants', 'ledger'].map((name) =>
          queries.invalidateQueries({ queryKey: [name, accountId] }),
        ),
      ),
  })
  const column: Column<Schemas['Grant']> = {
    title: '',
    cell: (grant) =>
      (grant.state === 'active' || grant.state === 'scheduled') && (
        <Confirm
          verb="Take back"
          what={money(grant.remaining, grant.currency)}
          onConfirm={() => take.mutate(grant)}
        />
      ),
  }
  return { take, column }
}

export function Account({ id }: { readonly id: string }) {
  const user = useUser()
  const mayGive = has(user, 'admin')
  const { take, column } = useVoid(id)
  const accounts = useQuery(accountsQuery)
  const children = (accounts.data ?? []).filter(({ parentId }) => parentId === id)
  const account = useQuery({
    queryKey: ['account', id],
    queryFn: () => call('GET /billing/accounts/{id}', { params: { id } }),
    refetchInterval: 10_000,
  })
  return (
    <Loaded query={account}>
      {(found) => {
        const { name, balance, held, spent, currency, mode, parentId, plan } = found
        return (
          <>
            <h1>{name}</h1>
            <dl className="facts">
              <dt>Left</dt>
              <dd>{money(balance, currency)}</dd>
              <dt>Held by calls that run</dt>
              <dd>{money(held, currency)}</dd>
              <dt>Spent</dt>
              <dd>{money(spent, currency)}</dd>
              <dt>Pays</dt>
              <dd>
                {mode === 'prepaid'
                  ? 'beforehand: what is not there cannot be spent'
                  : 'afterwards, by invoice'}
              </dd>
              {parentId !== undefined && (
                <>
                  <dt>Below</dt>
                  <dd>
                    <Link to="/accounts/$id" params={{ id: parentId }}>
                      {accounts.data?.find((each) => each.id === parentId)?.name ?? parentId}
                    </Link>
                  </dd>
                </>
              )}
              {plan !== undefined && (
                <>
                  <dt>Price book</dt>
                  <dd>{plan}</dd>
                </>
              )}
            </dl>
            <div className="row">
              <Link to="/calls" search={{ account: id }} className="button">
                Its calls
              </Link>
            </div>
            {mayGive && (
              <>
                <TopUp id={id} currency={currency} />
                <AccountSettings key={found.updatedAt} account={found} />
              </>
            )}
            {children.length > 0 && (
              <>
                <h2>Below it</h2>
                <ul>
                  {children.map((child) => (
                    <li key={child.id}>
                      <Link to="/accounts/$id" params={{ id: child.id }}>
                        {child.name}
                      </Link>
                    </li>
                  ))}
                </ul>
              </>
            )}
            <h2>Grants</h2>
            <Failure error={take.error} />
            <PagedTable
              name="Grants"
              of={['grants', id]}
              fetchPage={(query) => call('GET /billing/accounts/{id}/grants', { params: { id }, query })}
              columns={mayGive ? [...grantColumns, column] : grantColumns}
              idOf={(grant) => grant.id}
              empty={<Empty title="Nothing was granted yet" />}
            />
            <h2>Transfers</h2>
            <PagedTable
              name="Transfers"
              of={['ledger', id]}
              fetchPage={(query) => call('GET /billing/accounts/{id}/ledger', { params: { id }, query })}
              columns={transferColumns}
              idOf={(transfer) => transfer.id}
              empty={<Empty title="No money has moved yet" />}
            />
          </>
        )
      }}
    </Loaded>
  )
}

function TopUp({ id, currency }: { readonly id: string; readonly currency: string }) {
  const queries = useQueryClient()
  const [amount, setAmount] = useState('')
  const [reason, setReason] = useState('')
  const [ends, setEnds] = useState('')
  const grant = useMutation({
    mutationFn: () =>
      call('POST /billing/accounts/{id}/grants', {
        params: { id },
        body: {
          amount,
          ...(reason !== '' && { reason }),
          ...(ends !== '' && { expiresAt: new Date(ends).toISOString() }),
        },
      }),
    onSuccess: async () => {
      setAmount('')
      await Promise.all(
        ['account', 'grants', 'ledger'].map((name) => queries.invalidateQueries({ queryKey: [name, id] })),
      )
    },
  })
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault()
        grant.mutate()
      }}
    >
      <Field label={`Top up, in ${currency}`}>
        <input
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
          inputMode="decimal"
          pattern="\d{1,9}(\.\d{1,9})?"
          required
        />
      </Field>
      <Field label="Reason">
        <input value={reason} onChange={(event) => setReason(event.target.value)} />
      </Field>
      <Field label="It ends">
        <input type="date" value={ends} onChange={(event) => setEnds(event.target.value)} />
      </Field>
      <button className="primary" disabled={grant.isPending}>
        Top up
      </button>
      <Failure error={grant.error} />
    </form>
  )
}
