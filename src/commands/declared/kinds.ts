// What a declaration can hold: for each kind of thing where the API keeps it, what names it, and which members are declared.

/** One thing as it is declared: decimals, globs and times as text. */
export type Item = Readonly<Record<string, unknown>>

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
}

const named = (item: Item): string => String(item['name'])

/** In the order in which they are made; they are removed the other way round. */
export const kinds: readonly Kind[] = [
  {
    name: 'books',
    path: '/billing/books',
    nameOf: named,
    idOf: named,
    members: { name: undefined, description: undefined },
  },
  {
    name: 'rules',
    path: '/billing/rules',
    nameOf: named,
    idOf: (item) => String(item['id']),
    members: {
      name: undefined,
      priority: 0,
      active: true,
      currency: undefined,
      book: undefined,
      match: {},
      price: undefined,
      billOn: ['success'],
      effectiveTo: undefined,
    },
  },
]
