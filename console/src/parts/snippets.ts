// What each client is told of a server behind the gateway.

interface Place {
  /** Where the gateway is. */
  readonly origin: string
  /** The server's name. */
  readonly name: string
}

const json = (value: object): string => JSON.stringify(value, undefined, 2)

export function snippets({ origin, name }: Place): { readonly client: string; readonly text: string }[] {
  const url = `${origin}/mcp/${name}`
  const headers = { Authorization: 'Bearer tb_…' }
  const body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"me","version":"1"}}}`
  return [
    {
      client: 'Claude Code',
      text: `claude mcp add --transport http ${name} ${url} --header "Authorization: Bearer tb_…"`,
    },
    {
      client: 'Claude Desktop',
      text: json({
        mcpServers: {
          [name]: {
            command: 'npx',
            args: ['tollbridge', 'connect', name],
            env: { TOLLBRIDGE_URL: origin, TOLLBRIDGE_KEY: 'tb_…' },
          },
        },
      }),
    },
    { client: 'Cursor', text: json({ mcpServers: { [name]: { url, headers } } }) },
    { client: 'VS Code', text: json({ servers: { [name]: { type: 'http', url, headers } } }) },
    {
      client: 'curl',
      text: `curl ${url} -H 'authorization: Bearer tb_…' -H 'content-type: application/json' \\
  -H 'accept: application/json, text/event-stream' -d '${body}'`,
    },
    {
      client: 'TypeScript',
      text: `import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

const transport = new StreamableHTTPClientTransport(new URL('${url}'), {
  requestInit: { headers: { authorization: 'Bearer tb_…' } },
})
const client = new Client({ name: 'me', version: '1' })
await client.connect(transport)
console.log(await client.listTools())`,
    },
    {
      client: 'Python',
      text: `from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

async with streamablehttp_client("${url}", headers={"Authorization": "Bearer tb_…"}) as (read, write, _):
    async with ClientSession(read, write) as session:
        await session.initialize()
        print(await session.list_tools())`,
    },
  ]
}
