// One price rule: what it is now, a form that makes its next version, and all versions that there were.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { allPages } from '../../api/pages.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Time } from '../../parts/format.tsx'
import { priceText } from '../../parts/price.ts'
import { Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'
import { PriceFields } from './price-fields.tsx'
import { priceOf, typedOf } from './rule-input.ts'

type Rule = Schemas['Rule']

const columns: readonly Column<Rule>[] = [
  { title: 'Version', isNumber: true, cell: ({ version }) => version },
  { title: 'In force from', cell: ({ effectiveFrom }) => <Time at={effectiveFrom} exact /> },
  { title: 'For', cell: ({ match }) => words(match) || 'every call' },
  { title: 'Price', cell: ({ price, currency }) => priceText({ price, currency }) },
  { title: 'Billed on', cell: ({ billOn }) => billOn.join(', ') },
  {
    title: 'State',
    cell: ({ state, active }) => (state === 'retired' ? 'retired' : active ? 'in force' : 'resting'),
  },
]

export function PriceRule({ id }: { readonly id: string }) {
  const user = useUser()
  const versions = useQuery({
    queryKey: ['rules', id],
    queryFn: () => allPages((query) => call('GET /billing/rules/{id}/versions', { params: { id }, query })),
  })
  return (
    <Loaded query={versions}>
      {(found) => {
        const latest = found.reduce((one, other) => (other.version > one.version ? other : one))
        const mayChange = has(user, 'admin') && latest.state === 'published'
        return (
          <>
            <h1>{latest.name}</h1>
            <dl className="facts">
              <dt>For</dt>
              <dd>{words(latest.match) || 'every call'}</dd>
              <dt>Price</dt>
              <dd>{priceText(latest)}</dd>
              <dt>Book</dt>
              <dd>{latest.book ?? 'none: it is for every account'}</dd>
              <dt>Billed on</dt>
              <dd>{latest.billOn.join(', ')}</dd>
            </dl>
            {latest.price.tiers && <Tiers tiers={latest.price.tiers} currency={latest.currency} />}
            {mayChange && <Change key={latest.version} rule={latest} />}
            <h2>Versions</h2>
            <p className="quiet">A call keeps the price of the version that was in force when it came.</p>
            <Table
              name="Versions"
              columns={columns}
              rows={found.toSorted((one, other) => other.version - one.version)}
              idOf={({ version }) => String(version)}
            />
          </>
        )
      }}
    </Loaded>
  )
}

function Tiers({
  tiers,
  currency,
}: {
  readonly tiers: NonNullable<Rule['price']['tiers']>
  readonly currency: string
}) {
  return (
    <Table
      name="Steps"
      rows={tiers.steps}
      idOf={({ upTo }) => upTo ?? 'on'}
      columns={[
        {
          title: `${tiers.unit}s of a ${tiers.period}, by ${tiers.per}`,
          cell: ({ upTo }) => (upTo === null ? 'all further' : `up to ${upTo}`),
        },
        { title: 'Each', isNumber: true, cell: ({ unitPrice }) => `${unitPrice} ${currency}` },
        {
          title: 'Once',
          isNumber: true,
          cell: ({ flatPrice }) => (flatPrice ? `${flatPrice} ${currency}` : ''),
        },
      ]}
    />
  )
}

function Change({ rule }: { readonly rule: Rule }) {
  const queries = useQueryClient()
  const navigate = useNavigate()
  const [typed, setTyped] = useState(() => typedOf(rule))
  const params = { id: rule.id }
  const refresh = () => queries.invalidateQueries({ queryKey: ['rules'] })
  const publish = useMutation({
    mutationFn: () =>
      call('PATCH /billing/rules/{id}', { params, body: { price: priceOf(typed, rule.price) } }),
    onSuccess: refresh,
  })
  const draft = useMutation({
    mutationFn: () =>
      call('POST /billing/drafts', { body: { ruleId: rule.id, price: priceOf(typed, rule.price) } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['drafts'] })
      await navigate({ to: '/prices/drafts' })
    },
  })
  const retire = useMutation({
    mutationFn: () => call('DELETE /billing/rules/{id}', { params }),
    onSuccess: async () => {
      await refresh()
      await navigate({ to: '/prices' })
    },
  })
  const isBusy = publish.isPending || draft.isPending || retire.isPending
  return (
    <details className="panel">
      <summary>Change the price</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          publish.mutate()
        }}
      >
        <PriceFields typed={typed} onTyped={setTyped} />
        <Failure error={publish.error ?? draft.error ?? retire.error} />
        <div className="row">
          <button className="primary" disabled={isBusy}>
            From now on
          </button>
          <button type="button" disabled={isBusy} onClick={() => draft.mutate()}>
            Keep it as a draft
          </button>
          <Confirm verb="Retire" what="this rule" onConfirm={() => retire.mutate()} />
        </div>
      </form>
    </details>
  )
}
