// All access rules of this node: one function that listing and calling both ask.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { compileGlob, type Glob } from '../../base/glob.ts'
import { newId } from '../../base/id.ts'
import type { AccessRule, Caller, Thing } from './access-rule.ts'
import type { AccessRuleInput } from './access-rule-input.ts'
import { compileArguments, unchecked } from './argument-check.ts'
import type { NamedStore } from '../named-store.ts'

export interface AccessRulesOptions {
  readonly store: NamedStore<AccessRule>
  readonly clock: Clock
  /** Default 1000. */
  readonly maxRules?: number
}

/** Decisions for one caller. */
const maxRemembered = 1000

/** Why a rule is not for a caller and a thing. */
export type Mismatch = 'active' | 'time' | 'server' | 'kind' | 'item' | 'who' | 'arguments'

/** How a decision came about: the rules in their order, up to the one that decided. */
export interface Explanation {
  readonly allowed: boolean
  /** Absent where no rule matched: then everything is allowed. */
  readonly decidedBy?: AccessRule
  readonly tested: readonly { readonly rule: AccessRule; readonly mismatch?: Mismatch }[]
}

interface Compiled {
  readonly rule: AccessRule
  readonly server: Glob
  readonly item: Glob
  readonly users: ReadonlySet<string> | undefined
  readonly keys: ReadonlySet<string> | undefined
  readonly groups: ReadonlySet<string> | undefined
  /** What is wrong with arguments. */
  readonly misfitOf: ((given: unknown) => string | undefined) | undefined
}

/** Why a call with these arguments is denied, though others would be allowed. */
export interface Misfit {
  /** Name of the rule. */
  readonly rule: string
  readonly problem: string
}

/** Who asks for what, with which arguments; none in a list. */
interface Question {
  readonly caller: Caller
  readonly thing: Thing
  readonly given?: unknown
}

/**
 * The first rule that matches decides; where none does, it is allowed. Whether a caller may use the server at all is
 * decided before, by `mayUse`.
 */
export class AccessRules {
  readonly #options: AccessRulesOptions
  readonly #rules = new Map<string, Compiled>()
  /** In the order in which they decide. */
  #ordered: readonly Compiled[] = []
  /** The active ones by name of server, made when they are first asked for. */
  readonly #ofServer = new Map<string, readonly Compiled[]>()
  /** What was decided, by caller and thing; callers are the same object from call to call. */
  #decided = new WeakMap<Caller, Map<string, boolean>>()
  /** Some rule begins or ends by itself, so that decisions do not last. */
  #isTimed = false
  readonly #listeners = new Set<() => void>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: AccessRulesOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    for (const rule of await this.#options.store.list()) this.#rules.set(rule.id, compiledOf(rule))
    this.#order()
  }

  /** Whether any rule is for this server: where none is, nobody need ask further. */
  restricts(server: string): boolean {
    return this.#ordered.length > 0 && this.#for(server).length > 0
  }

  isPermitted(caller: Caller, thing: Thing): boolean {
    if (this.#ordered.length === 0) return true
    if (this.#isTimed) return this.#decide(caller, thing)
    const own = this.#decided.get(caller) ?? new Map<string, boolean>()
    const key = `${thing.server} ${thing.kind} ${thing.item}`
    const known = own.get(key)
    if (known !== undefined) return known
    const decision = this.#decide(caller, thing)
    if (own.size >= maxRemembered) own.clear()
    this.#decided.set(caller, own.set(key, decision))
    return decision
  }

  #decide(caller: Caller, thing: Thing): boolean {
    return this.#findFirst({ caller, thing })?.rule.effect !== 'deny'
  }

  #findFirst(question: Question): Compiled | undefined {
    const nowMs = this.#options.clock.now()
    return this.#for(question.thing.server).find(
      (compiled) => mismatchOf(compiled, question, nowMs) === undefined,
    )
  }

  /** Why a call of what is permitted is denied for its arguments. */
  findMisfit(caller: Caller, thing: Thing, given: unknown): Misfit | undefined {
    if (this.#ordered.length === 0) return undefined
    const rules = this.#for(thing.server)
    if (!rules.some(({ misfitOf }) => misfitOf !== undefined)) return undefined
    const denying = this.#findFirst({ caller, thing, given })
    if (denying?.rule.effect !== 'deny') return undefined
    const nowMs = this.#options.clock.now()
    for (const compiled of rules) {
      if (compiled.rule.effect === 'deny' || mismatchOf(compiled, { caller, thing }, nowMs) !== undefined)
        continue
      return { rule: compiled.rule.name, problem: compiled.misfitOf?.(given) ?? 'they do not fit' }
    }
    return { rule: denying.rule.name, problem: 'such arguments are denied' }
  }

  /** `given` are a call's arguments; undefined asks whether it is listed. */
  explain(caller: Caller, thing: Thing, given?: unknown): Explanation {
    const nowMs = this.#options.clock.now()
    const tested: { rule: AccessRule; mismatch?: Mismatch }[] = []
    for (const compiled of this.#ordered) {
      const { rule } = compiled
      const mismatch = mismatchOf(compiled, { caller, thing, given }, nowMs)
      tested.push(mismatch === undefined ? { rule } : { rule, mismatch })
      if (mismatch === undefined) return { allowed: rule.effect === 'allow', decidedBy: rule, tested }
    }
    return { allowed: true, tested }
  }

  /** In the order in which they decide. */
  list(): AccessRule[] {
    return this.#ordered.map(({ rule }) => rule)
  }

  /** By id or name; throws `not_found`. */
  get(idOrName: string): AccessRule {
    const rule = this.#rules.get(idOrName)?.rule ?? this.list().find(({ name }) => name === idOrName)
    if (!rule) throw new GatewayError('not_found', { detail: 'There is no such access rule.' })
    return rule
  }

  /** Rejects with `conflict` where the name is taken. */
  create(input: AccessRuleInput): Promise<AccessRule> {
    return this.#inTurn(async () => {
      const { store, clock, maxRules = 1000 } = this.#options
      if (this.#rules.size >= maxRules)
        throw new GatewayError('unprocessable', {
          detail: `There may be ${maxRules} access rules; remove some.`,
        })
      const now = clock.now()
      const rule = { ...toRule(input), id: newId('acr', now), createdAtMs: now, updatedAtMs: now }
      await store.insert(rule)
      return this.#keep(rule)
    })
  }

  /** Rejects as `create`, and with `not_found`. */
  replace(id: string, input: AccessRuleInput): Promise<AccessRule> {
    return this.#inTurn(async () => {
      const { createdAtMs } = this.get(id)
      const rule = { ...toRule(input), id, createdAtMs, updatedAtMs: this.#options.clock.now() }
      await this.#options.store.update(rule)
      return this.#keep(rule)
    })
  }

  remove(id: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.store.remove(this.get(id).id)
      this.#rules.delete(id)
      this.#order()
    })
  }

  /** Calls back when what callers may use may have changed; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #keep(rule: AccessRule): AccessRule {
    this.#rules.set(rule.id, compiledOf(rule))
    this.#order()
    return rule
  }

  #order(): void {
    this.#ordered = [...this.#rules.values()].sort(
      ({ rule: a }, { rule: b }) => a.priority - b.priority || (a.id < b.id ? -1 : 1),
    )
    this.#ofServer.clear()
    this.#decided = new WeakMap()
    this.#isTimed = this.list().some(({ fromMs, untilMs }) => fromMs !== undefined || untilMs !== undefined)
    for (const listener of this.#listeners) listener()
  }

  #for(server: string): readonly Compiled[] {
    const known = this.#ofServer.get(server)
    if (known) return known
    const own = this.#ordered.filter(({ rule, server: glob }) => rule.active && glob.matches(server))
    // Names are those of registered servers, so there are not more than may be registered, but for those that went.
    if (this.#ofServer.size > 20_000) this.#ofServer.clear()
    this.#ofServer.set(server, own)
    return own
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

const compiledOf = (rule: AccessRule): Compiled => ({
  rule,
  server: compileGlob(rule.server),
  item: compileGlob(rule.item),
  users: rule.who?.users && new Set(rule.who.users),
  keys: rule.who?.keys && new Set(rule.who.keys),
  groups: rule.who?.groups && new Set(rule.who.groups),
  misfitOf: rule.arguments && compileArguments(rule.arguments),
})

function mismatchOf(
  compiled: Compiled,
  { caller, thing, given }: Question,
  nowMs: number,
): Mismatch | undefined {
  const { rule, server, item } = compiled
  if (!rule.active) return 'active'
  if (nowMs < (rule.fromMs ?? -Infinity) || nowMs >= (rule.untilMs ?? Infinity)) return 'time'
  if (!server.matches(thing.server)) return 'server'
  if (rule.kind !== undefined && rule.kind !== thing.kind) return 'kind'
  if (!item.matches(thing.item)) return 'item'
  if (!isFor(compiled, caller)) return 'who'
  return isWith(compiled, given) ? undefined : 'arguments'
}

function isFor({ rule: { who }, users, keys, groups }: Compiled, caller: Caller): boolean {
  if (!who) return true
  return (
    users?.has(caller.userId) === true ||
    (caller.keyId !== undefined && keys?.has(caller.keyId) === true) ||
    who.roles?.some((role) => caller.roles.includes(role)) === true ||
    caller.groups?.some((group) => groups?.has(group) === true) === true
  )
}

/** What cannot be checked is denied rather than allowed. */
function isWith({ rule: { effect }, misfitOf }: Compiled, given: unknown): boolean {
  if (!misfitOf) return true
  if (given === undefined) return effect === 'allow'
  const problem = misfitOf(given)
  return problem === undefined || (problem === unchecked && effect === 'deny')
}

function toRule({
  from,
  until,
  ...rest
}: AccessRuleInput): Omit<AccessRule, 'id' | 'createdAtMs' | 'updatedAtMs'> {
  return {
    ...rest,
    ...(from !== undefined && { fromMs: from }),
    ...(until !== undefined && { untilMs: until }),
  }
}
