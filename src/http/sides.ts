// Which listener serves a route where administration has one of its own.
import { assert } from '../base/errors.ts'
import type { Route } from './api/route.ts'

export type Side = 'public' | 'admin'

const isHealth = (path: string): boolean => path === '/livez' || path === '/readyz'
/** What clients of MCP endpoints need: metadata, login and consent. Everything that is not named is for administration. */
const isPublic = (path: string): boolean => path.startsWith('/.well-known/') || path.startsWith('/oauth/')

/**
 * The routes of one listener, in their order. Health is on both. A route stands on one side with all its spellings.
 */
export function routesOn(side: Side, routes: readonly Route[]): Route[] {
  return routes.filter((route) => {
    const open = isPublic(route.path)
    for (const alias of route.aliases ?? [])
      assert(isPublic(alias) === open, `${alias} is on the side of ${route.path}`)
    return isHealth(route.path) || open === (side === 'public')
  })
}
