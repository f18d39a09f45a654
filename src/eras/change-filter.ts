// The filter of a modern `subscriptions/listen`, the changes that it names, and the messages of its stream.
import { isObject } from '../base/is-object.ts'
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'
import { withoutMeta, type Json } from './json-object.ts'

/** Names the listen request whose stream a notification belongs to (MCP 2026-07-28, "Subscriptions"). */
export const subscriptionIdKey = 'io.modelcontextprotocol/subscriptionId'

/** What a listener wants to hear, or what it will hear (MCP 2026-07-28, "Notification Filter"). */
export interface ListenFilter {
  readonly toolsListChanged?: true
  readonly promptsListChanged?: true
  readonly resourcesListChanged?: true
  readonly resourceSubscriptions?: readonly string[]
}

/** The lists whose changes are told: the filter's flag, the capability that offers it, and the notification. */
export const listChanges = [
  { flag: 'toolsListChanged', capability: 'tools', method: 'notifications/tools/list_changed' },
  { flag: 'promptsListChanged', capability: 'prompts', method: 'notifications/prompts/list_changed' },
  { flag: 'resourcesListChanged', capability: 'resources', method: 'notifications/resources/list_changed' },
] as const

export type ListChange = (typeof listChanges)[number]

export const resourceUpdated = 'notifications/resources/updated'

/** A filter with these lists and resources; what is empty is left out. */
export const listenFilter = (lists: readonly ListChange[], uris: readonly string[]): ListenFilter => ({
  ...Object.fromEntries(lists.map(({ flag }) => [flag, true])),
  ...(uris.length > 0 && { resourceSubscriptions: uris }),
})

/** The filter of a listen request, or a sentence that says what is wrong with it. Members that we do not know are left out. */
export function readFilter(params: Json | undefined, maxUris: number): ListenFilter | string {
  const wanted = params?.['notifications'] ?? {}
  if (!isObject(wanted)) return 'params.notifications must be an object.'
  const uris = wanted['resourceSubscriptions'] ?? []
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string'))
    return 'params.notifications.resourceSubscriptions must be a list of URIs.'
  const unique = [...new Set(uris)]
  if (unique.length > maxUris)
    return `params.notifications.resourceSubscriptions names more than ${maxUris} resources.`
  return listenFilter(
    listChanges.filter(({ flag }) => wanted[flag] === true),
    unique,
  )
}

/** Whether a subscription to `own` covers this URI: it does what lies below it, too. */
export const coversUri = (own: string, uri: string): boolean =>
  own === uri || uri.startsWith(own.endsWith('/') ? own : `${own}/`)

/**
 * The `notifications` member of the listen request: every list change that the server offers, as a legacy server would
 * send it unasked, and the resources that the client has subscribed to. Undefined where there is nothing to listen to.
 */
export function changeFilter(serverCapabilities: unknown, uris: Iterable<string>): ListenFilter | undefined {
  const declared = isObject(serverCapabilities) ? serverCapabilities : {}
  const offered = listChanges.filter(({ capability }) => {
    const own = declared[capability]
    return isObject(own) && own['listChanged'] === true
  })
  const filter = listenFilter(offered, [...uris])
  return Object.keys(filter).length > 0 ? filter : undefined
}

/** Whether the server agreed to send anything at all. */
export function honoursAnything(acknowledged: JsonRpcMessage): boolean {
  const honoured = acknowledged.params?.['notifications']
  return !isObject(honoured) || Object.keys(honoured).length > 0
}

export const isAcknowledgement = (message: JsonRpcMessage): boolean =>
  message.method === 'notifications/subscriptions/acknowledged'

/** The id of the listen request that a message belongs to; undefined where it names none. */
export function subscriptionIdOf(message: JsonRpcMessage): unknown {
  const meta = message.params?.['_meta'] ?? message.result?.['_meta']
  return isObject(meta) ? meta[subscriptionIdKey] : undefined
}

/** A notification of the listen stream as the legacy era has it: the same object where nothing has to change. */
export function legacyNotification(message: JsonRpcMessage): JsonRpcMessage {
  if (!message.params) return message
  const params = withoutMeta(message.params, subscriptionIdKey)
  return params === message.params ? message : { ...message, params }
}

/** The same message for the stream of another listen request. */
export function withSubscriptionId(message: JsonRpcMessage, id: RequestId): JsonRpcMessage {
  const body = message.params ?? message.result ?? {}
  const named = { ...body, _meta: { ...(body['_meta'] as Json), [subscriptionIdKey]: id } }
  return message.params ? { ...message, params: named } : { ...message, result: named }
}
