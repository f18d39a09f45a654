// A modern client at a legacy server: `subscriptions/listen` and the legacy notifications that it stands for.
import { isObject } from '../../base/is-object.ts'
import type { JsonRpcMessage, RequestId } from '../../wire/json-rpc.ts'
import {
  coversUri,
  listChanges,
  listenFilter,
  resourceUpdated,
  subscriptionIdKey,
  type ListenFilter,
} from '../change-filter.ts'
import type { Json } from '../json-object.ts'
import { withServerInfo } from './server.ts'

/** Whether a legacy notification is one that listeners hear. */
export const isChange = (method: string | undefined): boolean =>
  method === resourceUpdated || listChanges.some((list) => list.method === method)

/** The part of a filter that the server can honour by its capabilities. */
export function honoured(filter: ListenFilter, capabilities: Json): ListenFilter {
  const can = (name: string, what: string): boolean => {
    const own = capabilities[name]
    return isObject(own) && own[what] === true
  }
  const lists = listChanges.filter(({ flag, capability }) => filter[flag] && can(capability, 'listChanged'))
  const uris = can('resources', 'subscribe') ? (filter.resourceSubscriptions ?? []) : []
  return listenFilter(lists, uris)
}

/** Whether a listener with this filter hears this notification. A subscription covers what lies below its URI. */
export function isHeard({ method, params }: JsonRpcMessage, filter: ListenFilter): boolean {
  if (method !== resourceUpdated)
    return listChanges.some((list) => list.method === method && filter[list.flag] === true)
  const uri = params?.['uri']
  if (typeof uri !== 'string') return false
  return (filter.resourceSubscriptions ?? []).some((own) => coversUri(own, uri))
}

/** What two equal notifications have in common: hearing of a change once is as good as twice. */
export const changeKey = ({ method, params }: JsonRpcMessage): string =>
  method === resourceUpdated ? `${method} ${String(params?.['uri'])}` : (method ?? '')

/** Every change that a listener could have missed, as notifications. */
export function missedChanges(filter: ListenFilter): JsonRpcMessage[] {
  const lists = listChanges
    .filter(({ flag }) => filter[flag])
    .map(({ method }): JsonRpcMessage => ({ jsonrpc: '2.0', method }))
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
  const own = { ...(isObject(meta) ? meta : {}), [subscriptionIdKey]: id }
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
  const _meta = { ...withServerInfo({}, serverInfo), [subscriptionIdKey]: id }
  return { jsonrpc: '2.0', id, result: { resultType: 'complete', _meta } }
}
