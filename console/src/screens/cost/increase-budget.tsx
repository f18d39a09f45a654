// More of a budget for a day: what somebody asks for when it is used up and the work is not done.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { Failure } from '../../parts/states.tsx'

const dayMs = 86_400_000

interface IncreaseProps {
  readonly id: string
  readonly name: string
  readonly onDone: () => unknown
}

export function IncreaseBudget({ id, name, onDone }: IncreaseProps) {
  const [amount, setAmount] = useState('')
  const increase = useMutation({
    mutationFn: () =>
      call('POST /billing/budgets/{id}/increase', {
        params: { id },
        body: { amount, until: new Date(Date.now() + dayMs).toISOString() },
      }),
    onSuccess: () => {
      setAmount('')
      return onDone()
    },
  })
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault()
        increase.mutate()
      }}
    >
      <input
        className="short"
        aria-label={`More of ${name} for a day`}
        placeholder="More"
        value={amount}
        onChange={(event) => setAmount(event.target.value)}
        inputMode="decimal"
        required
      />
      <button disabled={increase.isPending}>For a day</button>
      <Failure error={increase.error} />
    </form>
  )
}
