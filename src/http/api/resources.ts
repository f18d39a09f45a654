// Every resource of the API, in the order of the reference.
import type { Server } from '../../registry/server.ts'
import { GatewayError } from '../../base/errors.ts'
import type { Metering } from '../../sessions/metering.ts'
import { chargeSession } from '../../sessions/session-charge.ts'
import { auditRoutes, type AuditRouteDeps } from './policy/audit.ts'
import { authRoutes, type AuthRouteDeps } from './people/auth.ts'
import { sessionLoginRoutes, type SessionLoginDeps } from './people/auth-session.ts'
import { passkeyRoutes, type PasskeyRouteDeps } from './people/passkeys.ts'
import { subjectFinder } from './billing/budget-subject.ts'
import { bundleRoutes, type BundleRouteDeps } from './servers/bundles.ts'
import { billingRoutes, type BillingRouteDeps } from './billing/routes.ts'
import { authorizeRoutes, type AuthorizeRouteDeps } from './oauth/authorize.ts'
import { consentRoutes, type ConsentRouteDeps } from './oauth/consent.ts'
import { serverAuthorizationRoutes, type ServerAuthorizationDeps } from './servers/server-authorization.ts'
import { clientRoutes, type ClientRouteDeps } from './oauth/clients.ts'
import { elsewhereRoutes, type ElsewhereRouteDeps } from './oauth/elsewhere.ts'
import { grantRoutes, type GrantRouteDeps } from './oauth/grants.ts'
import { tokenRoutes, type TokenRouteDeps } from './oauth/token.ts'
import { accessRuleRoutes, type AccessRuleRouteDeps } from './policy/access-rules.ts'
import { definitionRoutes, type DefinitionRouteDeps } from './servers/definitions.ts'
import { limitRoutes, type LimitRouteDeps } from './policy/limits.ts'
import { keyRoutes, type KeyRouteDeps } from './people/keys.ts'
import { payloadRoutes, type PayloadDeps } from './servers/payloads.ts'
import type { Route } from './route.ts'
import { secretRoutes, type SecretRouteDeps } from './servers/secrets.ts'
import { serverRoutes, type ServerRouteDeps } from './servers/servers.ts'
import { toolCallRoutes, type ToolCallDeps } from './servers/tool-calls.ts'
import { settingsRoutes, type SettingsRouteDeps } from './settings.ts'
import { sessionRoutes, type RecordSession, type SessionRouteDeps } from './servers/sessions.ts'
import { streamRoutes, type StreamRouteDeps } from './servers/streams.ts'
import { userRoutes, type UserRouteDeps } from './people/users.ts'
import { wellKnownRoutes, type WellKnownRouteDeps } from './well-known.ts'

export type ResourceDeps = AuthRouteDeps &
  SessionLoginDeps &
  PasskeyRouteDeps &
  UserRouteDeps &
  KeyRouteDeps &
  Omit<ServerRouteDeps, 'closeSessions'> &
  Omit<BundleRouteDeps, 'closeSessions'> &
  Omit<SessionRouteDeps, 'recordSession'> &
  StreamRouteDeps &
  Omit<BillingRouteDeps, 'findSubjects'> &
  AccessRuleRouteDeps &
  DefinitionRouteDeps &
  PayloadDeps &
  ToolCallDeps &
  ServerAuthorizationDeps &
  ConsentRouteDeps &
  ElsewhereRouteDeps &
  LimitRouteDeps &
  SecretRouteDeps &
  AuditRouteDeps &
  SettingsRouteDeps &
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
    ...sessionLoginRoutes(deps),
    ...passkeyRoutes(deps),
    ...userRoutes(deps),
    ...keyRoutes(deps),
    ...serverRoutes({ ...deps, closeSessions }),
    ...definitionRoutes(deps),
    ...payloadRoutes(deps),
    ...serverAuthorizationRoutes(deps),
    ...bundleRoutes({ ...deps, closeSessions }),
    ...sessionRoutes({ ...deps, recordSession: recordSession(deps.metering) }),
    ...streamRoutes(deps),
    ...billingRoutes({ ...deps, findSubjects: subjectFinder(deps) }),
    ...accessRuleRoutes(deps),
    ...limitRoutes(deps),
    ...secretRoutes(deps),
    ...auditRoutes(deps),
    ...settingsRoutes(deps),
    ...grantRoutes(deps),
    ...clientRoutes(deps),
    ...authorizeRoutes(deps),
    ...toolCallRoutes(deps),
    ...consentRoutes(deps),
    ...elsewhereRoutes(deps),
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
