// What is kept from a caller of one server: unknown or refused where a request names it, and not there in lists.
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { listings } from '../bridges/aggregate/lists.ts'
import { targetOf } from '../bridges/aggregate/names.ts'
import { exactly } from '../eras/exact-json.ts'
import { legacyError } from '../eras/legacy-client-modern-server.ts'
import { unknownTarget } from '../eras/unknown-target.ts'
import type { Permissions } from '../policy/permissions.ts'
import type { Noun } from '../registry/bundle.ts'
import {
  errorResponse,
  type JsonRpcError,
  type JsonRpcMessage,
  type JsonRpcRequest,
} from '../wire/json-rpc.ts'
import type { Consents } from '../upstreams/oauth/consents.ts'
import type { Asking, Incoming } from './incoming.ts'
import type { TaskOwners } from './tasks/task-owners.ts'
import type { Addressed } from './ways.ts'

type Known = Pick<Permissions, 'restricts' | 'isPermitted'>
type Asked = Pick<Incoming, 'principal' | 'server'> & { readonly message: JsonRpcRequest }

/** An aggregate shows of its members only what their caller may use, so there is nothing to keep from it here. */
const isAggregate = ({ server }: Asked): boolean => server.transport.type === 'aggregate'

/** The answer to a request that names what its caller may not use, exactly as if it were not there. */
function findUnknown(asked: Asking, permissions: Known): string | undefined {
  const { message, era, principal, server } = asked
  if (isAggregate(asked) || !permissions.restricts(server)) return undefined
  const denied = namedIn(message).find(
    ({ noun: kind, name: item }) => !permissions.isPermitted(principal, server, { kind, item }),
  )
  if (!denied) return undefined
  const error: JsonRpcError = unknownTarget(denied.noun, denied.name)
  return errorResponse(message.id, era === 'modern' ? error : legacyError(message, error))
}

/**
 * The answer to a request that names what its caller is not to know of, as text, or why a call of something that it may
 * know of is refused; `member` is who answers, where an aggregate is asked.
 */
export function findDenial(
  asked: Asking,
  member: Addressed | undefined,
  { permissions, consents, tasks }: DenialParts,
): GatewayError | string | undefined {
  return (
    findUnknown(asked, permissions) ??
    findForeignTask(asked, tasks) ??
    findRefusal(asked, member, permissions) ??
    findMissingConsent(member?.server ?? asked.server, asked.principal, consents)
  )
}

interface DenialParts {
  readonly tasks?: Pick<TaskOwners, 'findForeign'> | undefined
  readonly permissions: Known & Pick<Permissions, 'findHold' | 'findMisfit'>
  readonly consents?: Pick<Consents, 'findMissing'> | undefined
}

/** The task of somebody else, and one that nobody has started here, is not there. */
function findForeignTask(asked: Asking, tasks: DenialParts['tasks']): string | undefined {
  const { message, principal, server } = asked
  if (isAggregate(asked) || tasks?.findForeign(server, principal, message) === undefined) return undefined
  // The extension has no other methods of tasks than these (SEP-2663); the legacy era has.
  const isKnown = asked.era === 'legacy' || /^tasks\/(?!get$|update$|cancel$)/.exec(message.method) === null
  const notFound = { code: -32602, message: 'Task not found' }
  return errorResponse(message.id, isKnown ? notFound : { code: -32601, message: 'Method not found' })
}

/** Before anything is sent, and whatever is asked: without a token of the user the server would answer nothing. */
function findMissingConsent(
  { id, auth }: Asking['server'],
  { userId }: Asking['principal'],
  consents: DenialParts['consents'],
): GatewayError | undefined {
  if (auth.type !== 'oauth2' || auth.grant !== 'authorization-code') return undefined
  const missing = consents?.findMissing(id, userId)
  if (!missing) return undefined
  const { server, url } = missing
  const detail = `Before ${server} can be used, its user has to let the gateway act as them there: open ${url} and then try again.`
  return new GatewayError('authorization_required', { detail, data: { authorizationUrl: url } })
}

function findRefusal(
  { message, principal, server: asked }: Asking,
  member: Addressed | undefined,
  permissions: Pick<Permissions, 'findHold' | 'findMisfit'>,
): GatewayError | undefined {
  if (message.method !== 'tools/call') return undefined
  const { server, tool } = member ?? { server: asked, tool: message.params?.['name'] }
  if (typeof tool !== 'string' || server.transport.type === 'aggregate') return undefined
  const hold = permissions.findHold(server, tool)
  if (hold !== undefined) return new GatewayError('tool_held', { data: { reason: hold } })
  const misfit = permissions.findMisfit(principal, server, { tool, given: message.params?.['arguments'] })
  if (!misfit) return undefined
  const { rule, problem } = misfit
  const detail = `The access rule ${rule} does not allow these arguments: ${problem}. Change them.`
  return new GatewayError('arguments_denied', { detail, data: { rule, problem } })
}

/** A list without what its caller may not see; undefined where the server's bytes may go through as they are. */
export function withoutDenied(
  asked: Asked,
  permissions: Pick<Permissions, 'restricts' | 'shows'>,
): ((answer: JsonRpcMessage, bytes: Uint8Array) => Buffer | undefined) | undefined {
  const { principal, server, message } = asked
  const listing = listings[message.method]
  if (!listing || isAggregate(asked)) return undefined
  const { items, key, noun } = listing
  // Tools are always looked at: how they are described may have to be approved.
  if (noun !== 'tool' && !permissions.restricts(server)) return undefined
  return (answer, bytes) => {
    const all: unknown = answer.result?.[items]
    if (!Array.isArray(all)) return undefined
    const shown = permissions.shows(principal, server, { noun, key, items: all })
    if (shown.every(Boolean)) return undefined
    const written = exactly(answer, bytes)
    const exact = written.result?.[items] as readonly unknown[]
    const result = { ...written.result, [items]: exact.filter((_, place) => shown[place]) }
    return Buffer.from(JSON.stringify({ ...written, result }))
  }
}

/** Everything that a request names by a name or a URI. */
function namedIn(message: JsonRpcRequest): { noun: Noun; name: string }[] {
  const { method, params } = message
  if (method === 'resources/subscribe' || method === 'resources/unsubscribe')
    return typeof params?.['uri'] === 'string' ? [{ noun: 'resource', name: params['uri'] }] : []
  if (method === 'subscriptions/listen') {
    const wanted = params?.['notifications']
    const uris = isObject(wanted) ? wanted['resourceSubscriptions'] : undefined
    if (!Array.isArray(uris)) return []
    return uris.filter((uri) => typeof uri === 'string').map((name) => ({ noun: 'resource', name }))
  }
  const target = targetOf(message)
  return target?.exposed === undefined ? [] : [{ noun: target.noun, name: target.exposed }]
}
