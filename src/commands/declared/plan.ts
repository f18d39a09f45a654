// What has to change so that the gateway has what a file declares. Pure.
import { isDeepStrictEqual } from 'node:util'
import { isObject } from '../../base/is-object.ts'
import type { Item, Kind } from './kind.ts'

export interface Difference {
  /** Path of the member, such as `price.perCall`. */
  readonly member: string
  readonly from: unknown
  readonly to: unknown
}

export type Step =
  | { readonly act: 'make'; readonly kind: Kind; readonly name: string; readonly body: Item }
  | {
      readonly act: 'change'
      readonly kind: Kind
      readonly name: string
      readonly id: string
      readonly body: Item
      readonly differences: readonly Difference[]
    }
  | { readonly act: 'remove'; readonly kind: Kind; readonly name: string; readonly id: string }

export interface Plan {
  readonly steps: readonly Step[]
  /** Things of the gateway that the file does not name, `kind name`; with `prune` they are removed. */
  readonly unnamed: readonly string[]
}

/** Why a file cannot be applied to what is there, as sentences. */
export class PlanFaults extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join(' '))
    this.faults = faults
  }
}

interface Given {
  readonly kind: Kind
  /** Undefined where the file says nothing of this kind: then it is left alone. */
  readonly declared: readonly Item[] | undefined
  readonly present: readonly Item[]
}

/** The members that a kind declares, with the gateway's defaults in place of what is absent. */
export const normalised = (kind: Kind, item: Item): Item =>
  Object.fromEntries(
    Object.entries(kind.members)
      .map(([member, usual]) => [member, spelled(kind, member, item[member] ?? usual)] as const)
      .filter(([, value]) => value !== undefined),
  )

function spelled({ spellings }: Kind, member: string, value: unknown): unknown {
  const spell = spellings?.[member]
  return spell && value !== undefined ? spell(value) : value
}

/** Throws `PlanFaults` where names are not unique or a fixed member differs. */
export function planOf(given: readonly Given[], { prune = false } = {}): Plan {
  const faults: string[] = []
  const makes: Step[] = []
  const removes: Step[] = []
  const unnamed: string[] = []
  for (const { kind, declared, present } of given) {
    if (!declared) continue
    const known = byName(kind, present)
    const wanted = byName(kind, declared)
    for (const [name, items] of wanted) {
      const there = known.get(name) ?? []
      const [item] = items
      if (items.length > 1) faults.push(`${kind.name} "${name}" is declared ${items.length} times.`)
      else if (there.length > 1)
        faults.push(
          `The gateway has ${there.length} ${kind.name} called "${name}"; give them different names.`,
        )
      else if (item) makes.push(...stepsFor(kind, { name, item, there: there[0] }, faults))
    }
    for (const [name, items] of known) {
      if (wanted.has(name) || kind.lasting) continue
      unnamed.push(`${kind.name} ${name}`)
      if (prune) for (const item of items) removes.push({ act: 'remove', kind, name, id: kind.idOf(item) })
    }
  }
  if (faults.length > 0) throw new PlanFaults(faults)
  return { steps: [...makes, ...removes.toReversed()], unnamed }
}

function stepsFor(
  kind: Kind,
  { name, item, there }: { name: string; item: Item; there: Item | undefined },
  faults: string[],
): Step[] {
  if (!there) {
    const why = kind.whyNotMade?.(item)
    if (why !== undefined) faults.push(`${kind.name} "${name}" ${why}`)
    return [{ act: 'make', kind, name, body: item }]
  }
  const [from, to] = [normalised(kind, there), normalised(kind, item)]
  const changed = Object.keys(kind.members)
    .filter((member) => item[member] !== undefined || !kind.left?.includes(member))
    .filter((member) => !isDeepStrictEqual(from[member], to[member]))
  for (const member of changed)
    if (kind.fixed?.includes(member))
      faults.push(`${member} of ${kind.name} "${name}" cannot be changed; declare it under another name.`)
  if (changed.length === 0) return []
  const bodyOf = (member: string): unknown =>
    kind.merged?.includes(member) ? withGone(from[member], to[member]) : (to[member] ?? null)
  const body = Object.fromEntries(changed.map((member) => [member, bodyOf(member)]))
  const differences = changed.flatMap((member) => differencesOf(member, from[member], to[member]))
  return [{ act: 'change', kind, name, id: kind.idOf(there), body, differences }]
}

/** A merge patch (RFC 7396): what is no longer there is null. */
function withGone(from: unknown, to: unknown): unknown {
  if (!isObject(from) || !isObject(to)) return to ?? null
  const gone = Object.keys(from).filter((name) => to[name] === undefined)
  return { ...to, ...Object.fromEntries(gone.map((name) => [name, null])) }
}

function byName(kind: Kind, items: readonly Item[]): Map<string, Item[]> {
  return Map.groupBy(items, kind.nameOf)
}

function differencesOf(member: string, from: unknown, to: unknown): Difference[] {
  if (isDeepStrictEqual(from, to)) return []
  if (!isObject(from) || !isObject(to)) return [{ member, from, to }]
  return [...new Set([...Object.keys(from), ...Object.keys(to)])].flatMap((name) =>
    differencesOf(`${member}.${name}`, from[name], to[name]),
  )
}
