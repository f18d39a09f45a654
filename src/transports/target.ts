// Where an authenticated request wants to go.
import type { Principal } from '../identity/principal.ts'
import type { Incoming } from '../sessions/incoming.ts'
import type { Session } from '../sessions/session.ts'

export interface Target {
  readonly principal: Principal
  readonly server: Incoming['server']
  readonly client: Incoming['client']
  /** A session made by the REST API, named in the path; else initialize opens one. */
  readonly session?: Session
}
