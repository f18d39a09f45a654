// What the matrix's fixture server can do: its tools, each for both eras, against one small interface.
import { acceptedContent, inputRequired, ProtocolError } from '@modelcontextprotocol/server'
import type {
  CallToolResult,
  InputRequest,
  InputRequiredResult,
  Server,
  ServerContext,
  Tool,
} from '@modelcontextprotocol/server'
import { eraOf, knows, type Revision } from './revisions.ts'

/** Where tools leave what a test wants to see from outside. */
export interface Outside {
  /** One line for the test, such as `cancelled TOKEN`. */
  journal(line: string): void
  /** Tells whoever subscribed that a resource changed. */
  updated(uri: string): void
}

/** One call of a tool. */
interface Turn {
  readonly args: Readonly<Record<string, unknown>>
  readonly revision: Revision
  readonly server: Server
  readonly context: ServerContext
  readonly outside: Outside
}

type Answer = CallToolResult | InputRequiredResult

const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] })
const refusal = (value: string): CallToolResult => ({ ...text(value), isError: true })

/** A text whose every position differs from its neighbours, so that a lost or doubled piece is seen. */
export function patterned(bytes: number): string {
  const line = (index: number): string => `${index.toString(36).padStart(7, '0')};`
  return Array.from({ length: Math.ceil(bytes / 8) }, (_, index) => line(index))
    .join('')
    .slice(0, bytes)
}

/** What `throw` throws. */
export const thrown = {
  code: 4711,
  message: 'The fixture refuses on purpose',
  data: { reason: 'matrix', list: [1, 2] },
}

/** A question that needs another round of the modern era. */
class Unanswered extends Error {
  readonly request: InputRequest
  constructor(request: InputRequest) {
    super('asks the client')
    this.request = request
  }
}

type Question =
  | { readonly kind: 'elicitation'; readonly message: string }
  | { readonly kind: 'sampling'; readonly prompt: string }
  | { readonly kind: 'roots' }

const nameSchema = {
  type: 'object' as const,
  properties: { name: { type: 'string' as const, description: 'A name' } },
  required: ['name'],
}

/** The client's answer: pushed to it in the legacy era, taken from the retried request in the modern one. */
async function ask(turn: Turn, question: Question): Promise<Record<string, unknown>> {
  return eraOf(turn.revision) === 'modern' ? askedBefore(turn, question) : pushed(turn, question)
}

function askedBefore({ context }: Turn, question: Question): Record<string, unknown> {
  const responses = context.mcpReq.inputResponses
  const answer = responses?.['answer'] as Record<string, unknown> | undefined
  if (answer) {
    const content = acceptedContent<Record<string, unknown>>(responses, 'answer')
    return content ? { ...answer, content } : answer
  }
  if (question.kind === 'roots') throw new Unanswered(inputRequired.listRoots())
  if (question.kind === 'sampling')
    throw new Unanswered(inputRequired.createMessage(samplingParams(question.prompt)))
  throw new Unanswered(inputRequired.elicit({ message: question.message, requestedSchema: nameSchema }))
}

const samplingParams = (prompt: string) => ({
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: prompt } }],
  maxTokens: 16,
})

async function pushed({ context, server }: Turn, question: Question): Promise<Record<string, unknown>> {
  const has = server.getClientCapabilities() ?? {}
  if (!has[question.kind]) throw new Error(`Client does not support ${question.kind}`)
  const { send } = context.mcpReq
  if (question.kind === 'roots') return send({ method: 'roots/list' })
  if (question.kind === 'sampling')
    return send({ method: 'sampling/createMessage', params: samplingParams(question.prompt) })
  const params = { message: question.message, requestedSchema: nameSchema }
  return send({ method: 'elicitation/create', params })
}

type Run = (turn: Turn) => Promise<Answer> | Answer

interface FixtureTool {
  readonly description: string
  readonly inputSchema?: Tool['inputSchema']
  readonly outputSchema?: (revision: Revision) => Tool['outputSchema']
  readonly run: Run
}

const takes = (properties: Record<string, object>) => ({ type: 'object', properties }) as Tool['inputSchema']
const string = { type: 'string' }

async function slow({ args, context, outside }: Turn): Promise<Answer> {
  const { signal } = context.mcpReq
  outside.journal(`started ${String(args['token'])}`)
  const cancelled = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), 15_000)
    const stop = (): void => {
      clearTimeout(timer)
      resolve(true)
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  outside.journal(`${cancelled ? 'cancelled' : 'finished'} ${String(args['token'])}`)
  return text('slept')
}

async function progress({ args, context }: Turn): Promise<Answer> {
  const progressToken = context.mcpReq._meta?.progressToken
  const steps = Number(args['steps'])
  if (progressToken === undefined) return refusal('The call has no progress token')
  for (let step = 1; step <= steps; step++)
    await context.mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken, progress: step, total: steps },
    })
  return text(`${steps} steps`)
}

async function elicit(turn: Turn): Promise<Answer> {
  if (!knows(turn.revision, 'elicitation'))
    return refusal(`Revision ${turn.revision}, which this server speaks, has no elicitation`)
  const { action, content } = await ask(turn, { kind: 'elicitation', message: String(turn.args['question']) })
  return text(`${String(action)} ${String((content as { name?: unknown } | undefined)?.name)}`)
}

async function sample(turn: Turn): Promise<Answer> {
  const { content } = await ask(turn, { kind: 'sampling', prompt: String(turn.args['prompt']) })
  return text(`sampled ${String((content as { text?: unknown } | undefined)?.text)}`)
}

async function listRoots(turn: Turn): Promise<Answer> {
  const { roots } = await ask(turn, { kind: 'roots' })
  return text(`roots ${(roots as { uri: string }[]).map(({ uri }) => uri).join(' ')}`)
}

function add({ args, revision }: Turn): Answer {
  const sum = { sum: Number(args['a']) + Number(args['b']) }
  const plain = text(JSON.stringify(sum))
  return knows(revision, 'structuredContent') ? { ...plain, structuredContent: sum } : plain
}

const sumSchema = { type: 'object' as const, properties: { sum: { type: 'number' } }, required: ['sum'] }

const numbers = [3, 1, 2]
const numbersSchema = { type: 'array' as const, items: { type: 'number' } }
const wrappedSchema = { type: 'object' as const, properties: { result: numbersSchema }, required: ['result'] }

function countUp({ revision }: Turn): Answer {
  const plain = text(JSON.stringify(numbers))
  if (!knows(revision, 'structuredContent')) return plain
  return { ...plain, structuredContent: knows(revision, 'anyStructure') ? numbers : { result: numbers } }
}

/** Every kind of content that a revision knows. */
export function contentKinds(revision: Revision): CallToolResult['content'] {
  const data = Buffer.from('matrix').toString('base64')
  return [
    { type: 'text', text: 'kinds' },
    { type: 'image', data, mimeType: 'image/png' },
    { type: 'resource', resource: { uri: 'matrix://static', mimeType: 'text/plain', text: 'inside' } },
    ...(knows(revision, 'audio') ? [{ type: 'audio' as const, data, mimeType: 'audio/wav' }] : []),
    ...(knows(revision, 'resource_link')
      ? [{ type: 'resource_link' as const, uri: 'matrix://static', name: 'static', mimeType: 'text/plain' }]
      : []),
  ]
}

const fixtureTools: Readonly<Record<string, FixtureTool>> = {
  echo: {
    description: 'Answers its arguments',
    inputSchema: takes({ message: string }),
    run: ({ args }) => text(JSON.stringify(args)),
  },
  add: {
    description: 'Answers structured content',
    inputSchema: takes({ a: { type: 'number' }, b: { type: 'number' } }),
    outputSchema: () => sumSchema,
    run: add,
  },
  numbers: {
    description: 'Answers structured content that is no object, where there is such',
    outputSchema: (revision) => (knows(revision, 'anyStructure') ? numbersSchema : wrappedSchema),
    run: countUp,
  },
  kinds: {
    description: 'Answers every kind of content',
    run: ({ revision }) => ({ content: contentKinds(revision) }),
  },
  region: {
    description: 'Takes an argument that modern clients mirror into a header',
    inputSchema: takes({ region: { ...string, 'x-mcp-header': 'Region' } }),
    run: ({ args }) => text(`region ${String(args['region'])}`),
  },
  progress: {
    description: 'Reports progress',
    inputSchema: takes({ steps: { type: 'integer' } }),
    run: progress,
  },
  slow: { description: 'Waits until it is cancelled', inputSchema: takes({ token: string }), run: slow },
  elicit: { description: 'Asks the user for a name', inputSchema: takes({ question: string }), run: elicit },
  sample: { description: 'Asks the model', inputSchema: takes({ prompt: string }), run: sample },
  roots: { description: 'Asks for the roots', run: listRoots },
  fail: { description: 'Answers an error result', run: () => refusal('The tool failed on purpose') },
  throw: {
    description: 'Answers a JSON-RPC error',
    run: () => {
      throw new ProtocolError(thrown.code, thrown.message, thrown.data)
    },
  },
  large: {
    description: 'Answers many bytes',
    inputSchema: takes({ bytes: { type: 'integer' } }),
    run: ({ args }) => text(patterned(Number(args['bytes']))),
  },
  log: {
    description: 'Logs a line',
    inputSchema: takes({ line: string }),
    run: async ({ args, context }) => {
      await context.mcpReq.log('warning', String(args['line']), 'fixture')
      return text('logged')
    },
  },
  touch: {
    description: 'Changes a resource',
    inputSchema: takes({ uri: string }),
    run: ({ args, outside }) => {
      outside.updated(String(args['uri']))
      return text('touched')
    },
  },
}

export const toolNames: readonly string[] = Object.keys(fixtureTools)

/** The tools as a server of that revision lists them. */
export const listedTools = (revision: Revision): Tool[] =>
  Object.entries(fixtureTools).map(([name, { description, inputSchema, outputSchema }]) => ({
    name,
    description,
    inputSchema: inputSchema ?? { type: 'object' },
    ...(outputSchema && knows(revision, 'structuredContent') && { outputSchema: outputSchema(revision) }),
  }))

/** Runs one tool; errors other than protocol errors become error results, as in the SDK's own high-level server. */
export async function runTool(name: string, turn: Turn): Promise<Answer> {
  const tool = fixtureTools[name]
  if (!tool) throw new ProtocolError(-32602, `Unknown tool: ${name}`)
  try {
    return await tool.run(turn)
  } catch (error) {
    if (error instanceof Unanswered) return inputRequired({ inputRequests: { answer: error.request } })
    if (error instanceof ProtocolError) throw error
    return refusal(error instanceof Error ? error.message : String(error))
  }
}
