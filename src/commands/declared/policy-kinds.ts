// Access rules and limits in a declaration, with names of users and accounts. Those of single keys are no part of it:
// their ids mean nothing elsewhere.
import { isObject } from '../../base/is-object.ts'
import { CliError } from '../io.ts'
import type { Item, Kind, List } from './kind.ts'

const named = (item: Item): string => String(item['name'])
const path = { users: '/users', accounts: '/billing/accounts' }

export const accessRuleKind: Kind = {
  name: 'accessRules',
  path: '/access-rules',
  nameOf: named,
  idOf: named,
  members: {
    name: undefined,
    priority: 100,
    effect: undefined,
    who: undefined,
    server: '**',
    kind: undefined,
    item: '**',
    arguments: undefined,
    from: undefined,
    until: undefined,
    note: undefined,
    active: true,
  },
  merged: ['who', 'arguments'],
  spellings: { from: timeOf, until: timeOf },
  read: async (items, list) => {
    const names = await namesBy('id', { path: path.users, name: 'username', list })
    return items.flatMap((item) => {
      const who = item['who']
      if (!isObject(who)) return [item]
      if (who['keys'] !== undefined) return []
      return [{ ...item, who: withUsers(who, (id) => names.get(id) ?? id) }]
    })
  },
  send: async (body, list) => {
    const who = body['who']
    if (!isObject(who) || !Array.isArray(who['users'])) return body
    const ids = await namesBy('username', { path: path.users, name: 'id', list })
    return { ...body, who: withUsers(who, (name) => ids.get(name) ?? missing('users', name)) }
  },
}

export const limitKind: Kind = {
  name: 'limits',
  path: '/limits',
  nameOf: named,
  idOf: named,
  members: {
    name: undefined,
    match: {},
    per: ['user'],
    rate: undefined,
    bandwidth: undefined,
    concurrent: undefined,
    active: true,
  },
  merged: ['match', 'rate', 'bandwidth'],
  spellings: {
    rate: (rate) => (isObject(rate) ? { ...rate, burst: rate['burst'] ?? rate['calls'] } : rate),
    bandwidth: (given) => (isObject(given) ? { ...given, burst: given['burst'] ?? given['bytes'] } : given),
  },
  read: async (items, list) => {
    const users = await namesBy('id', { path: path.users, name: 'username', list })
    const accounts = await namesBy('id', { path: path.accounts, name: 'name', list })
    return items.flatMap((item) => {
      const match = isObject(item['match']) ? item['match'] : {}
      if (match['key'] !== undefined) return []
      return [{ ...item, match: replaced(match, { user: users, account: accounts }) }]
    })
  },
  send: async (body, list) => {
    const match = body['match']
    if (!isObject(match)) return body
    const users = await namesBy('username', { path: path.users, name: 'id', list })
    const accounts = await namesBy('name', { path: path.accounts, name: 'id', list })
    return { ...body, match: replaced(match, { user: users, account: accounts }) }
  },
}

/** What `name` is, by `member`. */
async function namesBy(
  member: string,
  { path: where, name, list }: { path: string; name: string; list: List },
): Promise<Map<string, string>> {
  return new Map((await list(where)).map((item) => [String(item[member]), String(item[name])]))
}

function withUsers(who: Item, toOther: (user: string) => string): Item {
  const users = who['users']
  return Array.isArray(users) ? { ...who, users: users.map((user) => toOther(String(user))) } : who
}

function replaced(match: Item, by: Readonly<Record<string, ReadonlyMap<string, string>>>): Item {
  return Object.fromEntries(
    Object.entries(match).map(([member, value]) => [
      member,
      typeof value === 'string' ? (by[member]?.get(value) ?? value) : value,
    ]),
  )
}

function missing(what: string, name: string): never {
  throw new CliError(`${what}: nobody is called ${JSON.stringify(name)}.`)
}

/** A time in its one spelling; what is none stays, and the gateway says what it wants. */
function timeOf(value: unknown): unknown {
  const timeMs = Date.parse(String(value))
  return Number.isNaN(timeMs) ? value : new Date(timeMs).toISOString()
}
