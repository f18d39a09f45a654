// What the commands of rules and drafts share: the options that make a rule, and how one is named.
import { readFileSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { isObject } from '../../base/is-object.ts'
import type { ApiClient } from '../client.ts'
import { readExactYaml } from '../exact-yaml.ts'
import { CliError, type Io } from '../io.ts'
import { clientOf, compact, segment } from '../show.ts'

const matchNames = ['server', 'tool', 'method', 'user', 'account', 'transport'] as const
const priceNames = ['perCall', 'perKb', 'perSecond', 'perToken', 'flat', 'minimum', 'maximum'] as const

export type RuleOptions = Partial<
  Record<(typeof matchNames)[number] | (typeof priceNames)[number], string>
> & {
  readonly name?: string
  /** Any price, as YAML. */
  readonly price?: string
  readonly priority?: string
  readonly currency?: string
  readonly billOn?: string
  /** False takes the rule out of its book. */
  readonly book?: string | false
  readonly active?: boolean
  readonly effectiveFrom?: string
  readonly effectiveTo?: string
}

export interface ShownRule {
  readonly id: string
  readonly name: string
  readonly version: number
  readonly priority: number
  readonly active: boolean
  readonly currency: string
  readonly book?: string
  readonly match: Readonly<Record<string, string>>
  readonly price: Readonly<Record<string, unknown>>
}

const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

export function withPrice(command: Command): Command {
  for (const name of priceNames)
    command.addOption(new Option(`--${dashed(name)} <amount>`, 'a decimal amount'))
  return command.option(
    '--price <yaml>',
    'any price, with tiers, packages or shares, as YAML or JSON; @file reads one',
  )
}

function withMatch(command: Command): Command {
  for (const name of matchNames) command.addOption(new Option(`--${name} <glob>`, `which ${name}`))
  return command
}

export const withRule = (command: Command): Command =>
  withPrice(withMatch(command))
    .option('--priority <number>', 'higher wins')
    .option('--currency <code>', "ISO 4217; a new rule takes your account's where it is absent")
    .option('--book <name>', 'the price book that it is in')
    .option('--bill-on <outcomes>', 'which outcomes are charged, comma separated')
    .option('--active', 'switch it on')
    .option('--no-active', 'switch it off')
    .option('--effective-from <time>', 'ISO 8601')
    .option('--effective-to <time>', 'ISO 8601')

const pick = (
  names: readonly (keyof RuleOptions)[],
  options: RuleOptions,
): Record<string, unknown> | undefined => {
  const members = compact(Object.fromEntries(names.map((name) => [name, options[name]])))
  return Object.keys(members).length > 0 ? members : undefined
}

/** The price of `--price` with the single amounts over it; undefined where nothing is said of it. */
export function priceOf(options: RuleOptions): Record<string, unknown> | undefined {
  const amounts = pick(priceNames, options)
  if (options.price === undefined) return amounts
  const text = options.price.startsWith('@') ? readText(options.price.slice(1)) : options.price
  const { value, faults } = readExactYaml(text)
  if (!isObject(value))
    throw new CliError(`--price: ${faults[0] ?? 'must have members such as tiers or perCall'}`, 2)
  return { ...value, ...amounts }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new CliError(`--price: ${path} cannot be read.`, 2)
  }
}

export function bodyOf(options: RuleOptions): Record<string, unknown> {
  const priority = options.priority === undefined ? undefined : Number(options.priority)
  if (priority !== undefined && !Number.isSafeInteger(priority)) {
    throw new CliError('--priority takes a whole number.', 2)
  }
  return compact({
    name: options.name,
    priority,
    active: options.active,
    currency: options.currency,
    match: pick(matchNames, options),
    price: priceOf(options),
    book: options.book === false ? null : options.book,
    billOn: options.billOn?.split(',').map((outcome) => outcome.trim()),
    effectiveFrom: options.effectiveFrom,
    effectiveTo: options.effectiveTo,
  })
}

/** The currency of the account that the caller pays from; a rule prices calls of its own currency only. */
export async function ownCurrency(client: ApiClient): Promise<string> {
  const { accountId } = await client.get<{ accountId: string }>('/me')
  const account = await client.get<{ currency: string }>(`/billing/accounts/${segment(accountId)}`)
  return account.currency
}

export async function idOf(io: Io, command: Command, name: string): Promise<string> {
  if (name.startsWith('rul_')) return name
  const found = (await clientOf(io, command).list<ShownRule>('/billing/rules')).filter(
    (rule) => rule.name === name,
  )
  const [only] = found
  if (!only) throw new CliError(`There is no rule "${name}"; \`tollbridge rule ls\` lists them.`)
  if (found.length > 1) throw new CliError(`${found.length} rules are called "${name}"; name one by its id.`)
  return only.id
}
