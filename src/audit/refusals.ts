// Refusals, summed up: the first of a caller is written at once, those like it within a minute as one event.
import type { Clock } from '../base/clock.ts'
import type { AuditFacts } from './event.ts'
import type { AuditLog } from './log.ts'

export interface RefusalOptions {
  readonly log: Pick<AuditLog, 'note'>
  readonly clock: Clock
  /** Callers, actions and codes that are counted apart; what is beyond them is counted by action and code alone. */
  readonly maxSums?: number
  /** Default: a minute. */
  readonly windowMs?: number
}

/** What is noted of a refusal. */
type Refusal = Omit<AuditFacts, 'count' | 'sinceMs'>

interface Sum {
  refusal: Refusal
  count: number
  readonly sinceMs: number
}

/** So a flood of bad credentials, from however many addresses, costs the store a few hundred rows a minute at most. */
export class Refusals {
  readonly #options: RefusalOptions
  #sums = new Map<string, Sum>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: RefusalOptions) {
    this.#options = options
  }

  /** Notes a refusal; never waits and never fails. */
  add(refusal: Refusal): void {
    const { log, clock, maxSums = 200 } = this.#options
    let key = keyOf(refusal)
    let noted = refusal
    if (!this.#sums.has(key) && this.#sums.size >= maxSums) {
      key = JSON.stringify([refusal.action, refusal.code])
      noted = withoutCaller(refusal)
    }
    const sum = this.#sums.get(key)
    if (sum) {
      sum.count++
      sum.refusal = noted
      return
    }
    log.note(noted)
    this.#sums.set(key, { refusal: noted, count: 0, sinceMs: clock.now() })
    this.#timer ??= setTimeout(() => this.flush(), this.#options.windowMs ?? 60_000).unref()
  }

  /** Writes what was counted, and begins anew. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const sums = [...this.#sums.values()]
    this.#sums = new Map()
    for (const { refusal, count, sinceMs } of sums)
      if (count > 0) this.#options.log.note({ ...shared(refusal), count, sinceMs })
  }
}

/** By credential where there is a valid one, else by address. What failed may have been done, so each thing counts apart. */
function keyOf({ action, code, actor, ip, outcome, resource }: Refusal): string {
  const { keyId, grantId, userId } = actor
  const caller = keyId ?? grantId ?? userId ?? ''
  return JSON.stringify([
    action,
    code,
    caller,
    userId === undefined ? ip : '',
    outcome === 'failed' && resource,
  ])
}

/** What one of many was about, and its request, says nothing of the others. */
function shared({ requestId: _request, resource, fields: _fields, ...rest }: Refusal): Refusal {
  return rest.outcome === 'failed' && resource ? { ...rest, resource } : rest
}

function withoutCaller({ action, code, status, outcome }: Refusal): Refusal {
  const members = { ...(code !== undefined && { code }), ...(status !== undefined && { status }) }
  return { action, actor: {}, outcome, ...members, note: 'Of callers beyond those that are counted apart.' }
}
