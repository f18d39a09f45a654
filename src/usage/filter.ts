// Which records a query is about, by text; and the columns that hold those texts as integers.
import { partSeparator } from './batch.ts'
import type { DimensionKind } from './dimensions.ts'

/** All members that are there must fit. Times in milliseconds: `fromMs` ≤ arrival < `toMs`. */
export interface UsageFilter {
  readonly user?: string
  readonly account?: string
  readonly key?: string
  /** The server's name or its id. */
  readonly server?: string
  readonly tool?: string
  readonly method?: string
  readonly session?: string
  readonly outcome?: string
  readonly currency?: string
  /** Id of the rule that priced it. */
  readonly rule?: string
  readonly ruleVersion?: number
  /** Only what no rule matched. */
  readonly unpriced?: true
  /** Only what names no tool. */
  readonly toolless?: true
  readonly fromMs?: number
  readonly toMs?: number
  /** Where matching calls are known to lie; makes the search shorter and changes nothing else. Milliseconds as above. */
  readonly within?: { readonly fromMs: number; readonly toMs: number }
}

export type FilterName = Exclude<
  keyof UsageFilter,
  'fromMs' | 'toMs' | 'within' | 'ruleVersion' | 'unpriced' | 'toolless'
>

/** Columns that records and rollups share. */
export type RollupColumn =
  | 'account'
  | 'caller'
  | 'api_key'
  | 'server'
  | 'method'
  | 'tool'
  | 'outcome'
  | 'currency'
export type FilterColumn = RollupColumn | 'session' | 'rule' | 'rule_version'

/** Each filter's column, which is also the kind of its dimension. */
export const filterColumns = {
  user: 'caller',
  account: 'account',
  key: 'api_key',
  server: 'server',
  tool: 'tool',
  method: 'method',
  session: 'session',
  outcome: 'outcome',
  currency: 'currency',
  rule: 'rule',
} as const satisfies Record<FilterName, FilterColumn & DimensionKind>

export const filterNames = Object.keys(filterColumns) as FilterName[]

/** The integers that a record must have, by column; null where it must have none. */
export type Where = ReadonlyMap<FilterColumn, readonly bigint[] | null>

/** Columns of records that rollups do not have. */
const recordColumns: ReadonlySet<FilterColumn> = new Set(['session', 'rule', 'rule_version'])

export const isRollupColumn = (column: FilterColumn): column is RollupColumn => !recordColumns.has(column)

/** Whether only records can answer, since rollups do not tell what is asked for apart. */
export const needsRecords = (where: Where): boolean => [...where.keys()].some((name) => !isRollupColumn(name))

/** The parts of a server's text: its id and its name. */
export function serverParts(text: string): { serverId: string; server: string } {
  const [serverId = '', server = ''] = text.split(partSeparator)
  return { serverId, server }
}
