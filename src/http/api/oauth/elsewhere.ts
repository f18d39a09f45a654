// Routes of a login at another issuer in the middle of a page: to consent to a client, or to let the gateway use a server.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Authorizations } from '../../../oauth/authorizations.ts'
import { oidcPageCallbackPath, type OidcLogins } from '../../../oauth/issuers/oidc-logins.ts'
import type { Consents } from '../../../upstreams/oauth/consents.ts'
import { Answer, defineRoute, type Context, type Route } from '../route.ts'
import { showStep, visitorOf } from './authorize.ts'
import { findBrowser } from './browser.ts'
import { shownPage } from './consent.ts'
import { paramShape, readParams } from './form.ts'

export interface ElsewhereRouteDeps {
  readonly oidcLogins?: Pick<OidcLogins, 'depart' | 'arriveAtPage'> | undefined
  readonly authorizations?: Authorizations | undefined
  readonly consents: Pick<Consents, 'depart'>
}

/** The page that somebody left: one of the two. */
const pageShape = z.union([z.strictObject({ interaction: z.string() }), z.strictObject({ link: z.string() })])

/** `/oauth/login-elsewhere` and the way back. */
export function elsewhereRoutes(deps: ElsewhereRouteDeps): Route[] {
  const common = {
    method: 'GET',
    permission: 'public',
    contentType: 'text/html',
    errors: [400, 404],
  } as const
  const offered = (): NonNullable<ElsewhereRouteDeps['oidcLogins']> => {
    if (!deps.oidcLogins) throw new GatewayError('not_found')
    return deps.oidcLogins
  }
  return [
    defineRoute({
      ...common,
      path: '/oauth/login-elsewhere',
      summary: 'Sends a browser from a login page to another issuer (OpenID Connect)',
      query: z.looseObject({ name: paramShape, interaction: paramShape, link: paramShape }),
      handler: (context) =>
        shownPage(async () => {
          const { name = '', interaction, link } = readParams(context.query)
          const page = pageShape.safeParse(interaction === undefined ? { link } : { interaction })
          // The page has set a cookie; without it this is the browser of somebody else.
          const browser = findBrowser(context)
          if (!page.success || browser === undefined) throw stale()
          return redirect(await offered().depart(name, { page: JSON.stringify(page.data) }, browser))
        }),
    }),
    defineRoute({
      ...common,
      path: oidcPageCallbackPath,
      audit: 'oauth.login.create',
      summary: 'Takes the answer of that issuer and goes on with the page',
      query: z.looseObject({ code: paramShape, state: paramShape, iss: paramShape, error: paramShape }),
      handler: (context) => shownPage(() => arrive(deps, offered(), context)),
    }),
  ]
}

async function arrive(
  deps: ElsewhereRouteDeps,
  logins: NonNullable<ElsewhereRouteDeps['oidcLogins']>,
  context: Context,
): Promise<Answer> {
  const answer = new URLSearchParams(
    Object.entries(readParams(context.query)).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as [string, string]],
    ),
  )
  const browser = findBrowser(context) ?? ''
  const { user, page: left } = await logins.arriveAtPage(answer, browser)
  context.note({ actor: { userId: user.id, username: user.username } })
  const page = pageShape.parse(JSON.parse(left))
  if ('link' in page) return redirect(await deps.consents.depart(page.link, { userId: user.id, browser }))
  const { authorizations } = deps
  if (!authorizations) throw new GatewayError('not_found')
  return showStep(() => authorizations.loginAs(page.interaction, user, visitorOf(context)))
}

const stale = (): GatewayError =>
  new GatewayError('invalid_request', {
    detail: 'This page is too old, or was opened in another browser; start again where you came from.',
  })

const redirect = (location: string): Answer =>
  new Answer('text/plain; charset=utf-8', '', { status: 303, headers: { location } })
