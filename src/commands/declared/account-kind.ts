// Accounts in a declaration: where they stand in the tree, how they pay, and their price books.
import { CliError } from '../io.ts'
import type { Item, Kind } from './kind.ts'

const path = '/billing/accounts'
/** From the root down, so that parents are made before their children. */
const ranks = ['organisation', 'team', 'user', 'key']
const rankOf = (item: Item): number => ranks.indexOf(String(item['kind']))

export const accountKind: Kind = {
  name: 'accounts',
  path,
  nameOf: (item) => String(item['name']),
  idOf: (item) => String(item['id']),
  members: {
    name: undefined,
    kind: 'user',
    parent: undefined,
    mode: undefined,
    currency: undefined,
    timeZone: undefined,
    plan: undefined,
    priceBook: undefined,
  },
  fixed: ['kind', 'currency'],
  left: ['mode', 'currency', 'timeZone'],
  lasting: true,
  // A user's account that stands alone under the common prices says nothing that its user does not.
  isWritten: (item) =>
    item['kind'] !== 'user' || ['parent', 'plan', 'priceBook'].some((member) => item[member] !== undefined),
  whyNotMade: (item) =>
    ['organisation', 'team'].includes(String(item['kind']))
      ? undefined
      : 'is not there: the account of a user comes with the user; make the user first.',
  read: (items) => {
    const names = new Map(items.map((item) => [item['id'], item['name']]))
    const withParents = items.map(({ parentId, ...item }) =>
      parentId === undefined ? item : { ...item, parent: names.get(parentId) ?? parentId },
    )
    return Promise.resolve(withParents.toSorted((a, b) => rankOf(a) - rankOf(b)))
  },
  send: async ({ parent, ...body }, list) => {
    if (parent === undefined) return body
    if (parent === null) return { ...body, parentId: null }
    const found = (await list(path)).filter(({ id, name }) => id === parent || name === parent)
    const [account, other] = found
    if (!account) throw new CliError(`parent: no account is called ${JSON.stringify(parent)}.`)
    if (other) throw new CliError(`parent: ${found.length} accounts are called ${JSON.stringify(parent)}.`)
    return { ...body, parentId: account['id'] }
  },
}
