// The shape of a kind of thing that can be declared.

/** One thing as it is declared or as the API shows it: decimals, globs and times as text. */
export type Item = Readonly<Record<string, unknown>>

/** A list of the API, read when something has to be named. */
export type List = (path: string) => Promise<readonly Item[]>

export interface Kind {
  /** The member of the file, and the word in the plan. */
  readonly name: string
  readonly path: string
  /** What names a thing in the file; names are unique there. */
  readonly nameOf: (item: Item) => string
  /** What names it in the API's path. */
  readonly idOf: (item: Item) => string
  /** The members that are compared, in the order in which they are written, with what the gateway takes where one is absent. */
  readonly members: Readonly<Record<string, unknown>>
  /** Members that cannot be changed: another value is another thing. */
  readonly fixed?: readonly string[]
  /** Members whose own members the API changes one by one, so that one that goes has to be said. */
  readonly merged?: readonly string[]
  /** Members that are left as they are where the file does not say them. */
  readonly left?: readonly string[]
  /** How members are written that can be written in several ways, so that only what differs is a difference. */
  readonly spellings?: Readonly<Record<string, (value: unknown) => unknown>>
  /** True where things of this kind are never removed by a file. */
  readonly lasting?: boolean
  /** Whether an export writes a thing; all are where absent. */
  readonly isWritten?: (item: Item) => boolean
  /** Why a thing that is not there cannot be made by a file; undefined where it can. */
  readonly whyNotMade?: (item: Item) => string | undefined
  /** Things of the API with names in place of ids; what no file can speak of is left out. */
  readonly read?: (items: readonly Item[], list: List) => Promise<readonly Item[]>
  /** A body for the API, with ids in place of names. */
  readonly send?: (body: Item, list: List) => Promise<Item>
}
