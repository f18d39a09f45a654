// Shares as bars, the longest first as they come; the figures beside them say the same.
import type { ReactNode } from 'react'

export interface Bar {
  readonly id: string
  readonly title: ReactNode
  readonly value: number
  readonly shown: ReactNode
  /** What a full bar stands for; the largest value where it is absent. */
  readonly of?: number
  readonly state?: 'ok' | 'warning' | 'exhausted'
}

export function Bars({ name, bars }: { readonly name: string; readonly bars: readonly Bar[] }) {
  const most = Math.max(...bars.map(({ value }) => value), 0)
  return (
    <ul className="bars" aria-label={name}>
      {bars.map(({ id, title, value, shown, of = most, state = 'ok' }) => (
        <li key={id}>
          <span className="row between">
            <span>{title}</span>
            <span className="number">{shown}</span>
          </span>
          <span className={`bar ${state}`} aria-hidden="true">
            <span style={{ width: `${of > 0 ? Math.min(100, (value / of) * 100) : 0}%` }} />
          </span>
        </li>
      ))}
    </ul>
  )
}
