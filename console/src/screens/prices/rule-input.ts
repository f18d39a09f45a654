// What is typed into the form of a price, and the rule that it says. What is wrong with it the gateway tells.
import type { Operations, Schemas } from '../../api/types.ts'

export const components = [
  ['perCall', 'Price of a call'],
  ['perKb', 'Price of a KB'],
  ['perSecond', 'Price of a second'],
  ['perToken', 'Price of a token'],
  ['minimum', 'At least'],
  ['maximum', 'At most'],
] as const
export type Component = (typeof components)[number][0]

type RuleBody = Operations['POST /billing/rules']['body']
type Tiers = NonNullable<RuleBody['price']['tiers']>

export const modes = ['graduated', 'volume'] as const
export const units = ['call', 'kb', 'second', 'token'] as const
export const subjects = ['account', 'key', 'session'] as const

export interface TypedStep {
  readonly upTo: string
  readonly unitPrice: string
}

export interface TypedRule {
  readonly name: string
  readonly server: string
  readonly tool: string
  readonly priority: string
  readonly currency: string
  readonly book: string
  readonly rates: Readonly<Partial<Record<Component, string>>>
  readonly mode: Tiers['mode']
  readonly unit: Tiers['unit']
  readonly per: NonNullable<Tiers['per']>
  /** None: there are no tiers. */
  readonly steps: readonly TypedStep[]
}

export const emptyRule = (currency: string): TypedRule => ({
  name: '',
  server: '',
  tool: '',
  priority: '0',
  currency,
  book: '',
  rates: {},
  mode: 'graduated',
  unit: 'call',
  per: 'account',
  steps: [],
})

/** A rule as the form shows it; what the form has no fields for stays as it is in `priceOf`. */
export function typedOf({ name, match, priority, currency, book, price }: Schemas['Rule']): TypedRule {
  const { mode = 'graduated', unit = 'call', per = 'account', steps = [] } = price.tiers ?? {}
  const rates = Object.fromEntries(components.map(([member]) => [member, price[member] ?? '']))
  return {
    ...emptyRule(currency),
    name,
    server: match.server ?? '',
    tool: match.tool ?? '',
    priority: String(priority),
    book: book ?? '',
    rates,
    mode,
    unit,
    per,
    steps: steps.map(({ upTo, unitPrice }) => ({ upTo: upTo ?? '', unitPrice })),
  }
}

export function priceOf(typed: TypedRule, old: Schemas['Rule']['price'] = {}): RuleBody['price'] {
  const { tiers: _, ...others } = old
  const rates = components.map(([member]) => [member, typed.rates[member] ?? ''] as const)
  const untouched = Object.entries(others).filter(([name]) => !components.some(([member]) => member === name))
  const { mode, unit, per, steps } = typed
  const tiers: Tiers = {
    mode,
    unit,
    per,
    steps: steps.map(({ upTo, unitPrice }) => ({ upTo: upTo === '' ? null : upTo, unitPrice })),
  }
  return {
    ...Object.fromEntries(untouched),
    ...Object.fromEntries(rates.filter(([, amount]) => amount !== '')),
    ...(steps.length > 0 && { tiers }),
  }
}

export const bodyOf = (typed: TypedRule): RuleBody => ({
  name: typed.name,
  currency: typed.currency,
  priority: Number(typed.priority),
  match: {
    method: 'tools/call',
    ...(typed.server !== '' && { server: typed.server }),
    ...(typed.tool !== '' && { tool: typed.tool }),
  },
  ...(typed.book !== '' && { book: typed.book }),
  price: priceOf(typed),
})
