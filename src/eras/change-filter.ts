// What a legacy client hears without asking, as the filter of a modern `subscriptions/listen`, and what comes of it.
import { isObject } from '../base/is-object.ts'
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'
import { withoutMeta, type Json } from './json-object.ts'

/** Names the listen request whose stream a notification belongs to (MCP 2026-07-28, "Subscriptions"). */
export const subscriptionIdKey = 'io.modelcontextprotocol/subscriptionId'

const listChanges = [
  ['tools', 'toolsListChanged'],
  ['prompts', 'promptsListChanged'],
  ['resources', 'resourcesListChanged'],
] as const

/**
 * The `notifications` member of the listen request: every list change that the server offers, as a legacy server would
 * send it unasked, and the resources that the client has subscribed to. Undefined where there is nothing to listen to.
 */
export function changeFilter(serverCapabilities: unknown, uris: Iterable<string>): Json | undefined {
  const declared = isObject(serverCapabilities) ? serverCapabilities : {}
  const filter: Record<string, unknown> = {}
  for (const [capability, member] of listChanges) {
    const own = declared[capability]
    if (isObject(own) && own['listChanged'] === true) filter[member] = true
  }
  const resourceSubscriptions = [...uris]
  if (resourceSubscriptions.length > 0) filter['resourceSubscriptions'] = resourceSubscriptions
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
