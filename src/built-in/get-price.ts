// get_price: what a call of one tool would cost the caller now.
import { z } from 'zod'
import { GatewayError } from '../base/errors.ts'
import type { Principal } from '../identity/principal.ts'
import { outcomes } from '../pricing/price.ts'
import { priceInput } from '../pricing/rule-input.ts'
import type { Server } from '../registry/server.ts'
import type { PriceTags } from '../sessions/price-tags.ts'
import { defineTool, type BuiltInTool } from './tool.ts'

export interface PriceDeps {
  readonly priceTags: PriceTags
  /** A server by its name, if this caller may use it. */
  readonly findServer: (name: string, caller: Principal) => Server | undefined
}

const output = z.strictObject({
  server: z.string(),
  tool: z.string(),
  priced: z.boolean().describe('Whether a rule prices it; what has no price costs nothing.'),
  currency: z.string(),
  text: z.string().describe('The price in one sentence.'),
  price: priceInput.optional(),
  rule: z.strictObject({ id: z.string(), version: z.int(), name: z.string() }).optional(),
  billOn: z.array(z.enum(outcomes)).optional().describe('Outcomes that are charged.'),
})

export const getPrice = ({ priceTags, findServer }: PriceDeps): BuiltInTool =>
  defineTool({
    name: 'get_price',
    title: 'Price',
    description: 'What a call of one tool of one MCP server would cost you now, before you make it.',
    input: z.strictObject({
      server: z.string().min(1).max(64).describe('Its name, as list_servers tells it.'),
      tool: z.string().min(1).max(256).describe("The tool's own name, without the server's before it."),
    }),
    output,
    run: ({ server: name, tool }, caller) => {
      const server = findServer(name, caller)
      if (!server)
        throw new GatewayError('not_found', {
          detail: 'There is no such MCP server that you may use; list_servers tells which there are.',
        })
      const tag = priceTags.of(caller, { server, tool, transport: 'streamable-http' })
      const { text } = tag
      if (!tag.priced) return { text, data: { server: name, tool, ...tag } }
      const { billOn, ...rest } = tag
      return { text, data: { server: name, tool, ...rest, billOn: [...billOn] } }
    },
  })
