// The token endpoint's work: from what a client shows to the grant that it asks for.
import { GatewayError } from '../../../base/errors.ts'
import { isScope, scopeNames, type Scope } from '../../../identity/scopes.ts'
import { assertionType, claimedClient } from '../../../oauth/client-assertion.ts'
import { jwtBearer, type Client, type GrantType } from '../../../oauth/client.ts'
import type { ClientProof, Clients } from '../../../oauth/clients.ts'
import type { Grants, TokenAnswer } from '../../../oauth/grants.ts'
import type { Issuers } from '../../../oauth/issuers/issuers.ts'
import { OauthError } from '../../../oauth/oauth-error.ts'
import { readResource } from '../../../oauth/resource.ts'
import type { Context } from '../route.ts'
import { readBasic, readParams, type Params } from './form.ts'

export interface ExchangeDeps {
  /** Absent where the authorization server is off. */
  readonly clients?: Clients | undefined
  readonly grants?: Grants | undefined
  /** Absent where no other issuers are trusted. */
  readonly issuers?: Issuers | undefined
  publicUrl(): string
}

/** A request of a client: its form, and who it says it is. */
export type Asking = Pick<Context, 'headers' | 'clientIp' | 'body' | 'note'>

/** The authorization server's parts; `not_found` where it is off. */
export function offered({ clients, grants }: ExchangeDeps): { clients: Clients; grants: Grants } {
  if (!clients || !grants) throw new GatewayError('not_found')
  return { clients, grants }
}

/** The client behind a request. Throws OauthError `invalid_client` where it does not prove itself. */
export async function clientOf(deps: ExchangeDeps, params: Params, asking: Asking): Promise<Client> {
  const proof = proofOf(params, asking.headers.authorization)
  const client = await offered(deps).clients.authenticate(proof, { ip: asking.clientIp })
  asking.note({ resource: { type: 'clients', id: client.id } })
  return client
}

/** Who the client says it is, and what it shows for it: in one way only (RFC 6749, section 2.3). */
function proofOf(params: Params, authorization: string | undefined): ClientProof {
  const { client_id: named, client_secret: secret, client_assertion: assertion } = params
  const ways = [authorization, secret, assertion].filter((way) => way !== undefined)
  if (ways.length > 1) throw new OauthError('invalid_client', 'Authenticate in one way only.')
  if (authorization !== undefined) {
    const basic = readBasic(authorization)
    if (!basic || (named !== undefined && named !== basic.id))
      throw new OauthError('invalid_client', 'The Authorization header is not one of this client.')
    return { clientId: basic.id, secret: basic.secret, method: 'client_secret_basic' }
  }
  const clientId = named ?? (assertion === undefined ? undefined : claimedClient(assertion))
  if (clientId === undefined) throw new OauthError('invalid_client', 'Send client_id.')
  if (assertion === undefined)
    return { clientId, secret, method: secret === undefined ? 'none' : 'client_secret_post' }
  if (params['client_assertion_type'] !== assertionType)
    throw new OauthError('invalid_client', `The client_assertion_type must be ${assertionType}.`)
  return { clientId, secret, assertion, method: 'private_key_jwt' }
}

/** Gives a token for a grant of any kind that the client may use. */
export async function exchange(deps: ExchangeDeps, asking: Asking): Promise<TokenAnswer> {
  const params = readParams(asking.body)
  const type = typeOf(params)
  const client = await clientOf(deps, params, asking)
  if (!client.grantTypes.includes(type))
    throw new OauthError('unauthorized_client', 'The client did not register this grant_type.')
  if (type === 'client_credentials') return forItself(deps, params, client)
  if (type === jwtBearer) return forAssertion(deps, params, client)
  const { grants } = offered(deps)
  const resource = params['resource']?.replace(/\/$/, '')
  if (type === 'refresh_token')
    return grants.refresh(params['refresh_token'] ?? '', {
      clientId: client.id,
      resource,
      scopes: scopesOf(params),
    })
  return grants.exchange(params['code'] ?? '', {
    clientId: client.id,
    resource,
    redirectUri: params['redirect_uri'],
    verifier: params['code_verifier'],
    refreshable: client.grantTypes.includes('refresh_token'),
  })
}

const types: readonly GrantType[] = ['authorization_code', 'refresh_token', 'client_credentials', jwtBearer]

function typeOf(params: Params): GrantType {
  const type = types.find((each) => each === params['grant_type'])
  if (!type)
    throw new OauthError('unsupported_grant_type', `The grant_type must be one of ${types.join(', ')}.`)
  return type
}

const scopesOf = (params: Params): Scope[] | undefined => params['scope']?.split(' ').filter(isScope)

/** OAuth 2.1, section 4.2: the client acts for the user whose it is. */
async function forItself(deps: ExchangeDeps, params: Params, client: Client): Promise<TokenAnswer> {
  if (client.ownerId === undefined)
    throw new OauthError('unauthorized_client', 'This client acts for nobody.')
  const { clients, grants } = offered(deps)
  const answer = await grants.issueDirectly({
    userId: client.ownerId,
    client,
    resource: readResource(params['resource'], deps.publicUrl()),
    scopes: someOf(scopesOf(params) ?? scopeNames),
  })
  // It may have been removed meanwhile, and what was granted then would have been missed.
  if (await clients.isThere(client.id)) return answer
  await grants.revokeOfClient(client.id)
  throw new OauthError('invalid_client', 'There is no such client any more.')
}

/** RFC 7523, section 2.1, with an ID-JAG: what an issuer that we trust asserts. */
async function forAssertion(deps: ExchangeDeps, params: Params, client: Client): Promise<TokenAnswer> {
  const { issuers } = deps
  const { assertion } = params
  if (assertion === undefined) throw new OauthError('invalid_request', 'Send assertion.')
  if (!issuers) throw new OauthError('invalid_grant', 'No issuer of assertions is trusted here.')
  const { userId, once, ...asserted } = await issuers.readAssertion(assertion, client)
  const asked = params['resource']?.replace(/\/$/, '')
  if (asked !== undefined && asserted.resource !== undefined && asked !== asserted.resource)
    throw new OauthError('invalid_target', 'The assertion is for another resource.')
  const wanted = scopesOf(params)
  // What the assertion allows beyond what is asked for should not have been asserted (MCP, section 7.2.1).
  if (wanted && asserted.scopes?.some((scope) => !wanted.includes(scope)))
    throw new OauthError(
      'invalid_scope',
      'The assertion allows more than is asked for; get one for these scopes.',
    )
  return offered(deps).grants.issueDirectly({
    userId,
    client,
    once,
    resource: readResource(asserted.resource ?? asked, deps.publicUrl()),
    scopes: someOf(asserted.scopes ?? wanted ?? scopeNames),
  })
}

function someOf(scopes: readonly Scope[]): readonly Scope[] {
  if (scopes.length === 0) throw new OauthError('invalid_scope', 'None of these scopes is known here.')
  return scopes
}
