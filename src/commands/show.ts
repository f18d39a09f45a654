// What the client commands share: their context, their help, and data as a table or as JSON.
import type { Command } from 'commander'
import { ApiClient, type ClientOptions } from './client.ts'
import type { Io } from './io.ts'
import { formatFields, formatTable, type Column } from './table.ts'

/** Help text with examples; the program's name is added. */
export const examples = (...lines: string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ tollbridge ${line}`).join('\n')}`

/** The gateway that a command talks to. */
export const clientOf = (io: Io, command: Command): ApiClient =>
  new ApiClient(io, command.optsWithGlobals<ClientOptions>())

export const wantsJson = (command: Command): boolean => command.optsWithGlobals<ClientOptions>().json === true

/** Prints a list: JSON lines' worth as one array with `--json`, else a table; a sentence where there is nothing. */
export function showList<Row>(
  io: Io,
  command: Command,
  given: { rows: readonly Row[]; columns: readonly Column<Row>[]; none: string },
): void {
  if (wantsJson(command)) io.out(JSON.stringify(given.rows, undefined, 2))
  else if (given.rows.length === 0) io.talk(given.none)
  else io.out(formatTable(given.rows, given.columns))
}

/** Prints one thing. */
export function showThing(io: Io, command: Command, thing: unknown): void {
  if (wantsJson(command)) io.out(JSON.stringify(thing, undefined, 2))
  else io.out(formatFields(thing as Readonly<Record<string, unknown>>))
}

/** Adds to a repeated option's list. */
export const collect = (value: string, list: readonly string[] = []): string[] => [...list, value]

/** A path's segment out of what somebody typed. */
export const segment = (text: string): string => encodeURIComponent(text)

/** An object without the members that are undefined. */
export const compact = (members: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))

/** Members as words, such as `perCall=0.01 minimum=0.1`; what has members of its own is `{…}`. */
export const words = (members: Readonly<Record<string, unknown>>): string =>
  Object.entries(members)
    .map(([name, value]) => `${name}=${typeof value === 'object' ? '{…}' : `${value as string | number}`}`)
    .join(' ')
