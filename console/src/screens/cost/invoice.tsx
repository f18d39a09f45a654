// One invoice: its lines with the calls behind them, and what may be done with it next.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { count, money, Money, Time } from '../../parts/format.tsx'
import { Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { InvoiceActions } from './invoice-actions.tsx'

type FullInvoice = Schemas['FullInvoice']

export function Invoice({ id }: { readonly id: string }) {
  const user = useUser()
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
          {has(user, 'admin') && <InvoiceActions invoice={found} />}
          <Facts invoice={found} />
          <Table
            name="Lines"
            rows={found.lines}
            idOf={({ position }) => String(position)}
            columns={lineColumns(found.currency)}
          />
        </>
      )}
    </Loaded>
  )
}

function Facts({ invoice }: { readonly invoice: FullInvoice }) {
  const { customer, status, period, currency, total, amountDue, amountLeft, dueAt, reference } = invoice
  return (
    <dl className="facts">
      <dt>For</dt>
      <dd>
        <Link to="/accounts/$id" params={{ id: customer.accountId }}>
          {customer.name ?? customer.accountName}
        </Link>
      </dd>
      <dt>State</dt>
      <dd>
        <span className={`badge ${status}`}>{status}</span>
      </dd>
      <dt>Period</dt>
      <dd>
        <Time at={period.start} exact /> to <Time at={period.end} exact />
      </dd>
      <dt>Total</dt>
      <dd>{money(total, currency)}</dd>
      <dt>Due</dt>
      <dd>
        {money(amountDue, currency)}
        {dueAt !== undefined && (
          <>
            {' '}
            by <Time at={dueAt} exact />
          </>
        )}
      </dd>
      {amountLeft !== amountDue && (
        <>
          <dt>Left of it</dt>
          <dd>{money(amountLeft, currency)}</dd>
        </>
      )}
      {reference !== undefined && (
        <>
          <dt>Paid by</dt>
          <dd>{reference}</dd>
        </>
      )}
    </dl>
  )
}

const lineColumns = (currency: string): readonly Column<FullInvoice['lines'][number]>[] => [
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
  { title: 'Amount', isNumber: true, cell: ({ amount }) => <Money value={amount} currency={currency} /> },
]
