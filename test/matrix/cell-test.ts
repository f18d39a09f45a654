// A cell's test: it holds, or it is pending and fails.
import { expect } from 'vitest'
import type { Verdict } from './conversation-run.ts'
import { findPending } from './pending.ts'

/** Fails the running test unless the cell's verdict is what the committed table says. */
export function expectCell(cell: string, verdict: Verdict | undefined): void {
  const pending = findPending(cell)
  if (!verdict) throw new Error('was not tried')
  if (pending)
    expect(verdict.held, `${pending.reason}: no longer; take the cell out of pending.ts`).toBe(false)
  else if (!verdict.held) throw verdict.error
}
