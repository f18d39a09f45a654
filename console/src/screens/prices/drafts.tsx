// Prices that are not in force yet: looked over, tried out against past calls, published together or thrown away.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { allPages } from '../../api/pages.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Time } from '../../parts/format.tsx'
import { priceText } from '../../parts/price.ts'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'
import { PriceHead } from './prices.tsx'

type Draft = Schemas['RuleDraft']

const columns: readonly Column<Draft>[] = [
  { title: 'Name', cell: ({ name }) => name },
  {
    title: 'Makes',
    cell: ({ basedOn }) => (basedOn === undefined ? 'a new rule' : `version ${basedOn + 1}`),
  },
  { title: 'For', cell: ({ match }) => words(match) || 'every call' },
  { title: 'Price', cell: ({ price, currency }) => priceText({ price, currency }) },
  { title: 'Changed', cell: ({ updatedAt }) => <Time at={updatedAt} /> },
]

export function PriceDrafts() {
  const user = useUser()
  const queries = useQueryClient()
  const drafts = useQuery({
    queryKey: ['drafts'],
    queryFn: () => allPages((query) => call('GET /billing/drafts', { query })),
  })
  const change = useMutation({
    mutationFn: (work: () => Promise<unknown>) => work(),
    onSettled: () =>
      Promise.all(['drafts', 'rules'].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  })
  const actions: Column<Draft> = {
    title: '',
    cell: ({ id, name }) => (
      <span className="row">
        <button
          type="button"
          disabled={change.isPending}
          onClick={() =>
            change.mutate(() => call('POST /billing/drafts/{id}/publish', { params: { id }, body: {} }))
          }
        >
          Publish
        </button>
        <Confirm
          verb="Throw away"
          what={name}
          onConfirm={() => change.mutate(() => call('DELETE /billing/drafts/{id}', { params: { id } }))}
        />
      </span>
    ),
  }
  return (
    <>
      <PriceHead />
      <Failure error={change.error} />
      <Loaded query={drafts}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No drafts">
              <p>
                A price is kept as a draft to see what it would have cost. Make one of a{' '}
                <Link to="/prices">rule</Link>.
              </p>
            </Empty>
          ) : (
            <>
              {has(user, 'admin') && (
                <div className="filters">
                  <button
                    type="button"
                    className="primary"
                    disabled={change.isPending}
                    onClick={() =>
                      change.mutate(() =>
                        call('POST /billing/drafts/publish', { body: { ids: items.map(({ id }) => id) } }),
                      )
                    }
                  >
                    Publish them together
                  </button>
                  <Link to="/prices/simulate" className="button">
                    What they would have cost
                  </Link>
                </div>
              )}
              <Table
                name="Drafts"
                columns={has(user, 'admin') ? [...columns, actions] : columns}
                rows={items}
                idOf={({ id }) => id}
              />
            </>
          )
        }
      </Loaded>
    </>
  )
}
