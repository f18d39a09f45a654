// The fixture's plain tools: content kinds, logging, progress, failure, stream closing, and schema features.
import { setTimeout as sleep } from 'node:timers/promises'
import { fromJsonSchema } from '@modelcontextprotocol/server'
import type { CallToolResult, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'

/** A red pixel as PNG. */
export const pixelPng =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
/** A WAV file without samples. */
const silenceWav = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA='

/** Tells listening clients of changed lists; the modern era's `subscriptions/listen` hears it. */
export interface ListChanges {
  toolsChanged(): void
  promptsChanged(): void
}

export const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] })
export const noArguments = z.object({})

const embedded = (uri: string, mimeType: string, value: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text: value },
})

/** Tools that answer one fixed content each. */
export function registerContentTools(server: McpServer): void {
  const image = { type: 'image' as const, data: pixelPng, mimeType: 'image/png' }
  const fixed: Record<string, [string, CallToolResult['content']]> = {
    test_simple_text: [
      'Answers one text',
      [{ type: 'text', text: 'This is a simple text response for testing.' }],
    ],
    test_image_content: ['Answers one image', [image]],
    test_audio_content: ['Answers one sound', [{ type: 'audio', data: silenceWav, mimeType: 'audio/wav' }]],
    test_embedded_resource: [
      'Answers one embedded resource',
      [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
    ],
    test_multiple_content_types: [
      'Answers a text, an image and a resource',
      [
        { type: 'text', text: 'Multiple content types test:' },
        image,
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
      ],
    ],
  }
  for (const [name, [description, content]] of Object.entries(fixed))
    server.registerTool(name, { description }, () => ({ content }))
  server.registerTool('test_error_handling', { description: 'Always fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
}

/** Tools that say something while they work, or close their stream on the way. */
export function registerStreamingTools(server: McpServer): void {
  server.registerTool(
    'test_tool_with_logging',
    { description: 'Sends three log messages before it answers', inputSchema: noArguments },
    async (_args, context) => {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await context.mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } })
        await sleep(30)
      }
      return text('Tool with logging executed successfully')
    },
  )
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Reports progress to callers that gave a token', inputSchema: noArguments },
    async (_args, context) => {
      const progressToken = context.mcpReq._meta?.progressToken
      // Progress without a token of the caller is forbidden.
      for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
        const params = {
          progressToken: progressToken ?? '',
          progress,
          total: 100,
          message: `at ${progress} of 100`,
        }
        await context.mcpReq.notify({ method: 'notifications/progress', params })
        await sleep(30)
      }
      return text(String(progressToken ?? 'no progress token'))
    },
  )
  server.registerTool(
    'test_reconnection',
    {
      description: 'Closes its stream half way; the answer waits for the resumed one',
      inputSchema: noArguments,
    },
    async (_args, context) => {
      // The caller must have seen the stream open before it closes.
      await sleep(30)
      context.http?.closeSSE?.()
      await sleep(100)
      return text('Answered after the stream was closed and resumed')
    },
  )
  server.registerTool(
    'test_logging_tool',
    { description: 'Logs once, for callers that set a log level', inputSchema: noArguments },
    async (_args, context) => {
      await context.mcpReq.log('info', 'test_logging_tool ran')
      return text('logged')
    },
  )
  server.registerTool(
    'test_streaming_elicitation',
    { description: 'Answers without any request of its own on the stream', inputSchema: noArguments },
    () => text('no requests on this stream'),
  )
}

/** `x-mcp-header` is MCP's own keyword, which JSON Schema's types do not know. */
const mirroredRegion = { type: 'string' as const, description: 'mirrored', 'x-mcp-header': 'Region' }

/** Tools that exist for their input schema. */
export function registerSchemaTools(server: McpServer): void {
  server.registerTool(
    'test_x_mcp_header',
    {
      description: 'Takes an argument that clients mirror into Mcp-Param-Region',
      inputSchema: fromJsonSchema<{ region?: string; level?: number }>({
        type: 'object',
        properties: {
          region: mirroredRegion,
          level: { type: 'integer', description: 'not mirrored' },
        },
      }),
    },
    (args) => text(`region=${args.region ?? 'none'}`),
  )
  server.registerTool(
    'json_schema_2020_12_tool',
    {
      description: 'Carries the JSON Schema 2020-12 vocabulary, which must arrive as it was written',
      inputSchema: fromJsonSchema({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        $defs: {
          address: {
            $anchor: 'addressDef',
            type: 'object',
            properties: { street: { type: 'string' }, city: { type: 'string' } },
          },
        },
        properties: {
          name: { type: 'string' },
          address: { $ref: '#/$defs/address' },
          contactMethod: { type: 'string', enum: ['phone', 'email'] },
          phone: { type: 'string' },
          email: { type: 'string' },
        },
        allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
        if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
        // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
        then: { required: ['phone'] },
        else: { required: ['email'] },
        additionalProperties: false,
      }),
    },
    (args) => text(`called with ${JSON.stringify(args)}`),
  )
}

/** Tools that announce changed lists to whoever listens. */
export function registerChangeTools(server: McpServer, changes: ListChanges): void {
  server.registerTool(
    'test_trigger_tool_change',
    { description: 'Announces that the list of tools changed', inputSchema: noArguments },
    () => {
      changes.toolsChanged()
      return text('announced')
    },
  )
  server.registerTool(
    'test_trigger_prompt_change',
    { description: 'Announces that the list of prompts changed', inputSchema: noArguments },
    () => {
      changes.promptsChanged()
      return text('announced')
    },
  )
}
