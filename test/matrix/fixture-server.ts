// The matrix's MCP server, pinned to one revision: on the official SDK's low-level server, so that it says what we want.
import { appendFileSync } from 'node:fs'
import { ProtocolError, Server } from '@modelcontextprotocol/server'
import { listedTools, runTool, type Outside } from './fixture-tools.ts'
import type { Revision } from './revisions.ts'

export const fixtureName = 'matrix-fixture'
const greetings = ['hej', 'hello', 'salut']
export const staticUri = 'matrix://static'
export const watchedUri = (name: string): string => `matrix://watched/${name}`

/** Writes whole lines to a file that every process of the fixture shares. */
export const journalTo =
  (file: string) =>
  (line: string): void =>
    appendFileSync(file, `${line}\n`)

/** Who hears of changed resources, over all connections of this process. */
export class Updates {
  readonly #listeners = new Set<(uri: string) => void>()

  publish(uri: string): void {
    for (const listener of this.#listeners) listener(uri)
  }

  /** Until the returned function is called. */
  listen(listener: (uri: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

/** A server for one connection, or in the modern era for one request. */
export function createFixture(revision: Revision, outside: Outside): Server {
  const server = new Server(
    { name: fixtureName, version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      supportedProtocolVersions: [revision],
      instructions: `speaks ${revision}`,
    },
  )
  server.setRequestHandler('tools/list', () => ({ tools: listedTools(revision) }))
  server.setRequestHandler('tools/call', ({ params }, context) =>
    runTool(params.name, { args: params.arguments ?? {}, revision, server, context, outside }),
  )
  handleResources(server)
  handlePrompts(server)
  return server
}

function handleResources(server: Server): void {
  const mimeType = 'text/plain'
  server.setRequestHandler('resources/list', () => ({
    resources: [{ uri: staticUri, name: 'static', mimeType }],
  }))
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: [{ uriTemplate: 'matrix://watched/{name}', name: 'watched', mimeType }],
  }))
  server.setRequestHandler('resources/read', ({ params: { uri } }) => {
    if (!uri.startsWith('matrix://')) throw new ProtocolError(-32602, `Resource not found: ${uri}`, { uri })
    return { contents: [{ uri, mimeType, text: `content of ${uri}` }] }
  })
}

function handlePrompts(server: Server): void {
  server.setRequestHandler('prompts/list', () => ({
    prompts: [{ name: 'greet', description: 'Greets', arguments: [{ name: 'word', required: true }] }],
  }))
  server.setRequestHandler('prompts/get', ({ params }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Say ${params.arguments?.['word']}` } }],
  }))
  server.setRequestHandler('completion/complete', ({ params }) => {
    const values = greetings.filter((word) => word.startsWith(params.argument.value))
    return { completion: { values, total: values.length, hasMore: false } }
  })
}

/** Legacy connections: updates go to whoever subscribed on this connection, until it closes. */
export function handleSubscriptions(server: Server, updates: Updates): void {
  const subscribed = new Set<string>()
  server.setRequestHandler('resources/subscribe', ({ params }) => {
    subscribed.add(params.uri)
    return {}
  })
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    subscribed.delete(params.uri)
    return {}
  })
  // A connection that is just closing hears of nothing any more, and that is no failure.
  const stop = updates.listen((uri) => {
    if (subscribed.has(uri)) server.sendResourceUpdated({ uri }).catch(() => undefined)
  })
  server.onclose = stop
}
