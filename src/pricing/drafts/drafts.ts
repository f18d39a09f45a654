// Drafts of rules: prepared beside the published ones, checked, and published one by one or together.
import type { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { newId } from '../../base/id.ts'
import { causedBy } from '../lint/caused.ts'
import { lintInTurns } from '../lint/lint.ts'
import type { RuleVersion } from '../price.ts'
import { readInput, ruleInput, type draftInput, type draftPatch, type RuleInput } from '../rule-input.ts'
import type { RuleBook } from '../rules.ts'
import { withDrafts } from './preview.ts'
import type { DraftStore, RuleDraft } from './store.ts'

export interface DraftsParts {
  readonly store: DraftStore
  readonly rules: RuleBook
  readonly clock: Clock
}

/** `all`, or the drafts with these ids. */
export type DraftChoice = 'all' | readonly string[]

/** Who publishes, and whether in spite of what the linter finds. */
export interface Publishing {
  readonly by?: string
  readonly force?: boolean
}

export const maxDrafts = 1000

export class Drafts {
  readonly #store: DraftStore
  readonly #rules: RuleBook
  readonly #clock: Clock
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ store, rules, clock }: DraftsParts) {
    this.#store = store
    this.#rules = rules
    this.#clock = clock
  }

  /**
   * A draft of a new rule, or with `ruleId` of that rule's next version: then what is not named is as in its latest
   * one. Throws `validation_failed`, `not_found`, `unprocessable` where there are too many.
   */
  create({ ruleId, ...change }: z.output<typeof draftInput>, createdBy?: string): Promise<RuleDraft> {
    return this.#inTurn(async () => {
      const latest = ruleId === undefined ? undefined : this.#rules.getRule(ruleId)
      const rule = wholeRule(latest && inputOf(latest), change)
      await this.#rules.checkBook(rule.book)
      const nowMs = this.#clock.now()
      const draft: RuleDraft = {
        id: newId('drf', nowMs),
        ruleId: latest?.ruleId ?? newId('rul', nowMs),
        ...(latest && { basedOn: latest.version }),
        rule,
        createdAtMs: nowMs,
        ...(createdBy !== undefined && { createdBy }),
        updatedAtMs: nowMs,
      }
      if ((await this.#store.list({ limit: maxDrafts })).length >= maxDrafts) throw tooMany()
      await this.#store.insert(draft)
      return draft
    })
  }

  list(page: { limit: number; after?: string | undefined }): Promise<RuleDraft[]> {
    return this.#store.list(page)
  }

  /** Throws `not_found`. */
  async get(id: string): Promise<RuleDraft> {
    const found = await this.#store.find(id)
    if (!found) throw new GatewayError('not_found')
    return found
  }

  /** The chosen drafts, each once. Throws `not_found` where one is not there. */
  async choose(choice: DraftChoice): Promise<RuleDraft[]> {
    if (choice === 'all') return this.#store.list({ limit: maxDrafts })
    return Promise.all([...new Set(choice)].map((id) => this.get(id)))
  }

  /** Throws `not_found`, `validation_failed`. */
  change(id: string, patch: z.output<typeof draftPatch>, updatedBy?: string): Promise<RuleDraft> {
    return this.#inTurn(async () => {
      const { basedOn, ...change } = patch
      const old = await this.get(id)
      const rule = wholeRule(old.rule, change)
      if (rule.book !== old.rule.book) await this.#rules.checkBook(rule.book)
      const rebased = basedOn === undefined ? undefined : this.#rebase(old, basedOn)
      const draft: RuleDraft = {
        ...old,
        ...(rebased !== undefined && { basedOn: rebased }),
        rule,
        updatedAtMs: this.#clock.now(),
        ...(updatedBy !== undefined && { updatedBy }),
      }
      await this.#store.replace(draft)
      return draft
    })
  }

  /** Throws `not_found`. */
  remove(id: string): Promise<void> {
    return this.#inTurn(() => this.#store.remove(id))
  }

  /**
   * Makes versions of drafts, all at one moment or none, and removes the drafts. Throws `not_found`; `conflict` where a
   * rule has changed since its draft was made; `unprocessable` with the linter's `findings` where publishing would bring
   * errors that are not there without it, unless it is forced.
   */
  publish(ids: readonly string[], { by, force = false }: Publishing): Promise<RuleVersion[]> {
    return this.#inTurn(async () => {
      const drafts = await this.choose(ids)
      const twice = drafts.find((draft, at) => drafts.findIndex(({ ruleId }) => ruleId === draft.ruleId) < at)
      if (twice) {
        const detail = `Two of these drafts are of the rule "${twice.rule.name}"; publish one after the other.`
        throw new GatewayError('conflict', { detail })
      }
      if (!force) await this.#refuseErrors(drafts)
      const plans = drafts.map(({ ruleId, basedOn, rule }) => ({
        ruleId,
        input: rule,
        ...(basedOn !== undefined && { basedOn }),
      }))
      const removal = this.#store.removal(drafts.map(({ id }) => id))
      return this.#rules.publish(plans, removal, by)
    })
  }

  async #refuseErrors(drafts: readonly RuleDraft[]): Promise<void> {
    const nowMs = this.#clock.now()
    const published = this.#rules.histories()
    const about = new Set(drafts.map(({ ruleId }) => ruleId))
    const before = await lintInTurns({ histories: published, nowMs, about })
    const after = await lintInTurns({ histories: withDrafts(published, drafts, { nowMs }), nowMs, about })
    const findings = causedBy(after.findings, before.findings).filter(({ severity }) => severity === 'error')
    const [first] = findings
    if (!first) return
    const more = findings.length > 1 ? ` There are ${findings.length - 1} more findings of this kind.` : ''
    const detail = `${first.sentence}${more} Nothing was published; change the draft, or send {"force": true}.`
    throw new GatewayError('unprocessable', { detail, data: { findings } })
  }

  #rebase(draft: RuleDraft, basedOn: number): number {
    const latest = draft.basedOn === undefined ? undefined : this.#rules.getRule(draft.ruleId).version
    if (basedOn === latest) return basedOn
    const message =
      latest === undefined
        ? 'is for drafts of a rule that is there; this one is new'
        : `must be ${latest}, the latest version of the rule`
    throw new GatewayError('validation_failed', { fields: [{ field: '/basedOn', message }] })
  }

  /** Changes of one node run one after another, so that what is published is what was checked. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }
}

const tooMany = (): GatewayError =>
  new GatewayError('unprocessable', {
    detail: `There are ${maxDrafts} drafts, the most; publish or delete some.`,
  })

/** What a published version would be as an input; its start is its own and is not taken over. */
function inputOf(version: RuleVersion): RuleInput {
  const { name, priority, active, currency, book, match, price, billOn, effectiveToMs } = version
  return {
    name,
    priority,
    active,
    currency,
    match,
    price,
    billOn: [...billOn],
    ...(book !== undefined && { book }),
    ...(effectiveToMs !== undefined && { effectiveTo: new Date(effectiveToMs).toISOString() }),
  }
}

/** Members of a change replace the old ones; null takes one away. Throws `validation_failed` where something lacks. */
function wholeRule(old: RuleInput | undefined, change: object): RuleInput {
  const members = Object.entries({ ...old, ...change }).filter(
    ([, value]) => value !== null && value !== undefined,
  )
  const rule = readInput(ruleInput, Object.fromEntries(members))
  const { effectiveFrom, effectiveTo } = rule
  if (effectiveFrom === undefined || effectiveTo === undefined) return rule
  if (Date.parse(effectiveTo) > Date.parse(effectiveFrom)) return rule
  const message = 'must be after effectiveFrom; null takes the end away'
  throw new GatewayError('validation_failed', { fields: [{ field: '/effectiveTo', message }] })
}
