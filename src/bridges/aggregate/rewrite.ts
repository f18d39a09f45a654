// Messages on their way between an aggregate's caller and one member: its own names towards it, the aggregate's back.
import { isObject } from '../../base/is-object.ts'
import { exactly } from '../../eras/exact-json.ts'
import type { Json } from '../../eras/json-object.ts'
import { withEach } from '../../eras/revisions.ts'
import type { UpstreamMessage, UpstreamRequest } from '../../upstreams/upstream.ts'
import { encodeHeaderValue, mirroredName } from '../../wire/headers.ts'
import { isResponse, type JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { Address, ExposedMember } from './names.ts'

/** The request as its member knows it: body and mirrored header name what is the member's own. */
export function toMember(request: UpstreamRequest, address: Address): UpstreamRequest {
  const { message, body, headers } = request
  const changed = withOwnName(message, address)
  const exact = exactly(message, body)
  const written = exact === message ? changed : withOwnName(exact, address)
  const isMirrored = mirroredName(message) !== undefined
  return {
    message: changed,
    body: Buffer.from(JSON.stringify(written)),
    headers: isMirrored ? { ...headers, 'mcp-name': encodeHeaderValue(address.name) } : headers,
  }
}

function withOwnName(message: JsonRpcMessage, { kind, name }: Address): JsonRpcMessage {
  const params = message.params ?? {}
  if (message.method !== 'completion/complete') return { ...message, params: { ...params, [kind]: name } }
  return { ...message, params: { ...params, ref: { ...(params['ref'] as Json), [kind]: name } } }
}

/** A message of the member as the caller gets it; the same one where it names no resource. */
export function fromMember(
  received: UpstreamMessage,
  request: JsonRpcMessage,
  address: Address,
): UpstreamMessage {
  const { message, bytes } = received
  if (!message || !isResponse(message)) return received
  const changed = answerFor(message, request, address)
  if (changed === message) return received
  const exact = exactly(message, bytes)
  const written = exact === message ? changed : answerFor(exact, request, address)
  return { message: changed, bytes: Buffer.from(JSON.stringify(written)) }
}

function answerFor(answer: JsonRpcMessage, request: JsonRpcMessage, address: Address): JsonRpcMessage {
  const { result, error } = answer
  // "Resource not found" says which one in its data.
  if (error && isObject(error.data) && error.data['uri'] === address.name)
    return { ...answer, error: { ...error, data: { ...error.data, uri: request.params?.['uri'] } } }
  // A question to the user is the member's and goes through as it is.
  if (!result || result['resultType'] === 'input_required') return answer
  const changed = resultFor(result, request.method, address.member)
  return changed === result ? answer : { ...answer, result: changed }
}

function resultFor(result: Json, method: string | undefined, member: ExposedMember): Json {
  if (method === 'tools/call') return withEach(result, 'content', (block) => blockFor(block, member))
  if (method === 'resources/read') return withEach(result, 'contents', (content) => withUri(content, member))
  if (method !== 'prompts/get') return result
  return withEach(result, 'messages', (message) => {
    const { content } = message
    if (!isObject(content)) return withEach(message, 'content', (block) => blockFor(block, member))
    const block = blockFor(content, member)
    return block === content ? message : { ...message, content: block }
  })
}

function blockFor(block: Json, member: ExposedMember): Json {
  if (block['type'] === 'resource_link') return withUri(block, member)
  const { resource } = block
  if (block['type'] !== 'resource' || !isObject(resource)) return block
  return { ...block, resource: withUri(resource, member) }
}

const withUri = (object: Json, member: ExposedMember): Json =>
  typeof object['uri'] === 'string' ? { ...object, uri: member.prefixed(object['uri']) } : object
