// The route that calls a tool, for people who try one out: answered, limited, billed and recorded as any other call.
import { z } from 'zod'
import type { Registry } from '../../../registry/servers.ts'
import { callTool, type ToolCallParts } from '../../../transports/tool-call.ts'
import { defineRoute, type Route } from '../route.ts'
import { getUsable } from './server-access.ts'

export interface ToolCallDeps {
  readonly registry: Registry
  readonly relay: ToolCallParts['relay']
  readonly paramChecks: Pick<ToolCallParts, 'inputSchema'>
}

const object = z.record(z.string(), z.unknown())
const answerShape = z
  .strictObject({
    result: object.optional().describe('Of the server, as it came: `isError` says that the tool failed.'),
    error: z
      .strictObject({ code: z.int(), message: z.string(), data: z.unknown().optional() })
      .optional()
      .describe('Of the server, where it has no result.'),
    callId: z.string().optional().describe('Of the record.'),
    cost: z.string().optional(),
  })
  .meta({ id: 'ToolAnswer' })

/** `/servers/{id}/tools/{tool}/call`. */
export function toolCallRoutes({ registry, relay, paramChecks }: ToolCallDeps): Route[] {
  const inputSchema: ToolCallParts['inputSchema'] = (...of) => paramChecks.inputSchema(...of)
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/servers/{id}/tools/{tool}/call',
      summary: 'Calls a tool as you; the call is limited, billed and recorded as any other',
      permission: 'signed-in',
      // Calls are records of their own.
      audit: false,
      params: z.object({ id: z.string(), tool: z.string() }),
      body: z.strictObject({ arguments: object.default({}) }),
      response: answerShape,
      errors: [402, 403, 404, 429, 502, 503, 504],
      handler: async ({ params, body, principal, clientIp, headers, signal }) => {
        const server = getUsable(registry, params.id, principal)
        const client = { ip: clientIp, userAgent: (headers['user-agent'] ?? '').slice(0, 200) }
        const asked = { principal, server, client, tool: params.tool, arguments: body.arguments, signal }
        const { message, callId, cost } = await callTool({ relay, inputSchema }, asked)
        const { result, error } = message
        return {
          ...(result && { result: { ...result } }),
          ...(error && { error: { code: error.code, message: error.message, data: error.data } }),
          ...(callId !== undefined && { callId }),
          ...(cost !== undefined && { cost }),
        }
      },
    }),
  ]
}
