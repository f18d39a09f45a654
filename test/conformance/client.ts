// A client for the conformance suite's client mode, on the official SDK: `client.ts URL`, the scenario in the environment.
import { Client, StreamableHTTPClientTransport, type Tool } from '@modelcontextprotocol/client'
import { watchedFetch } from '../matrix/watched-fetch.ts'

interface ToolCall {
  readonly name: string
  readonly arguments: Record<string, unknown>
}

const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const version = process.env['MCP_CONFORMANCE_PROTOCOL_VERSION'] ?? '2025-11-25'
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as { toolCalls?: ToolCall[] }

/** What each scenario wants called, given what was listed; a scenario that is not here only lists. */
const callsOf: Readonly<Record<string, (tools: readonly Tool[]) => readonly ToolCall[]>> = {
  tools_call: () => [{ name: 'add_numbers', arguments: { a: 5, b: 3 } }],
  'elicitation-sep1034-client-defaults': () => [{ name: 'test_client_elicitation_defaults', arguments: {} }],
  'sse-retry': () => [{ name: 'test_reconnection', arguments: {} }],
  'http-standard-headers': callAll,
  'http-custom-headers': () => context.toolCalls ?? [],
  'http-invalid-tool-headers': callAll,
  'sep-2322-client-request-state': callAll,
  'json-schema-2020-12-preservation': (tools) =>
    tools
      .filter(({ name }) => name === 'json_schema_2020_12_tool')
      .map(({ inputSchema }) => ({ name: 'json_schema_echo', arguments: { schema: inputSchema } })),
}

function callAll(tools: readonly Tool[]): ToolCall[] {
  return tools.map(({ name, inputSchema }) => ({
    name,
    arguments: Object.fromEntries((inputSchema.required ?? []).map((key) => [key, 'x'])),
  }))
}

const client = new Client(
  { name: 'conformance-client', version: '1.0.0' },
  {
    capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
    versionNegotiation: { mode: version >= '2026-07-28' ? { pin: version } : 'legacy' },
  },
)
// The SDK fills in the defaults of what the form asks for.
client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: {} }))
client.setRequestHandler('sampling/createMessage', () => ({
  model: 'none',
  role: 'assistant',
  content: { type: 'text', text: 'pong' },
}))
client.setRequestHandler('roots/list', () => ({ roots: [] }))

const watched = watchedFetch({})
const url = new URL(process.argv[2] ?? '')
await client.connect(new StreamableHTTPClientTransport(url, { fetch: watched.fetch }))
// A scenario counts GETs: the session's own stream must not come between.
if (version < '2026-07-28') await watched.listening()
const { tools } = await client.listTools()
// One scenario answers what the SDK refuses, and looks only at what the client sends.
for (const call of callsOf[scenario]?.(tools) ?? [])
  await client.callTool(call).catch((error: unknown) => console.error(`${call.name}: ${String(error)}`))
if (scenario === 'http-standard-headers') {
  const { resources } = await client.listResources()
  for (const { uri } of resources) await client.readResource({ uri })
  const { prompts } = await client.listPrompts()
  for (const { name } of prompts) await client.getPrompt({ name })
}
await client.close()
// Streams that the server keeps open do not keep the client.
process.exit(0)
