// Every resource of the API, in the order of the reference.
import type { Route } from './route.ts'

/** The routes under `/api/v1`. */
export function resourceRoutes(): Route[] {
  return []
}
