// The messages that the benches send, of both eras, and what a right answer is.

const legacyVersion = '2025-11-25'
export const modernVersion = '2026-07-28'

const clientInfo = { name: 'bench', version: '1.0.0' }
const prefix = 'io.modelcontextprotocol/'

export type Era = 'legacy' | 'modern'

const meta = {
  [`${prefix}protocolVersion`]: modernVersion,
  [`${prefix}clientCapabilities`]: {},
  [`${prefix}clientInfo`]: clientInfo,
}

export const initialize = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: legacyVersion, capabilities: {}, clientInfo },
}

export const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' }

export const callOf = (id: number, era: Era) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: {
    ...(era === 'modern' && { _meta: meta }),
    name: 'work',
    arguments: { customer: 'c-1204', text: 'y'.repeat(100), limit: 25, exact: true },
  },
})

/** The headers of a call over Streamable HTTP. */
export const callHeaders = (era: Era, session?: string): Record<string, string> => ({
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  ...(era === 'modern'
    ? { 'mcp-protocol-version': modernVersion, 'mcp-method': 'tools/call', 'mcp-name': 'work' }
    : session !== undefined && { 'mcp-session-id': session, 'mcp-protocol-version': legacyVersion }),
})

/** Whether `text` is the whole answer to the call `id`: as long as it should be, and of nothing but the upstream's letter. */
export function isRight(text: string, id: number): boolean {
  const answer = JSON.parse(text) as {
    id?: unknown
    result?: { isError?: boolean; content?: readonly { text?: string }[] }
  }
  const said = answer.result?.content?.[0]?.text
  return answer.id === id && answer.result?.isError !== true && /^x{900,}$/.test(said ?? '')
}
