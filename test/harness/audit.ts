// An audit log for tests of other things: it takes everything and keeps it in memory.
import type { AuditFacts } from '../../src/audit/event.ts'
import type { ApiAudit } from '../../src/http/api/audited.ts'

export interface MemoryAudit extends ApiAudit {
  /** What was done, and what was refused, each in its order. */
  readonly done: AuditFacts[]
  readonly refused: AuditFacts[]
}

export function memoryAudit(): MemoryAudit {
  const done: AuditFacts[] = []
  const refused: AuditFacts[] = []
  const log = {
    append: (facts: AuditFacts) => Promise.resolve(void done.push(facts)),
    ensureWritable: () => Promise.resolve(),
    flush: () => Promise.resolve(),
  }
  return { done, refused, log, refusals: { add: (facts) => void refused.push(facts) } }
}
