// Invoices, and one of them line by line.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { count, money, Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

const columns: readonly Column<Schemas['Invoice']>[] = [
  {
    title: 'Number',
    cell: ({ id, number }) => (
      <Link to="/invoices/$id" params={{ id }}>
        {number ?? 'draft'}
      </Link>
    ),
  },
  { title: 'State', cell: ({ status }) => status },
  { title: 'From', cell: ({ period }) => <Time at={period.start} exact /> },
  { title: 'To', cell: ({ period }) => <Time at={period.end} exact /> },
  { title: 'Total', isNumber: true, cell: ({ total, currency }) => money(total, currency) },
  { title: 'Due', isNumber: true, cell: ({ amountDue, currency }) => money(amountDue, currency) },
]

export function Invoices() {
  return (
    <>
      <h1>Invoices</h1>
      <PagedTable
        name="Invoices"
        of={['invoices']}
        fetchPage={(query) => call('GET /billing/invoices', { query })}
        columns={columns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No invoices yet">
            <p>They are made for a period of an account, by the API or `tollbridge invoice`.</p>
          </Empty>
        }
      />
    </>
  )
}

export function Invoice({ id }: { readonly id: string }) {
  const invoice = useQuery({
    queryKey: ['invoice', id],
    queryFn: () => call('GET /billing/invoices/{id}', { params: { id } }),
  })
  return (
    <Loaded query={invoice}>
      {(found) => (
        <>
          <h1>Invoice {found.number ?? 'draft'}</h1>
          <div className="row">
            <a className="button" href={`/api/v1/billing/invoices/${id}?format=html`}>
              As a page
            </a>
            <a className="button" href={`/api/v1/billing/invoices/${id}?format=pdf`} download>
              As PDF
            </a>
            <a className="button" href={`/api/v1/billing/invoices/${id}?format=csv`} download>
              As CSV
            </a>
          </div>
          <dl className="facts">
            <dt>For</dt>
            <dd>{found.customer.accountName}</dd>
            <dt>State</dt>
            <dd>{found.status}</dd>
            <dt>Total</dt>
            <dd>{money(found.total, found.currency)}</dd>
            <dt>Due</dt>
            <dd>{money(found.amountDue, found.currency)}</dd>
          </dl>
          <Table
            name="Lines"
            rows={found.lines}
            idOf={({ position }) => String(position)}
            columns={[
              {
                title: 'What',
                cell: ({ description, server, tool }) =>
                  server === undefined ? (
                    description
                  ) : (
                    <Link to="/calls" search={{ server, ...(tool !== undefined && { tool }) }}>
                      {description}
                    </Link>
                  ),
              },
              { title: 'Quantity', isNumber: true, cell: ({ quantity }) => count(quantity) },
              { title: 'Price', isNumber: true, cell: ({ unitPrice }) => unitPrice ?? '' },
              { title: 'Amount', isNumber: true, cell: ({ amount }) => money(amount, found.currency) },
            ]}
          />
        </>
      )}
    </Loaded>
  )
}
