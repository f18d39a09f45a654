// A button that asks once more before it does what cannot be undone.
import { useState } from 'react'

interface ConfirmProps {
  readonly verb: string
  /** What it is done to, for the second question and for who cannot see the row. */
  readonly what: string
  readonly onConfirm: () => void
}

export function Confirm({ verb, what, onConfirm }: ConfirmProps) {
  const [isSure, setSure] = useState(false)
  if (!isSure)
    return (
      <button type="button" onClick={() => setSure(true)} aria-label={`${verb} ${what}`}>
        {verb}
      </button>
    )
  return (
    <span className="row">
      <button
        type="button"
        className="danger"
        onClick={() => {
          setSure(false)
          onConfirm()
        }}
      >
        {verb} {what} now
      </button>
      <button type="button" onClick={() => setSure(false)}>
        Leave it
      </button>
    </span>
  )
}
