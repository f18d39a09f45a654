// Accounts and what they have left; one of them with its grants and its transfers.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { money, Money, Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'

const columns: readonly Column<Schemas['Account']>[] = [
  {
    title: 'Name',
    cell: ({ id, name }) => (
      <Link to="/accounts/$id" params={{ id }}>
        {name}
      </Link>
    ),
  },
  { title: 'Kind', cell: ({ kind }) => kind },
  { title: 'Pays', cell: ({ mode }) => (mode === 'prepaid' ? 'beforehand' : 'afterwards') },
  {
    title: 'Left',
    isNumber: true,
    cell: ({ balance, currency }) => <Money value={balance} currency={currency} />,
  },
  { title: 'Held', isNumber: true, cell: ({ held, currency }) => <Money value={held} currency={currency} /> },
  {
    title: 'Spent',
    isNumber: true,
    cell: ({ spent, currency }) => <Money value={spent} currency={currency} />,
  },
]

export function Accounts() {
  return (
    <>
      <h1>Accounts</h1>
      <PagedTable
        name="Accounts"
        of={['accounts']}
        fetchPage={(query) => call('GET /billing/accounts', { query })}
        columns={columns}
        idOf={({ id }) => id}
        empty={<Empty title="No accounts" />}
      />
    </>
  )
}

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

export function Account({ id }: { readonly id: string }) {
  const user = useUser()
  const account = useQuery({
    queryKey: ['account', id],
    queryFn: () => call('GET /billing/accounts/{id}', { params: { id } }),
    refetchInterval: 10_000,
  })
  return (
    <Loaded query={account}>
      {({ name, balance, held, spent, currency, mode }) => (
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
          </dl>
          {has(user, 'admin') && <TopUp id={id} currency={currency} />}
          <h2>Grants</h2>
          <PagedTable
            name="Grants"
            of={['grants', id]}
            fetchPage={(query) => call('GET /billing/accounts/{id}/grants', { params: { id }, query })}
            columns={grantColumns}
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
      )}
    </Loaded>
  )
}

function TopUp({ id, currency }: { readonly id: string; readonly currency: string }) {
  const queries = useQueryClient()
  const [amount, setAmount] = useState('')
  const [reason, setReason] = useState('')
  const grant = useMutation({
    mutationFn: () =>
      call('POST /billing/accounts/{id}/grants', {
        params: { id },
        body: { amount, ...(reason !== '' && { reason }) },
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
      <button className="primary" disabled={grant.isPending}>
        Top up
      </button>
      <Failure error={grant.error} />
    </form>
  )
}
