// What is shown where there is nothing yet, nothing at all, or an error.
import type { ReactNode } from 'react'
import { ApiError } from '../api/client.ts'

/** An error in the gateway's words, with the id under which its log has it. */
export function Failure({ error }: { readonly error: Error | null | undefined }) {
  if (!error) return null
  const { requestId, fields } = error instanceof ApiError ? error : { requestId: undefined, fields: [] }
  const text = error instanceof TypeError ? 'The gateway is not reached. Is it running?' : error.message
  return (
    <div className="failure" role="alert">
      <p>{text}</p>
      {fields.length > 0 && (
        <ul>
          {fields.map(({ field, message }) => (
            <li key={field}>
              <code>{field}</code> {message}
            </li>
          ))}
        </ul>
      )}
      {requestId !== undefined && (
        <p className="quiet">
          Request <code>{requestId}</code>
        </p>
      )}
    </div>
  )
}

/** Lines in place of what is on its way. */
export function Skeleton({ lines = 4 }: { readonly lines?: number }) {
  return (
    <div className="skeleton" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} />
      ))}
    </div>
  )
}

/** Says what there could be, and how to get it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}

interface LoadedProps<Data> {
  readonly query: { readonly data: Data | undefined; readonly error: Error | null }
  readonly children: (data: Data) => ReactNode
}

/** A query's data once they are there; until then lines, or its error. */
export function Loaded<Data>({ query: { data, error }, children }: LoadedProps<Data>) {
  if (data !== undefined) return children(data)
  return error ? <Failure error={error} /> : <Skeleton />
}
