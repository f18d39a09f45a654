// A small MCP server over stdio for the demo: `sample-server.ts NAME` offers what that name stands for.
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { sampleTools, tokensKey, type SampleServer } from './sample-tools.ts'

interface Request {
  readonly id?: string | number
  readonly method: string
  readonly params?: {
    readonly name?: string
    readonly arguments?: Readonly<Record<string, string>>
    readonly protocolVersion?: string
  }
}

const name = process.argv[2] as SampleServer
const tools = sampleTools[name]

/** The result of a request; undefined where its method is unknown. */
async function resultOf({ method, params = {} }: Request): Promise<unknown> {
  if (method === 'ping') return {}
  if (method === 'initialize')
    return {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: `tollbridge-demo-${name}`, version: '1.0.0' },
    }
  if (method === 'tools/list') return { tools: tools.map(listed) }
  return method === 'tools/call' ? run(params.name, params.arguments) : undefined
}

const listed = ({ name: tool, description, inputs }: (typeof tools)[number]) => ({
  name: tool,
  description,
  inputSchema: {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(inputs).map(([input, said]) => [input, { type: 'string', description: said }]),
    ),
    required: Object.keys(inputs),
  },
})

async function run(wanted: string | undefined, inputs: Readonly<Record<string, string>> = {}) {
  const tool = tools.find((each) => each.name === wanted)
  if (!tool) return failed(`There is no tool ${wanted}.`)
  const missing = Object.keys(tool.inputs).find((input) => typeof inputs[input] !== 'string')
  if (missing !== undefined) return failed(`The argument ${missing} is missing; it is a text.`)
  await pause(tool.takesMs)
  const text = tool.answer(inputs)
  const tokens = tool.tokens?.(Object.values(inputs).join(' '))
  return {
    content: [{ type: 'text', text }],
    ...(tokens !== undefined && { _meta: { [tokensKey]: tokens } }),
  }
}

const failed = (text: string) => ({ content: [{ type: 'text', text }], isError: true })

for await (const line of createInterface(process.stdin)) {
  const request = JSON.parse(line) as Request
  if (request.id === undefined) continue
  void resultOf(request).then((result) => {
    const answer =
      result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result }
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: request.id, ...answer })}\n`)
  })
}
