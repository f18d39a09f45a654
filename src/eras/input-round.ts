// One round of input that a modern server asks for: the questions that a legacy client is asked for it, or why it cannot be.
import { isObject } from '../base/is-object.ts'
import { without, type Json } from './json-object.ts'
import { contentForRevision, withEach, type Revision } from './revisions.ts'

/** A request for the client; `key` is its name in the server's `inputRequests` and in the `inputResponses`. */
export interface Question {
  readonly key: string
  readonly method: string
  readonly params?: Json
}

export type InputRound =
  | { readonly kind: 'ask'; readonly questions: readonly Question[] }
  /** `detail` is a sentence for the caller. */
  | { readonly kind: 'refuse'; readonly detail: string }

export interface RoundOptions {
  readonly revision: Revision
  /** What the client declared, as `usableCapabilities` leaves it. */
  readonly capabilities: Json
  readonly maxQuestions: number
  /** A new id that nobody can guess, for URL elicitations: 2025-11-25 wants one and the modern era has none. */
  readonly mintId: () => string
}

/**
 * The client's capabilities without those that its revision has no messages for. Only these are declared to the
 * modern server, so that a server that keeps to them asks nothing that cannot be carried.
 */
export function usableCapabilities(declared: unknown, revision: Revision): Json {
  // Tasks of 2025-11-25 are another thing than the modern extension of that name.
  const { elicitation, sampling, ...rest } = without(isObject(declared) ? declared : {}, 'tasks')
  const modes = isObject(elicitation) ? usableModes(elicitation, revision) : undefined
  const usableSampling = isObject(sampling) && !revision.samplingTools ? without(sampling, 'tools') : sampling
  return {
    ...rest,
    ...(usableSampling !== undefined && { sampling: usableSampling }),
    ...(modes && { elicitation: modes }),
  }
}

/** A declaration without any mode means forms, as 2025-06-18 had it. */
function usableModes(elicitation: Json, { elicitation: known }: Revision): Json | undefined {
  if (!known.includes('form')) return undefined
  if (known.includes('url')) return elicitation
  return elicitation['form'] === undefined && elicitation['url'] !== undefined
    ? undefined
    : without(elicitation, 'url')
}

/** The questions of an `input_required` result (MCP 2026-07-28, "Multi Round-Trip Requests"), all or none. */
export function planRound(result: Json, options: RoundOptions): InputRound {
  const { inputRequests, requestState } = result
  if (inputRequests !== undefined && !isObject(inputRequests))
    return refuse('The MCP server asked for input in a form that cannot be read; report it to its operator.')
  const entries = Object.entries(inputRequests ?? {})
  if (entries.length === 0 && requestState === undefined)
    return refuse('The MCP server asked for input without saying what; report it to its operator.')
  if (entries.length > options.maxQuestions)
    return refuse(
      `The MCP server asked ${entries.length} questions at once; at most ${options.maxQuestions} can be passed on.`,
    )
  const questions: Question[] = []
  for (const [key, entry] of entries) {
    const asked = readQuestion(key, entry, options)
    if (typeof asked === 'string') return refuse(asked)
    questions.push(asked)
  }
  return { kind: 'ask', questions }
}

const refuse = (detail: string): InputRound => ({ kind: 'refuse', detail })

/**
 * The params of the retry: those of the first try, with the answers of this round alone and the server's state as it
 * came. `answers` is undefined for a round without questions.
 */
export function retryParams(params: Json | undefined, result: Json, answers: Json | undefined): Json {
  const state = result['requestState']
  return {
    ...without(params ?? {}, 'inputResponses', 'requestState'),
    ...(answers && { inputResponses: answers }),
    ...(state !== undefined && { requestState: state }),
  }
}

function readQuestion(key: string, entry: unknown, options: RoundOptions): Question | string {
  const method = isObject(entry) ? entry['method'] : undefined
  const params = isObject(entry) && isObject(entry['params']) ? entry['params'] : undefined
  if (method === 'roots/list')
    return isObject(options.capabilities['roots'])
      ? { key, method, ...(params && { params }) }
      : undeclared('the roots of the client', 'roots')
  if (method === 'sampling/createMessage' && params) return readSampling(key, params, options)
  if (method === 'elicitation/create' && params) return readElicitation(key, params, options)
  return `The MCP server asked for ${typeof method === 'string' ? method : 'something'} in a form that cannot be passed on to this client.`
}

const undeclared = (what: string, capability: string): string =>
  `The MCP server asked for ${what}, and this client did not declare ${capability}; call again with a client that does.`

const unknownTo = (what: string, { version }: Revision): string =>
  `The MCP server asked for ${what}, which protocol revision ${version} of this session has no message for; connect with a newer client.`

function readSampling(
  key: string,
  params: Json,
  { revision, capabilities }: RoundOptions,
): Question | string {
  const { sampling } = capabilities
  if (!isObject(sampling)) return undeclared('a completion', 'sampling')
  const withTools = params['tools'] !== undefined || params['toolChoice'] !== undefined
  if (withTools && !revision.samplingTools) return unknownTo('a completion with tools', revision)
  if (withTools && !isObject(sampling['tools']))
    return undeclared('a completion with tools', 'sampling.tools')
  return { key, method: 'sampling/createMessage', params: samplingParams(params, revision) }
}

/** Before 2025-11-25 a message of a conversation has one block of content. */
function samplingParams(params: Json, revision: Revision): Json {
  const { messages } = params
  if (revision.samplingTools || !Array.isArray(messages)) return params
  const single = messages.flatMap((message: unknown) => {
    if (!isObject(message) || !Array.isArray(message['content'])) return [message]
    return message['content'].map((content: unknown) => ({ ...message, content }))
  })
  return withEach({ ...params, messages: single }, 'messages', (message) => {
    const { content } = message
    return isObject(content) ? { ...message, content: contentForRevision(content, revision) } : message
  })
}

function readElicitation(key: string, params: Json, options: RoundOptions): Question | string {
  const { revision, capabilities, mintId } = options
  const { elicitation } = capabilities
  const method = 'elicitation/create'
  if (params['mode'] === 'url') {
    if (!revision.elicitation.includes('url')) return unknownTo('a visit to a web page', revision)
    if (!isObject(elicitation) || elicitation['url'] === undefined)
      return undeclared('a visit to a web page', 'elicitation.url')
    return { key, method, params: { elicitationId: mintId(), ...params } }
  }
  if (!revision.elicitation.includes('form')) return unknownTo('an input of the user', revision)
  const forms =
    isObject(elicitation) && (elicitation['form'] !== undefined || elicitation['url'] === undefined)
  if (!forms) return undeclared('an input of the user', 'elicitation')
  if (revision.choiceForms) return { key, method, params }
  const schema = plainForm(params['requestedSchema'])
  if (schema === undefined) return unknownTo('a choice of several values', revision)
  return { key, method, params: { ...without(params, 'mode'), requestedSchema: schema } }
}

/**
 * A form as 2025-06-18 knows it: titled choices as `enum` with `enumNames`. Fields with several choices have no form
 * there: one that need not be filled in is left out, for one that must be there is no plain form at all.
 */
function plainForm(schema: unknown): unknown {
  if (!isObject(schema) || !isObject(schema['properties'])) return schema
  const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
  const properties: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(schema['properties'])) {
    if (!isObject(field) || field['type'] !== 'array') properties[name] = plainChoice(field)
    else if (required.includes(name)) return undefined
  }
  return { ...schema, properties }
}

function plainChoice(field: unknown): unknown {
  const choices = isObject(field) ? field['oneOf'] : undefined
  if (!isObject(field) || !Array.isArray(choices) || !choices.every(isObject)) return field
  return {
    ...without(field, 'oneOf'),
    enum: choices.map((choice) => choice['const']),
    enumNames: choices.map((choice) => choice['title'] ?? choice['const']),
  }
}
