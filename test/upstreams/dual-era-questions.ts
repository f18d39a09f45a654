// The fixture's tools that ask the client something: by a pushed request (legacy) or an input-required result (modern).
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
} from '@modelcontextprotocol/server'
import type {
  CallToolResult,
  ClientCapabilities,
  InputRequests,
  InputRequiredResult,
  McpServer,
  ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { noArguments, text } from './dual-era-tools.ts'

/** What a tool leaves with the caller between two rounds. */
interface RoundState {
  readonly tool: string
  readonly round?: number
  readonly name?: string
}

/** Seals the state that travels through the client; one key per process, since every modern request is a new server. */
export const roundStates = createRequestStateCodec<RoundState>({
  key: crypto.getRandomValues(new Uint8Array(32)),
})

type Answer = Promise<CallToolResult | InputRequiredResult>

const askForString = (message: string, name: string) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [name]: { type: 'string' } }, required: [name] },
  })
const askForConfirmation = () =>
  inputRequired.elicit({
    message: 'Please confirm',
    requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  })
const askForText = (prompt: string, maxTokens: number) =>
  inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
    maxTokens,
  })

/** The text of a sampling answer that came with a retried request. */
function sampledText(context: ServerContext, key: string): string | undefined {
  const answer = context.mcpReq.inputResponses?.[key] as { content?: { text?: unknown } } | undefined
  return typeof answer?.content?.text === 'string' ? answer.content.text : undefined
}

/** The roots that came with a retried request. */
function rootsOf(context: ServerContext, key: string): { uri?: string }[] | undefined {
  const answer = context.mcpReq.inputResponses?.[key] as { roots?: unknown } | undefined
  return Array.isArray(answer?.roots) ? (answer.roots as { uri?: string }[]) : undefined
}

const acceptedString = (context: ServerContext, key: string, name: string): string | undefined => {
  const value = acceptedContent<Record<string, unknown>>(context.mcpReq.inputResponses, key)?.[name]
  return typeof value === 'string' ? value : undefined
}

/** Every primitive type with a default value. */
const defaultsSchema = {
  type: 'object' as const,
  properties: {
    name: { type: 'string' as const, description: 'User name', default: 'John Doe' },
    age: { type: 'integer' as const, description: 'User age', default: 30 },
    score: { type: 'number' as const, description: 'User score', default: 95.5 },
    status: {
      type: 'string' as const,
      description: 'User status',
      enum: ['active', 'inactive', 'pending'],
      default: 'active',
    },
    verified: { type: 'boolean' as const, description: 'Verification status', default: true },
  },
  required: [],
}

const titled = (prefix: string, titles: string[]) =>
  titles.map((title, index) => ({ const: `${prefix}${index + 1}`, title }))

/** Every form of an enumeration that the specification knows. */
const enumsSchema = {
  type: 'object' as const,
  properties: {
    untitledSingle: { type: 'string' as const, enum: ['option1', 'option2', 'option3'] },
    titledSingle: {
      type: 'string' as const,
      oneOf: titled('value', ['First Option', 'Second Option', 'Third Option']),
    },
    legacyEnum: {
      type: 'string' as const,
      enum: ['opt1', 'opt2', 'opt3'],
      enumNames: ['Option One', 'Option Two', 'Option Three'],
    },
    untitledMulti: {
      type: 'array' as const,
      minItems: 1,
      maxItems: 3,
      items: { type: 'string' as const, enum: ['option1', 'option2', 'option3'] },
    },
    titledMulti: {
      type: 'array' as const,
      minItems: 1,
      maxItems: 3,
      items: { anyOf: titled('value', ['First Choice', 'Second Choice', 'Third Choice']) },
    },
  },
  required: [],
}

/** Whether a call came with a modern request's envelope. */
const isModern = (context: ServerContext): boolean => context.mcpReq.envelope !== undefined

/** A modern call's answer from the client; undefined in the first round. */
const answerOf = (context: ServerContext): Record<string, unknown> | undefined =>
  context.mcpReq.inputResponses?.['answer'] as Record<string, unknown> | undefined

/** Sends a request to the client in the middle of a call and tells in the answer how that went. */
async function asked<T>(ask: () => Promise<T>, tell: (result: T) => string): Promise<CallToolResult> {
  try {
    return text(tell(await ask()))
  } catch (error) {
    return text(`Not supported by this client: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Tools that ask in the middle of a call: pushed in the legacy era, by another round in the modern one. */
export function registerPushingTools(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'Asks the client for a completion', inputSchema: z.object({ prompt: z.string() }) },
    ({ prompt }, context) => completed(context, prompt),
  )
  server.registerTool(
    'test_elicitation',
    { description: 'Asks the user for a text', inputSchema: z.object({ message: z.string() }) },
    ({ message }, context) =>
      elicited(context, message, {
        type: 'object',
        properties: { response: { type: 'string', description: "User's response" } },
        required: ['response'],
      }),
  )
  server.registerTool(
    'test_elicitation_sep1034_defaults',
    { description: 'Asks with default values', inputSchema: noArguments },
    (_args, context) => elicited(context, 'Please review the defaults', defaultsSchema),
  )
  server.registerTool(
    'test_elicitation_sep1330_enums',
    { description: 'Asks with every form of enumeration', inputSchema: noArguments },
    (_args, context) => elicited(context, 'Please select from the lists', enumsSchema),
  )
}

type FormSchema = Extract<
  Parameters<ServerContext['mcpReq']['elicitInput']>[0],
  { requestedSchema: unknown }
>['requestedSchema']

function elicited(context: ServerContext, message: string, requestedSchema: FormSchema): Answer {
  const tell = ({ action, content }: { action?: string; content?: unknown }): string =>
    `User response: action=${action ?? 'none'}, content=${JSON.stringify(content ?? {})}`
  if (!isModern(context))
    return asked(
      () => context.mcpReq.send({ method: 'elicitation/create', params: { message, requestedSchema } }),
      tell,
    )
  const answer = answerOf(context)
  const inputRequests = { answer: inputRequired.elicit({ message, requestedSchema }) }
  return Promise.resolve(answer ? text(tell(answer)) : inputRequired({ inputRequests }))
}

function completed(context: ServerContext, prompt: string): Answer {
  const tell = ({ content }: { content?: unknown }): string => {
    const { type, text: said } = (content ?? {}) as { type?: string; text?: string }
    return `LLM response: ${type === 'text' ? said : 'none'}`
  }
  if (!isModern(context))
    return asked(
      () =>
        context.mcpReq.send({
          method: 'sampling/createMessage',
          params: { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 },
        }),
      tell,
    )
  const answer = answerOf(context)
  const inputRequests = { answer: askForText(prompt, 100) }
  return Promise.resolve(answer ? text(tell(answer)) : inputRequired({ inputRequests }))
}

/** Tools that answer `input_required` once, with one kind of question each (modern era). */
export function registerSingleRoundTools(server: McpServer): void {
  const tool = (name: string, description: string, run: (context: ServerContext) => Answer) =>
    server.registerTool(name, { description, inputSchema: noArguments }, (_args, context) => run(context))

  tool('test_missing_capability', 'Needs sampling, whatever the client declared', async (context) =>
    sampledText(context, 'llm_answer') === undefined
      ? inputRequired({ inputRequests: { llm_answer: askForText('Reply with one word: pong', 16) } })
      : text('sampled'),
  )
  tool('test_input_required_result_elicitation', 'Asks for a name', async (context) => {
    const name = acceptedString(context, 'user_name', 'name')
    return name === undefined
      ? inputRequired({ inputRequests: { user_name: askForString('What is your name?', 'name') } })
      : text(`Hello, ${name}!`)
  })
  tool('test_input_required_result_sampling', 'Asks for a completion', async (context) => {
    const answer = sampledText(context, 'capital_question')
    return answer === undefined
      ? inputRequired({
          inputRequests: { capital_question: askForText('What is the capital of France?', 100) },
        })
      : text(`Sampling response: ${answer}`)
  })
  tool('test_input_required_result_list_roots', 'Asks for the roots', async (context) => {
    const roots = rootsOf(context, 'client_roots')
    return roots
      ? text(`Client exposed ${roots.length} root(s): ${roots.map((root) => root.uri).join(', ')}`)
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
  })
  tool('test_input_required_result_capabilities', 'Asks only what the client can answer', async (context) => {
    if (context.mcpReq.inputResponses !== undefined) return text('answered')
    const envelope = context.mcpReq.envelope as Record<string, ClientCapabilities | undefined> | undefined
    // A legacy client has declared them once, in its handshake.
    const declared = envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? server.server.getClientCapabilities()
    const inputRequests: InputRequests = {}
    if (declared?.elicitation) inputRequests['user_name'] = askForString('What is your name?', 'name')
    if (declared?.sampling) inputRequests['greeting'] = askForText('Generate a short greeting', 50)
    if (declared?.roots) inputRequests['client_roots'] = inputRequired.listRoots()
    return Object.keys(inputRequests).length > 0
      ? inputRequired({ inputRequests })
      : text('the client declared nothing that could be asked')
  })
}

/** Tools whose rounds hang together by a sealed request state (modern era). */
export function registerStatefulRoundTools(server: McpServer): void {
  const tool = (name: string, description: string, run: (context: ServerContext) => Answer) =>
    server.registerTool(name, { description, inputSchema: noArguments }, (_args, context) => run(context))
  const confirmed = (context: ServerContext) =>
    acceptedContent(context.mcpReq.inputResponses, 'confirm') !== undefined &&
    context.mcpReq.requestState<RoundState>() !== undefined

  for (const name of ['request_state', 'tampered_state'])
    tool(`test_input_required_result_${name}`, 'Asks for a confirmation under a seal', async (context) =>
      confirmed(context)
        ? text(name === 'request_state' ? 'state-ok' : 'integrity-ok')
        : inputRequired({
            inputRequests: { confirm: askForConfirmation() },
            requestState: await roundStates.mint({ tool: name }),
          }),
    )
  tool('test_input_required_result_multiple_inputs', 'Asks three things in one round', async (context) => {
    const name = acceptedString(context, 'user_name', 'name')
    const greeting = sampledText(context, 'greeting')
    const roots = rootsOf(context, 'client_roots')
    if (name !== undefined && greeting !== undefined && roots)
      return text(`${greeting} ${name}, ${roots.length} root(s) visible`)
    return inputRequired({
      inputRequests: {
        user_name: askForString('What is your name?', 'name'),
        greeting: askForText('Generate a greeting', 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await roundStates.mint({ tool: 'multiple_inputs' }),
    })
  })
  tool('test_input_required_result_multi_round', 'Asks twice, one after the other', async (context) => {
    const state = context.mcpReq.requestState<RoundState>()
    const round = state?.tool === 'multi_round' ? (state.round ?? 0) : 0
    if (round === 0)
      return inputRequired({
        inputRequests: { step1: askForString('Step 1: What is your name?', 'name') },
        requestState: await roundStates.mint({ tool: 'multi_round', round: 1 }),
      })
    if (round === 1) {
      const name = acceptedString(context, 'step1', 'name') ?? 'unknown'
      return inputRequired({
        inputRequests: { step2: askForString('Step 2: What is your favorite color?', 'color') },
        requestState: await roundStates.mint({ tool: 'multi_round', round: 2, name }),
      })
    }
    return text(`${state?.name ?? 'unknown'} likes ${acceptedString(context, 'step2', 'color') ?? 'unknown'}`)
  })
}

/** A prompt that asks before it renders. */
export function registerAskingPrompt(server: McpServer): void {
  server.registerPrompt(
    'test_input_required_result_prompt',
    { title: 'Asking prompt', description: 'Asks for its context before it renders' },
    // Without arguments the callback's only parameter is the context, which the declared type does not say.
    async (given: unknown) => {
      const context = acceptedString(given as ServerContext, 'user_context', 'context')
      if (context === undefined)
        return inputRequired({
          inputRequests: { user_context: askForString('What context should the prompt use?', 'context') },
        })
      const content = { type: 'text' as const, text: `Use the following context: ${context}` }
      return { messages: [{ role: 'user' as const, content }] }
    },
  )
}
