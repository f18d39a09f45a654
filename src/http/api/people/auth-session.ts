// Routes of browser logins: a cookie instead of a token, by password or at another issuer.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { csrfTokenOf, type BrowserSession, type BrowserSessions } from '../../../identity/browser-sessions.ts'
import { loginInput, type Logins } from '../../../identity/logins.ts'
import { roles } from '../../../identity/principal.ts'
import type { User } from '../../../identity/user-store.ts'
import type { Users } from '../../../identity/users.ts'
import { oidcCallbackPath, type OidcLogins } from '../../../oauth/issuers/oidc-logins.ts'
import { endedCookie, findSessionSecret, isFromOwnPage, sessionCookie } from '../../session-cookie.ts'
import { findBrowser, newBrowser } from '../oauth/browser.ts'
import { paramShape, readParams } from '../oauth/form.ts'
import { Answer, defineRoute, type Context, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface SessionLoginDeps {
  readonly logins: Pick<Logins, 'verifyPassword' | 'logout'>
  readonly users: Pick<Users, 'get'>
  readonly browserSessions: BrowserSessions
  /** Absent where nobody logs in elsewhere. */
  readonly oidcLogins?: OidcLogins | undefined
  /** Where browsers log in. */
  adminUrl(): string
}

export const sessionShape = z
  .strictObject({
    userId: z.string(),
    username: z.string(),
    roles: z.array(z.enum(roles)),
    csrfToken: z
      .string()
      .optional()
      .describe('To be sent as `Tollbridge-CSRF` with every change; absent where there is no cookie.'),
    expiresAt: timeShape.optional(),
  })
  .meta({ id: 'BrowserSession' })

const path = '/api/v1/auth/session'

/** `/auth/session` and `/auth/oidc…`. */
export function sessionLoginRoutes(deps: SessionLoginDeps): Route[] {
  return [...passwordRoutes(deps), ...oidcRoutes(deps)]
}

function passwordRoutes(deps: SessionLoginDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Logs a browser in by user name and password: sets a cookie that scripts cannot read',
      description: 'Only for pages of the gateway itself.',
      permission: 'public',
      keyless: true,
      body: loginInput,
      response: sessionShape,
      errors: [401, 403, 429],
      handler: async (context) => {
        refuseForeign(context, deps.adminUrl())
        const onUser = ({ id: userId, username }: User) => context.note({ actor: { userId, username } })
        const user = await deps.logins.verifyPassword(context.body, { ip: context.clientIp, onUser })
        if (!user)
          throw new GatewayError('unauthorized', { detail: 'The user name or the password is wrong.' })
        return beginSession(deps, context, user)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Says who is logged in, and what changes need beside the cookie',
      permission: 'signed-in',
      response: sessionShape,
      handler: async ({ principal, headers }) => {
        const { userId, username, roles: held, expiresAtMs } = principal
        const secret = principal.via === 'token' ? findSessionSecret(headers) : undefined
        return {
          userId,
          username,
          roles: [...held],
          ...(secret !== undefined && { csrfToken: csrfTokenOf(secret) }),
          ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
        }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path,
      summary: 'Logs the browser out',
      permission: 'signed-in',
      handler: async ({ principal, setHeader }) => {
        await deps.logins.logout(principal)
        setHeader('set-cookie', endedCookie(deps.adminUrl()))
        return undefined
      },
    }),
  ]
}

function oidcRoutes(deps: SessionLoginDeps): Route[] {
  const common = { method: 'GET', permission: 'public' } as const
  const offered = (): OidcLogins => {
    if (!deps.oidcLogins) throw new GatewayError('not_found')
    return deps.oidcLogins
  }
  return [
    defineRoute({
      ...common,
      path: '/api/v1/auth/oidc',
      summary: 'Lists where people can log in beside here',
      response: z.strictObject({ items: z.array(z.strictObject({ name: z.string(), title: z.string() })) }),
      handler: () => ({ items: deps.oidcLogins?.list() ?? [] }),
    }),
    defineRoute({
      ...common,
      path: '/api/v1/auth/oidc/{name}/start',
      summary: 'Sends a browser to log in elsewhere (OpenID Connect)',
      params: z.strictObject({ name: z.string() }),
      query: z.strictObject({
        return: z.string().max(2000).optional().describe('A path of ours to come back to.'),
      }),
      contentType: 'text/plain',
      errors: [404, 503],
      handler: async (context) => {
        const browser = findBrowser(context) ?? newBrowser(context, deps.adminUrl())
        const { params, query } = context
        return redirect(await offered().depart(params.name, { returnTo: query.return ?? '/' }, browser))
      },
    }),
    defineRoute({
      ...common,
      path: oidcCallbackPath,
      audit: 'auth.oidc.create',
      summary: 'Takes the answer of that issuer, logs the browser in, and sends it on',
      query: z.looseObject({ code: paramShape, state: paramShape, iss: paramShape, error: paramShape }),
      contentType: 'text/plain',
      errors: [401, 404, 503],
      handler: async (context) => {
        const answer = new URLSearchParams(
          Object.entries(readParams(context.query)).flatMap(([name, value]) =>
            value === undefined ? [] : [[name, value] as [string, string]],
          ),
        )
        const { user, returnTo } = await offered().arrive(answer, findBrowser(context) ?? '')
        context.note({ actor: { userId: user.id, username: user.username } })
        await beginSession(deps, context, user)
        return redirect(returnTo)
      },
    }),
  ]
}

/** Another site could log its visitors in as itself, and see what they do then (login CSRF). */
export function refuseForeign({ headers }: Pick<Context, 'headers'>, publicUrl: string): void {
  if (!isFromOwnPage(headers, publicUrl)) throw new GatewayError('origin_denied')
}

/** Sets the cookie; what the page may know of it is the answer. */
export async function beginSession(
  deps: Pick<SessionLoginDeps, 'browserSessions' | 'adminUrl'>,
  { setHeader }: Pick<Context, 'setHeader'>,
  user: User,
): Promise<z.input<typeof sessionShape>> {
  const session: BrowserSession = await deps.browserSessions.begin(user)
  setHeader('set-cookie', sessionCookie(session, deps.adminUrl(), deps.browserSessions.lifetimeS))
  const { csrfToken, expiresAtMs } = session
  return {
    userId: user.id,
    username: user.username,
    roles: [...user.roles],
    csrfToken,
    expiresAt: isoTime(expiresAtMs),
  }
}

const redirect = (location: string): Answer =>
  new Answer('text/plain; charset=utf-8', '', { status: 303, headers: { location } })
