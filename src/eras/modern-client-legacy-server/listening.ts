// A modern client at a legacy server: `subscriptions/listen` and the legacy notifications that it stands for.
import { isObject } from '../../base/is-object.ts'
import type { JsonRpcMessage, RequestId } from '../../wire/json-rpc.ts'
import type { Json } from '../json-object.ts'
import { modernMetaKeys, withServerInfo } from './server.ts'

/** What a listener wants to hear, or what it will hear (MCP 2026-07-28, "Notification Filter"). */
export interface ListenFilter {
  readonly toolsListChanged?: true
  readonly promptsListChanged?: true
  readonly resourcesListChanged?: true
  readonly resourceSubscriptions?: readonly string[]
}

const listChanges = [
  ['toolsListChanged', 'tools', 'notifications/tools/list_changed'],
  ['promptsListChanged', 'prompts', 'notifications/prompts/list_changed'],
  ['resourcesListChanged', 'resources', 'notifications/resources/list_changed'],
] as const
const resourceUpdated = 'notifications/resources/updated'

/** Whether a legacy notification is one that listeners hear. */
export const isChange = (method: string | undefined): boolean =>
  method === resourceUpdated || listChanges.some(([, , changed]) => changed === method)

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
  const lists = listChanges.filter(([key]) => wanted[key] === true).map(([key]) => [key, true])
  return { ...Object.fromEntries(lists), ...(unique.length > 0 && { resourceSubscriptions: unique }) }
}

/** The part of a filter that the server can honour by its capabilities. */
export function honoured(filter: ListenFilter, capabilities: Json): ListenFilter {
  const can = (name: string, what: string): boolean => {
    const own = capabilities[name]
    return isObject(own) && own[what] === true
  }
  const lists = listChanges
    .filter(([key, name]) => filter[key] && can(name, 'listChanged'))
    .map(([key]) => [key, true])
  const uris = can('resources', 'subscribe') ? (filter.resourceSubscriptions ?? []) : []
  return { ...Object.fromEntries(lists), ...(uris.length > 0 && { resourceSubscriptions: uris }) }
}

/** Whether a listener with this filter hears this notification. A subscription covers what lies below its URI. */
export function isHeard({ method, params }: JsonRpcMessage, filter: ListenFilter): boolean {
  if (method !== resourceUpdated)
    return listChanges.some(([key, , changed]) => changed === method && filter[key] === true)
  const uri = params?.['uri']
  if (typeof uri !== 'string') return false
  return (filter.resourceSubscriptions ?? []).some(
    (own) => own === uri || uri.startsWith(own.endsWith('/') ? own : `${own}/`),
  )
}

/** What two equal notifications have in common: hearing of a change once is as good as twice. */
export const changeKey = ({ method, params }: JsonRpcMessage): string =>
  method === resourceUpdated ? `${method} ${String(params?.['uri'])}` : (method ?? '')

/** Every change that a listener could have missed, as notifications. */
export function missedChanges(filter: ListenFilter): JsonRpcMessage[] {
  const lists = listChanges
    .filter(([key]) => filter[key])
    .map(([, , method]): JsonRpcMessage => ({ jsonrpc: '2.0', method }))
  const updates = (filter.resourceSubscriptions ?? []).map((uri): JsonRpcMessage => ({
    jsonrpc: '2.0',
    method: resourceUpdated,
    params: { uri },
  }))
  return [...lists, ...updates]
}

/** A notification as this listener gets it: the subscription is named by the id of the listen request. */
export function forListener(notification: JsonRpcMessage, id: RequestId): JsonRpcMessage {
  const meta = notification.params?.['_meta']
  const own = { ...(isObject(meta) ? meta : {}), [modernMetaKeys.subscriptionId]: id }
  return { ...notification, params: { ...notification.params, _meta: own } }
}

/** The first message of a subscription. */
export const acknowledged = (id: RequestId, filter: ListenFilter): JsonRpcMessage =>
  forListener(
    {
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: filter },
    },
    id,
  )

/** The last message of a subscription that ends on the server's side ("Graceful Closure"). */
export function listenClosed(id: RequestId, serverInfo: Json | undefined): JsonRpcMessage {
  const _meta = { ...withServerInfo({}, serverInfo), [modernMetaKeys.subscriptionId]: id }
  return { jsonrpc: '2.0', id, result: { resultType: 'complete', _meta } }
}
