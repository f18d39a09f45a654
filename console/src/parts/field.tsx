// One thing to fill in, with its name and what is said of it.
import { useId, type ReactElement, type ReactNode, cloneElement } from 'react'

interface FieldProps {
  readonly label: string
  readonly hint?: ReactNode
  readonly error?: string | undefined
  readonly children: ReactElement<{ id?: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }>
}

export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId()
  const said = error ?? hint
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        ...(said !== undefined && { 'aria-describedby': `${id}-said` }),
        ...(error !== undefined && { 'aria-invalid': true }),
      })}
      {said !== undefined && (
        <p id={`${id}-said`} className={error === undefined ? 'hint' : 'error'}>
          {said}
        </p>
      )}
    </div>
  )
}
