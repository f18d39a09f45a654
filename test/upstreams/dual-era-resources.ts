// The fixture's resources, prompts, completion, and the requests that only change a setting.
import { ResourceTemplate } from '@modelcontextprotocol/server'
import type { GetPromptResult, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { pixelPng } from './dual-era-tools.ts'

/** Two static resources, one to subscribe to, and one template. */
export function registerResources(server: McpServer): void {
  const textResource = (name: string, content: string) => {
    const uri = `test://${name}`
    server.registerResource(name, uri, { description: `${name} resource`, mimeType: 'text/plain' }, () => ({
      contents: [{ uri, mimeType: 'text/plain', text: content }],
    }))
  }
  textResource('static-text', 'This is the content of the static text resource.')
  textResource('watched-resource', 'Watched resource content')
  server.registerResource(
    'static-binary',
    'test://static-binary',
    { description: 'An image', mimeType: 'image/png' },
    () => ({ contents: [{ uri: 'test://static-binary', mimeType: 'image/png', blob: pixelPng }] }),
  )
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'Carries its parameter in its content', mimeType: 'application/json' },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.toString(),
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }),
        },
      ],
    }),
  )
}

const says = (...content: GetPromptResult['messages'][number]['content'][]): GetPromptResult => ({
  messages: content.map((part) => ({ role: 'user', content: part })),
})

/** Prompts with every kind of content and with arguments. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'Without arguments' }, () =>
    says({ type: 'text', text: 'This is a simple prompt for testing.' }),
  )
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'With two arguments',
      argsSchema: z.object({
        arg1: z.string().describe('First argument'),
        arg2: z.string().describe('Second argument'),
      }),
    },
    ({ arg1, arg2 }) => says({ type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  )
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    {
      description: 'With a resource inside',
      argsSchema: z.object({ resourceUri: z.string().describe('Which resource to embed') }),
    },
    ({ resourceUri }) =>
      says(
        {
          type: 'resource',
          resource: {
            uri: resourceUri,
            mimeType: 'text/plain',
            text: 'Embedded resource content for testing.',
          },
        },
        { type: 'text', text: 'Please process the embedded resource above.' },
      ),
  )
  server.registerPrompt('test_prompt_with_image', { description: 'With an image inside' }, () =>
    says(
      { type: 'image', data: pixelPng, mimeType: 'image/png' },
      { type: 'text', text: 'Please analyze the image above.' },
    ),
  )
}

/** Subscriptions, log level and completion: accepted, and logged to the client where it is of the legacy era. */
export function registerSettings(server: McpServer): void {
  // Nobody may be listening, and that is no failure of the request.
  const log = (data: string) =>
    void server.server
      .notification({ method: 'notifications/message', params: { level: 'info', logger: 'fixture', data } })
      .catch(() => undefined)
  server.server.setRequestHandler('resources/subscribe', (request) => {
    log(`subscribed to ${request.params.uri}`)
    return {}
  })
  server.server.setRequestHandler('resources/unsubscribe', (request) => {
    log(`unsubscribed from ${request.params.uri}`)
    return {}
  })
  server.server.setRequestHandler('logging/setLevel', (request) => {
    log(`log level is ${request.params.level}`)
    return {}
  })
  server.server.setRequestHandler('completion/complete', () => ({
    completion: { values: [], total: 0, hasMore: false },
  }))
}
