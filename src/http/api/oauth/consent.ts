// Routes of the pages on which a user lets the gateway use a server as them, and of our metadata as a client.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Logins } from '../../../identity/logins.ts'
import { TokenError } from '../../../upstreams/oauth/authorization-server.ts'
import type { OidcLogins } from '../../../oauth/issuers/oidc-logins.ts'
import { StaleConsent, type ConsentQuestion, type Consents } from '../../../upstreams/oauth/consents.ts'
import { callbackPath, clientMetadata, documentPath } from '../../../upstreams/oauth/gateway-client.ts'
import { connectPage, connectedPage, faultPage } from '../../oauth-pages.ts'
import { Answer, defineRoute, type Context, type Route } from '../route.ts'
import { findBrowser, newBrowser } from './browser.ts'
import { formShape, paramShape, readParams } from './form.ts'

export interface ConsentRouteDeps {
  readonly consents: Pick<Consents, 'read' | 'depart' | 'arrive'>
  readonly logins: Pick<Logins, 'verifyPassword'>
  /** Absent where nobody logs in elsewhere. */
  readonly oidcLogins?: Pick<OidcLogins, 'list'> | undefined
  publicUrl(): string
}

const documentShape = z.strictObject({
  client_id: z.string(),
  client_name: z.string(),
  client_uri: z.string(),
  redirect_uris: z.array(z.string()),
  grant_types: z.array(z.string()),
  response_types: z.array(z.string()),
  token_endpoint_auth_method: z.string(),
  application_type: z.string(),
})

/** `/oauth/upstream/…`, and `/.well-known/oauth-client`. */
export function consentRoutes(deps: ConsentRouteDeps): Route[] {
  const page = { permission: 'public', contentType: 'text/html', errors: [400] } as const
  return [
    defineRoute({
      ...page,
      method: 'GET',
      path: '/oauth/upstream/start',
      summary: 'Asks a user to log in and to let the gateway use a server as them',
      query: z.looseObject({ link: paramShape }),
      handler: (context) =>
        shownPage(() => {
          const { link } = readParams(context.query)
          if (!findBrowser(context)) newBrowser(context, deps.publicUrl())
          return connectPage(questionOf(deps.consents.read(link)), {
            elsewhere: deps.oidcLogins?.list() ?? [],
          })
        }),
    }),
    defineRoute({
      ...page,
      method: 'POST',
      path: '/oauth/upstream/start',
      audit: 'servers.authorization.begin',
      summary: 'Takes the login of that page and redirects to the authorization server of the MCP server',
      keyless: true,
      form: true,
      body: formShape,
      maxBodyBytes: 32 * 1024,
      handler: (context) => shownPage(() => depart(deps, context)),
    }),
    defineRoute({
      ...page,
      method: 'GET',
      path: callbackPath,
      audit: 'servers.authorization.create',
      summary: 'Takes the answer of an authorization server (RFC 6749, RFC 9207)',
      query: z.looseObject({ code: paramShape, state: paramShape, iss: paramShape, error: paramShape }),
      handler: (context) =>
        shownPage(async () => {
          const answer = new URLSearchParams(
            Object.entries(readParams(context.query)).flatMap(([name, value]) =>
              value === undefined ? [] : [[name, value] as [string, string]],
            ),
          )
          const { server, userId } = await deps.consents.arrive(answer, findBrowser(context) ?? '')
          context.note({ actor: { userId }, resource: { type: 'servers', id: server.id } })
          return connectedPage(server.name)
        }),
    }),
    defineRoute({
      method: 'GET',
      path: documentPath,
      permission: 'public',
      summary: 'Our metadata as an OAuth client (Client ID Metadata Document)',
      response: documentShape,
      handler: () => {
        const url = deps.publicUrl()
        return { client_id: `${url}${documentPath}`, client_uri: url, ...clientMetadata(url) }
      },
    }),
  ]
}

const questionOf = ({ link, server }: ConsentQuestion) => ({
  link,
  server: server.name,
  host: new URL(server.transport.url).host,
})

async function depart(deps: ConsentRouteDeps, context: Context): Promise<Answer> {
  const { link, username = '', password = '' } = readParams(context.body)
  const question = questionOf(deps.consents.read(link))
  // Without the cookie the page was opened elsewhere: nobody's password is asked for then.
  const browser = findBrowser(context)
  if (browser === undefined) throw new StaleConsent()
  const user = await deps.logins.verifyPassword({ username, password }, { ip: context.clientIp })
  const failure = { text: 'The user name or the password is wrong.', status: 403 }
  if (!user) return connectPage(question, { failure, elsewhere: deps.oidcLogins?.list() ?? [] })
  context.note({ actor: { userId: user.id, username: user.username } })
  const location = await deps.consents.depart(link, { userId: user.id, browser })
  return new Answer('text/plain; charset=utf-8', '', { status: 303, headers: { location } })
}

export async function shownPage(work: () => Answer | Promise<Answer>): Promise<Answer> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof StaleConsent) return faultPage(thrown.message, 400)
    if (thrown instanceof TokenError) return faultPage(thrown.message, 502)
    if (thrown instanceof GatewayError && thrown.fault === 'caller')
      return faultPage(thrown.message, thrown.status, thrown.retryAfterS)
    throw thrown
  }
}
