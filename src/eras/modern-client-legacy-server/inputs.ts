// A modern client at a legacy server: the server's requests to the client as input that a call requires, and back.
import { isObject } from '../../base/is-object.ts'
import type { JsonRpcError, JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import type { Json } from '../json-object.ts'

/** Requests whose result may ask for input (MCP 2026-07-28, "Multi Round-Trip Requests: Supported Requests"). */
const askingMethods = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Whether this request's answer may be a round that asks the client for something. */
export const mayAskForInput = (method: string): boolean => askingMethods.has(method)

/** One value of `inputRequests`. */
export interface InputRequest {
  readonly method: string
  readonly params: Json
}

/** What becomes of a server's request: it is asked of the caller, answered at once, or refused towards the server. */
export type InputVerdict =
  | { readonly kind: 'ask'; readonly input: InputRequest }
  | { readonly kind: 'answer'; readonly result: Json }
  | { readonly kind: 'refuse'; readonly error: JsonRpcError; readonly requiredCapabilities?: Json }

/**
 * Judges a server's request that came during a call. `capabilities` is what the call's own request declares: a server
 * must not ask for more (MCP 2026-07-28, "Server Requirements (Basic Workflow)" 7).
 */
export function judgeServerRequest(
  asked: JsonRpcRequest,
  call: { readonly method: string; readonly capabilities: Json },
): InputVerdict {
  if (asked.method === 'ping') return { kind: 'answer', result: {} }
  const params = asked.params ?? {}
  const requiredCapabilities = requiredFor(asked.method, params)
  if (!requiredCapabilities)
    return refuse(-32601, `Method not found: ${asked.method} cannot be carried to this client.`)
  if (!mayAskForInput(call.method))
    return refuse(-32601, `The client cannot be asked for ${asked.method} during ${call.method}.`)
  if (!declares(call.capabilities, requiredCapabilities))
    return {
      ...refuse(-32601, `The client has not declared the capability for ${asked.method}.`),
      requiredCapabilities,
    }
  return { kind: 'ask', input: { method: asked.method, params: modernParams(params) } }
}

const refuse = (code: number, message: string) => ({ kind: 'refuse', error: { code, message } }) as const

/** The client capability that a server's request needs; undefined where the modern era cannot carry the request. */
function requiredFor(method: string, params: Json): Json | undefined {
  if (method === 'roots/list') return { roots: {} }
  if (method === 'sampling/createMessage') {
    const tools = params['tools'] !== undefined || params['toolChoice'] !== undefined
    return { sampling: tools ? { tools: {} } : {} }
  }
  if (method !== 'elicitation/create') return undefined
  return { elicitation: params['mode'] === 'url' ? { url: {} } : { form: {} } }
}

function declares(declared: Json, required: Json): boolean {
  return Object.entries(required).every(([name, wanted]) => {
    const own = declared[name]
    if (!isObject(own)) return false
    // An empty declaration means forms (MCP 2026-07-28, "Elicitation: Capabilities").
    const has = name === 'elicitation' && own['url'] === undefined ? { form: {}, ...own } : own
    return isObject(wanted) && Object.keys(wanted).every((key) => isObject(has[key]))
  })
}

/**
 * What a modern client does not know is left out: the token of progress that it could not report, the id of an
 * elicitation (removed in 2026-07-28), and the wish for a legacy task.
 */
function modernParams(legacyParams: Json): Json {
  const { elicitationId: _, task: __, _meta, ...params } = legacyParams
  if (!isObject(_meta)) return params
  const { progressToken: ___, ...meta } = _meta
  return Object.keys(meta).length > 0 ? { ...params, _meta: meta } : params
}

/** The result that asks the caller for input and tells it how to come back. */
export const inputRequiredResult = (
  inputRequests: Readonly<Record<string, InputRequest>>,
  requestState: string,
): Json => ({ resultType: 'input_required', inputRequests, requestState })

/** What is wrong with a request's `inputResponses` and `requestState`; undefined where nothing is. */
export function inputResponsesFault(params: Json): string | undefined {
  const { inputResponses, requestState } = params
  if (requestState !== undefined && typeof requestState !== 'string')
    return 'requestState must be the string that came with the input_required result.'
  if (inputResponses === undefined) return undefined
  if (!isObject(inputResponses) || !Object.values(inputResponses).every(isObject))
    return 'inputResponses must be an object whose members are result objects.'
  return undefined
}

/** Whether a response has the shape of a result of this request (ElicitResult, CreateMessageResult, ListRootsResult). */
export function isInputResponse({ method }: InputRequest, response: unknown): response is Json {
  if (!isObject(response)) return false
  if (method === 'elicitation/create')
    return ['accept', 'decline', 'cancel'].includes(String(response['action']))
  if (method === 'roots/list') return Array.isArray(response['roots'])
  return typeof response['role'] === 'string' && response['content'] !== undefined
}

/** A response as the legacy server gets it. */
export function toLegacyResponse(id: JsonRpcRequest['id'], response: Json): JsonRpcMessage {
  const { resultType: _, ...result } = response
  return { jsonrpc: '2.0', id, result }
}

/**
 * The elicitations of a legacy URLElicitationRequired error (-32042 in 2025-11-25, which must not be sent to a modern
 * client). The server keeps nothing of that call, so it is simply sent again afterwards and there is no state.
 * Undefined for any other error, and for one that does not say what to ask.
 */
export function urlElicitations(
  { code, data }: JsonRpcError,
  capabilities: Json,
):
  | { readonly kind: 'ask'; readonly inputRequests: Json; readonly requiredCapabilities?: undefined }
  | { readonly kind: 'refuse'; readonly requiredCapabilities: Json }
  | undefined {
  const elicitations = isObject(data) ? data['elicitations'] : undefined
  if (code !== -32042 || !Array.isArray(elicitations) || elicitations.length === 0) return undefined
  const requiredCapabilities = { elicitation: { url: {} } }
  if (!declares(capabilities, requiredCapabilities)) return { kind: 'refuse', requiredCapabilities }
  const asks = elicitations
    .filter(isObject)
    .map((params, i) => [`url-${i + 1}`, { method: 'elicitation/create', params: modernParams(params) }])
  return { kind: 'ask', inputRequests: Object.fromEntries(asks) as Json }
}
