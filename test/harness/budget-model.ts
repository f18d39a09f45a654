// Budgets in the plainest words: what they must come to, added up each time from their calls.
import { localDate } from '../../src/base/zone.ts'
import type { Budget, Spender } from '../../src/ledger/budgets/budget.ts'

const day = 86_400_000

export interface ModelCall {
  readonly spender: Spender
  readonly atMs: number
  held: bigint
  spent: bigint
  live: boolean
}

/** A call's part in a budget. */
export interface Part {
  readonly call: ModelCall
  readonly subject: string
}

/** A budget in the plainest words: it knows its calls and adds them up each time. */
export class ModelBudget {
  budget: Budget
  readonly parts: Part[] = []
  removed = false

  constructor(budget: Budget) {
    this.budget = budget
  }

  /** Calendar windows by local dates, rolling ones by the numbers of slices. */
  windowOf(atMs: number): string {
    const { window, timeZone } = this.budget
    if (window === 'lifetime') return ''
    const date = localDate(atMs, timeZone)
    if (window === 'day') return date
    if (window === 'month') return date.slice(0, 7)
    const noon = Date.parse(`${date}T12:00:00Z`)
    return new Date(noon - ((new Date(noon).getUTCDay() + 6) % 7) * day).toISOString().slice(0, 10)
  }

  slice(atMs: number): number {
    const { window } = this.budget
    return typeof window === 'object' ? Math.floor(atMs / Math.ceil((window.rollingSeconds * 1000) / 60)) : 0
  }

  /** Sums of the calls of the window that ends at this moment. */
  sums(subject: string, atMs: number): { spent: bigint; held: bigint } {
    const isRolling = typeof this.budget.window === 'object'
    const last = this.slice(atMs)
    const sums = { spent: 0n, held: 0n }
    for (const { call, subject: whose } of this.parts) {
      const slice = this.slice(call.atMs)
      const inside = isRolling
        ? slice <= last && slice >= last - 60
        : this.windowOf(call.atMs) === this.windowOf(atMs)
      if (!inside || whose !== subject) continue
      sums.spent += call.spent
      sums.held += call.held
    }
    return sums
  }

  /** The most that any window with this moment in it has. */
  used(subject: string, atMs: number): bigint {
    const { window } = this.budget
    const sliceMs = typeof window === 'object' ? Math.ceil((window.rollingSeconds * 1000) / 60) : 0
    let most: bigint | undefined
    for (let end = 0; end <= (sliceMs > 0 ? 60 : 0); end++) {
      const { spent, held } = this.sums(subject, atMs + end * sliceMs)
      if (most === undefined || spent + held > most) most = spent + held
    }
    return most ?? 0n
  }

  limit(nowMs: number): bigint {
    return this.budget.increases
      .filter(({ untilMs }) => untilMs > nowMs)
      .reduce((sum, { amount }) => sum + amount, this.budget.amount)
  }

  /** As whom a caller counts; undefined where it does not. */
  subjectOf(spender: Spender, parentOf: (id: string) => string | undefined): string | undefined {
    const { kind, subject } = this.budget.scope
    if (kind === 'account') {
      for (let at: string | undefined = spender.accountId; at !== undefined; at = parentOf(at))
        if (at === subject) return ''
      return undefined
    }
    const own = {
      user: spender.userId,
      key: spender.keyId,
      session: spender.sessionId,
      server: spender.serverId,
    }
    const id = own[kind]
    if (id === undefined) return undefined
    return subject === '*' ? id : id === subject ? '' : undefined
  }

  get subjects(): string[] {
    return [...new Set(this.parts.map(({ subject }) => subject))]
  }
}
