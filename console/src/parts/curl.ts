// A call as a command that makes it once more, in the modern era: one request, without a session (MCP 2026-07-28).

const version = '2026-07-28'

interface Repeated {
  /** Where the gateway is. */
  readonly origin: string
  readonly server: string
  readonly tool: string
  readonly inputs: unknown
}

export function curlOf({ origin, server, tool, inputs }: Repeated): string {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientInfo': { name: 'curl', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const params = { name: tool, arguments: inputs, _meta: meta }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
  const headers = [
    'Authorization: Bearer $TOLLBRIDGE_KEY',
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    `MCP-Protocol-Version: ${version}`,
    'Mcp-Method: tools/call',
    `Mcp-Name: ${tool}`,
  ]
  return [
    `curl --include ${origin}/mcp/${server} \\`,
    // In double quotes, so that the shell fills the key in.
    ...headers.map((header) => `  --header "${header.replaceAll(/["\\`]/g, String.raw`\$&`)}" \\`),
    `  --data '${body.replaceAll("'", String.raw`'\''`)}'`,
  ].join('\n')
}
