// What an administrator may do with an invoice as it stands: a draft is finalized, a final one paid, voided or credited.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

interface ActionsProps {
  readonly invoice: Schemas['FullInvoice']
}

export function InvoiceActions({ invoice }: ActionsProps) {
  if (invoice.status === 'draft') return <DraftActions invoice={invoice} />
  if (invoice.status === 'finalized') return <FinalActions invoice={invoice} />
  return invoice.status === 'paid' ? <CreditNote invoice={invoice} /> : null
}

/** Runs one of the invoice's actions and shows what came of it. */
function useAction(id: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (act: () => Promise<unknown>) => act(),
    // Also where it was refused: somebody else may have been first.
    onSettled: () =>
      Promise.all(
        [['invoice', id], ['invoices'], ['account'], ['ledger']].map((queryKey) =>
          queries.invalidateQueries({ queryKey }),
        ),
      ),
  })
}

function DraftActions({ invoice: { id, total } }: ActionsProps) {
  const navigate = useNavigate()
  const action = useAction(id)
  const params = { id }
  return (
    <section className="stack" aria-label="What to do">
      <div className="row">
        <button
          type="button"
          disabled={action.isPending}
          onClick={() => action.mutate(() => call('POST /billing/invoices/{id}/refresh', { params }))}
        >
          Compute anew
        </button>
        <Confirm
          verb="Finalize"
          what="this draft"
          onConfirm={() =>
            action.mutate(() =>
              call('POST /billing/invoices/{id}/finalize', { params, body: { expectedTotal: total } }),
            )
          }
        />
        <Confirm
          verb="Delete"
          what="this draft"
          onConfirm={() =>
            action.mutate(async () => {
              await call('DELETE /billing/invoices/{id}', { params })
              await navigate({ to: '/invoices' })
            })
          }
        />
      </div>
      <p className="quiet">A final invoice has a number, and is never changed again.</p>
      <Failure error={action.error} />
    </section>
  )
}

function FinalActions({ invoice }: ActionsProps) {
  const { id } = invoice
  const action = useAction(id)
  const [reference, setReference] = useState('')
  const params = { id }
  return (
    <section className="stack" aria-label="What to do">
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault()
          action.mutate(() => call('POST /billing/invoices/{id}/pay', { params, body: { reference } }))
        }}
      >
        <Field label="Reference of the payment">
          <input value={reference} onChange={(event) => setReference(event.target.value)} required />
        </Field>
        <button className="primary" disabled={action.isPending}>
          It was paid
        </button>
      </form>
      <Failure error={action.error} />
      <Ending id={id} />
      <CreditNote invoice={invoice} />
    </section>
  )
}

function Ending({ id }: { readonly id: string }) {
  const action = useAction(id)
  const [reason, setReason] = useState('')
  const given = { params: { id }, body: { reason } }
  return (
    <details className="panel">
      <summary>End it without a payment</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          action.mutate(() => call('POST /billing/invoices/{id}/void', given))
        }}
      >
        <Field label="Reason" hint="A void invoice never counted; what is given up on was owed and lost.">
          <input value={reason} onChange={(event) => setReason(event.target.value)} required />
        </Field>
        <Failure error={action.error} />
        <div className="row">
          <button className="danger" disabled={action.isPending}>
            Void it
          </button>
          <button
            type="button"
            className="danger"
            disabled={action.isPending || reason === ''}
            onClick={() => action.mutate(() => call('POST /billing/invoices/{id}/uncollectible', given))}
          >
            Give up on it
          </button>
        </div>
      </form>
    </details>
  )
}

function CreditNote({ invoice: { id, currency } }: ActionsProps) {
  const action = useAction(id)
  const [amount, setAmount] = useState('')
  const [reason, setReason] = useState('')
  return (
    <details className="panel">
      <summary>Make a credit note</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          const body = { amount, reason }
          action.mutate(() => call('POST /billing/invoices/{id}/credit-notes', { params: { id }, body }))
        }}
      >
        <Field label={`Amount, in ${currency}`} hint="With the tax in it.">
          <input
            value={amount}
            onChange={(event) => setAmount(event.target.value)}
            inputMode="decimal"
            pattern="\d{1,12}(\.\d{1,9})?"
            required
          />
        </Field>
        <Field label="Why">
          <input value={reason} onChange={(event) => setReason(event.target.value)} required />
        </Field>
        <Failure error={action.error} />
        <div className="row">
          <button disabled={action.isPending}>Credit it</button>
        </div>
      </form>
    </details>
  )
}
