// Routes of the pages on which a user logs in and consents to an OAuth client.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Authorizations, Step, Visitor } from '../../../oauth/authorizations.ts'
import type { OidcLogins } from '../../../oauth/issuers/oidc-logins.ts'
import { OauthError } from '../../../oauth/oauth-error.ts'
import { consentPage, faultPage, loginPage, type Elsewhere } from '../../oauth-pages.ts'
import { Answer, defineRoute, type Context, type Route } from '../route.ts'
import { findBrowser, newBrowser } from './browser.ts'
import { formShape, paramShape, readParams } from './form.ts'

export interface AuthorizeRouteDeps {
  /** Absent where the authorization server is off. */
  readonly authorizations?: Authorizations | undefined
  /** Absent where nobody logs in elsewhere. */
  readonly oidcLogins?: Pick<OidcLogins, 'list'> | undefined
  publicUrl(): string
}

const authorizeQuery = z.looseObject({
  response_type: paramShape,
  client_id: paramShape,
  redirect_uri: paramShape,
  resource: paramShape.describe('URL of the MCP endpoint (RFC 8707).'),
  scope: paramShape,
  state: paramShape,
  code_challenge: paramShape,
  code_challenge_method: paramShape.describe('S256.'),
})

/** `/oauth/authorize` and what its pages send. */
export function authorizeRoutes(deps: AuthorizeRouteDeps): Route[] {
  const elsewhere = deps.oidcLogins?.list() ?? []
  const common = { permission: 'public', contentType: 'text/html', errors: [400, 404] } as const
  const form = {
    method: 'POST',
    keyless: true,
    form: true,
    body: formShape,
    maxBodyBytes: 32 * 1024,
  } as const
  return [
    defineRoute({
      ...common,
      method: 'GET',
      path: '/oauth/authorize',
      summary: 'Asks a user to log in and to consent to an OAuth client (RFC 6749, OAuth 2.1)',
      query: authorizeQuery,
      handler: (context) =>
        showStep(async () => {
          const browser = findBrowser(context) ?? newBrowser(context, deps.publicUrl())
          return offered(deps).begin(readParams(context.query), { ip: context.clientIp, browser })
        }, elsewhere),
    }),
    defineRoute({
      ...common,
      ...form,
      path: '/oauth/login',
      summary: 'Takes the user name and password of the login page',
      handler: (context) =>
        showStep(() => {
          const { interaction, username = '', password = '' } = readParams(context.body)
          return offered(deps).login(interaction, { username, password }, visitorOf(context))
        }, elsewhere),
    }),
    defineRoute({
      ...common,
      ...form,
      path: '/oauth/consent',
      summary: 'Takes the answer of the consent page and redirects to the client',
      handler: (context) =>
        showStep(() => {
          const { interaction, decision } = readParams(context.body)
          return offered(deps).decide(interaction, decision === 'allow', visitorOf(context))
        }),
    }),
  ]
}

function offered({ authorizations }: AuthorizeRouteDeps): Authorizations {
  if (!authorizations) throw new GatewayError('not_found')
  return authorizations
}

export async function showStep(work: () => Promise<Step> | Step, elsewhere: Elsewhere = []): Promise<Answer> {
  try {
    const step = await work()
    if (step.kind === 'login')
      return loginPage(step.asked, step.interaction, {
        failure: step.failed ? { text: 'The user name or the password is wrong.', status: 403 } : undefined,
        elsewhere,
      })
    if (step.kind === 'consent') return consentPage(step.asked, step.interaction, step.username)
    return new Answer('text/plain; charset=utf-8', '', { status: 303, headers: { location: step.url } })
  } catch (thrown) {
    if (thrown instanceof OauthError)
      return faultPage(thrown.message, thrown.status === 401 ? 400 : thrown.status, thrown.retryAfterS)
    if (thrown instanceof GatewayError && thrown.code !== 'not_found' && thrown.fault === 'caller')
      return faultPage(thrown.message, thrown.status, thrown.retryAfterS)
    throw thrown
  }
}

type Request = Pick<Context, 'headers' | 'clientIp' | 'note'>

/** A page without the cookie of its browser is of no use, so an empty secret is as good as a wrong one. */
export const visitorOf = (request: Request): Visitor => ({
  ip: request.clientIp,
  browser: findBrowser(request) ?? '',
  onUser: ({ id: userId, username }) => request.note({ actor: { userId, username } }),
})
