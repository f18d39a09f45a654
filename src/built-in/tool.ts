// A tool of the built-in server: its schemas, and what it answers one caller.
import { z } from 'zod'
import { asGatewayError } from '../base/errors.ts'
import type { Principal } from '../identity/principal.ts'

/** What a tool found: a line for a model to read, and the same as data. */
export interface Found<Data> {
  readonly text: string
  readonly data: Data
}

interface ToolDefinition<Input extends z.ZodType, Output extends z.ZodType> {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: Input
  readonly output: Output
  /** Throws a GatewayError where there is no answer. */
  run(input: z.output<Input>, caller: Principal): Found<z.input<Output>> | Promise<Found<z.input<Output>>>
}

export interface BuiltInTool {
  readonly name: string
  /** As tools/list shows it. */
  readonly listed: object
  /** The result of a call (MCP 2026-07-28, "Tools"); a wrong argument and a refusal are results with `isError`. */
  call(given: unknown, caller: Principal): Promise<object>
}

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): object => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}

/** Makes a tool that reads only, out of its definition. */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(
  definition: ToolDefinition<Input, Output>,
): BuiltInTool {
  const { name, title, description, input, output } = definition
  const inputSchema = schemaOf(input, 'input')
  const outputSchema = schemaOf(output, 'output')
  const annotations = { title, readOnlyHint: true, openWorldHint: false }
  return {
    name,
    listed: { name, title, description, inputSchema, outputSchema, annotations },
    call: async (given, caller) => {
      const parsed = input.safeParse(given ?? {})
      if (!parsed.success) return failure('invalid_params', faultText(parsed.error.issues))
      try {
        const { text, data } = await definition.run(parsed.data, caller)
        return { content: [{ type: 'text', text }], structuredContent: data }
      } catch (thrown) {
        const { code, message } = asGatewayError(thrown)
        return failure(code, message)
      }
    },
  }
}

const failure = (code: string, message: string): object => ({
  content: [{ type: 'text', text: message }],
  structuredContent: { code, message },
  isError: true,
})

const faultText = (issues: readonly z.core.$ZodIssue[]): string =>
  issues.map(({ path, message }) => `${path.map(String).join('.') || 'arguments'}: ${message}`).join('; ')
