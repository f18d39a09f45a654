// What access rules keep from a caller of one server: named in a request it is unknown, and in lists it is not there.
import { isObject } from '../base/is-object.ts'
import { listings } from '../bridges/aggregate/lists.ts'
import { targetOf } from '../bridges/aggregate/names.ts'
import { exactly } from '../eras/exact-json.ts'
import { legacyError } from '../eras/legacy-client-modern-server.ts'
import { unknownTarget } from '../eras/unknown-target.ts'
import type { AccessRules } from '../policy/access-rules/access-rules.ts'
import type { Noun } from '../registry/bundle.ts'
import {
  errorResponse,
  type JsonRpcError,
  type JsonRpcMessage,
  type JsonRpcRequest,
} from '../wire/json-rpc.ts'
import type { Asking, Incoming } from './incoming.ts'

type Rules = Pick<AccessRules, 'restricts' | 'isPermitted'>
type Asked = Pick<Incoming, 'principal' | 'server'> & { readonly message: JsonRpcRequest }

/** An aggregate shows of its members only what their caller may use, so there is nothing to keep from it here. */
const isGuarded = ({ server }: Asked, rules: Rules): boolean =>
  server.transport.type !== 'aggregate' && rules.restricts(server.name)

/** The answer to a request that names what its caller may not use, exactly as if it were not there. */
export function findUnknown(asked: Asking, rules: Rules): string | undefined {
  if (!isGuarded(asked, rules)) return undefined
  const { message, era } = asked
  const denied = namedIn(message).find(({ noun, name }) => !mayUseThing(asked, rules, noun, name))
  if (!denied) return undefined
  const error: JsonRpcError = unknownTarget(denied.noun, denied.name)
  return errorResponse(message.id, era === 'modern' ? error : legacyError(message, error))
}

/** A list without what its caller may not use; undefined where the server's bytes may go through as they are. */
export function withoutDenied(
  asked: Asked,
  rules: Rules,
): ((answer: JsonRpcMessage, bytes: Uint8Array) => Buffer | undefined) | undefined {
  const listing = listings[asked.message.method]
  if (!listing || !isGuarded(asked, rules)) return undefined
  const { items, key, noun } = listing
  return (answer, bytes) => {
    const all = answer.result?.[items]
    if (!Array.isArray(all)) return undefined
    const isShown = (item: unknown): boolean =>
      isObject(item) && typeof item[key] === 'string' && mayUseThing(asked, rules, noun, item[key])
    const shown = all.map(isShown)
    if (shown.every(Boolean)) return undefined
    const written = exactly(answer, bytes)
    const exact = written.result?.[items] as readonly unknown[]
    const result = { ...written.result, [items]: exact.filter((_, place) => shown[place]) }
    return Buffer.from(JSON.stringify({ ...written, result }))
  }
}

const mayUseThing = ({ principal, server }: Asked, rules: Rules, kind: Noun, item: string): boolean =>
  rules.isPermitted(principal, { server: server.name, kind, item })

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
