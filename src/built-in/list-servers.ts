// list_servers: the MCP servers and bundles that the caller may use, with their endpoints.
import { z } from 'zod'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import { defineTool, type BuiltInTool } from './tool.ts'

export interface ServersDeps {
  /** Everything that answers under `/mcp/{name}` and that this caller may use, the built-in server too. */
  readonly listServers: (caller: Principal) => readonly Server[]
  readonly publicUrl: () => string
}

const maxServers = 500

const output = z.strictObject({
  servers: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.enum(['server', 'bundle', 'built-in']).describe('A bundle is several servers as one.'),
      description: z.string().optional(),
      status: z.enum(['registered', 'active', 'inactive', 'error']),
      url: z.string().describe('Its endpoint over Streamable HTTP.'),
    }),
  ),
  moreServers: z.int().describe('Servers that are left out.'),
})

export const listServers = ({ listServers: list, publicUrl }: ServersDeps): BuiltInTool =>
  defineTool({
    name: 'list_servers',
    title: 'Servers',
    description: 'The MCP servers that you may use through this gateway, and where each one is.',
    input: z.strictObject({}),
    output,
    run: (_, caller) => {
      const all = list(caller).toSorted((a, b) => (a.name < b.name ? -1 : 1))
      const shown = all.slice(0, maxServers)
      const names = shown.slice(0, 50).map(({ name }) => name)
      const servers = shown.map(({ name, description, status, transport }) => ({
        name,
        kind: kindOf(transport),
        ...(description !== undefined && { description }),
        status,
        url: `${publicUrl().replace(/\/$/, '')}/mcp/${name}`,
      }))
      return {
        text: `You may use ${all.length}: ${names.join(', ')}${all.length > names.length ? ', …' : '.'}`,
        data: { servers, moreServers: all.length - shown.length },
      }
    },
  })

function kindOf({ type }: Server['transport']): 'server' | 'bundle' | 'built-in' {
  if (type === 'aggregate') return 'bundle'
  return type === 'built-in' ? type : 'server'
}
