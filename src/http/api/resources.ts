// Every resource of the API, in the order of the reference.
import type { Server } from '../../registry/server.ts'
import { GatewayError } from '../../base/errors.ts'
import type { Metering } from '../../sessions/metering.ts'
import { chargeSession } from '../../sessions/session-charge.ts'
import { authRoutes, type AuthRouteDeps } from './auth.ts'
import { subjectFinder } from './budget-subject.ts'
import { bundleRoutes, type BundleRouteDeps } from './bundles.ts'
import { billingRoutes, type BillingRouteDeps } from './billing-routes.ts'
import { authorizeRoutes, type AuthorizeRouteDeps } from './oauth/authorize.ts'
import { clientRoutes, type ClientRouteDeps } from './oauth/clients.ts'
import { grantRoutes, type GrantRouteDeps } from './oauth/grants.ts'
import { tokenRoutes, type TokenRouteDeps } from './oauth/token.ts'
import { accessRuleRoutes, type AccessRuleRouteDeps } from './access-rules.ts'
import { limitRoutes, type LimitRouteDeps } from './limits.ts'
import { keyRoutes, type KeyRouteDeps } from './keys.ts'
import type { Route } from './route.ts'
import { secretRoutes, type SecretRouteDeps } from './secrets.ts'
import { serverRoutes, type ServerRouteDeps } from './servers.ts'
import { sessionRoutes, type RecordSession, type SessionRouteDeps } from './sessions.ts'
import { userRoutes, type UserRouteDeps } from './users.ts'
import { wellKnownRoutes, type WellKnownRouteDeps } from './well-known.ts'

export type ResourceDeps = AuthRouteDeps &
  UserRouteDeps &
  KeyRouteDeps &
  Omit<ServerRouteDeps, 'closeSessions'> &
  Omit<BundleRouteDeps, 'closeSessions'> &
  Omit<SessionRouteDeps, 'recordSession'> &
  Omit<BillingRouteDeps, 'findSubjects'> &
  AccessRuleRouteDeps &
  LimitRouteDeps &
  SecretRouteDeps &
  AuthorizeRouteDeps &
  GrantRouteDeps &
  ClientRouteDeps &
  TokenRouteDeps &
  WellKnownRouteDeps & { readonly metering: Metering }

/** The routes under `/api/v1`, and the well-known documents. */
export function resourceRoutes(deps: ResourceDeps): Route[] {
  const closeSessions = (id: Server['id']) => deps.sessions.closeWhere((session) => session.serverId === id)
  return [
    ...authRoutes(deps),
    ...userRoutes(deps),
    ...keyRoutes(deps),
    ...serverRoutes({ ...deps, closeSessions }),
    ...bundleRoutes({ ...deps, closeSessions }),
    ...sessionRoutes({ ...deps, recordSession: recordSession(deps.metering) }),
    ...billingRoutes({ ...deps, findSubjects: subjectFinder(deps) }),
    ...accessRuleRoutes(deps),
    ...limitRoutes(deps),
    ...secretRoutes(deps),
    ...grantRoutes(deps),
    ...clientRoutes(deps),
    ...authorizeRoutes(deps),
    ...tokenRoutes(deps),
    ...wellKnownRoutes(deps),
  ]
}

const recordSession =
  (metering: Metering): RecordSession =>
  async (principal, server, session, request) => {
    const { callId, refusal } = await chargeSession(metering, { principal, server, session, request })
    if (!refusal) return { callId }
    const { code, message, retryAfterS, data } = refusal
    throw new GatewayError(code, {
      detail: message,
      data: { ...data, callId },
      ...(retryAfterS !== undefined && { retryAfterS }),
    })
  }
