// Conversations of the official SDK 2.4: the modern revision over all that carries it, the newest legacy one over HTTP.
import { Client, LOG_LEVEL_META_KEY, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { Transport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { WebSocket } from 'ws'
import { clientInfo, elicited, Heard, Refused, roots, sampled, tapProgress } from './conversation.ts'
import type { ClientKind, Conversation, Destination, ToolAnswer } from './conversation.ts'
import { eraOf } from './revisions.ts'
import { watchedFetch } from './watched-fetch.ts'
import { WebSocketWire } from './web-socket-wire.ts'

interface Opened {
  readonly transport: Transport
  readonly listening: () => Promise<void>
}

function openTransport(kind: ClientKind, destination: Destination): Opened {
  const listening = (): Promise<void> => Promise.resolve()
  const { headers } = destination
  if (kind.transport === 'stdio') {
    const [command = '', ...args] = destination.stdio
    const env = process.env as Record<string, string>
    return { transport: new StdioClientTransport({ command, args, env, stderr: 'ignore' }), listening }
  }
  if (kind.transport === 'websocket')
    return {
      transport: new WebSocketWire(new WebSocket(destination.websocket, 'mcp', { headers })),
      listening,
    }
  const watched = watchedFetch(headers)
  return {
    transport: new StreamableHTTPClientTransport(new URL(destination.streamableHttp), {
      fetch: watched.fetch,
    }),
    listening: eraOf(kind.revision) === 'legacy' ? watched.listening : listening,
  }
}

function answerQuestions(client: Client, heard: Heard): void {
  client.setRequestHandler('elicitation/create', ({ params }) => {
    heard.asked.push(params.message)
    return elicited
  })
  client.setRequestHandler('sampling/createMessage', ({ params }) => {
    heard.asked.push(JSON.stringify(params.messages))
    return sampled
  })
  client.setRequestHandler('roots/list', () => {
    heard.asked.push('roots')
    return roots
  })
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    heard.updated.push(params.uri)
  })
  client.setNotificationHandler('notifications/message', ({ params }) => {
    heard.logged.push(String(params.data))
  })
}

/** Opens a conversation; rejects where the handshake fails or the revision is not spoken. */
export async function openSecond(kind: ClientKind, destination: Destination): Promise<Conversation> {
  const heard = new Heard()
  const modern = eraOf(kind.revision) === 'modern'
  const client = new Client(clientInfo, {
    capabilities: { sampling: {}, roots: {}, elicitation: {} },
    // Without it, the newest legacy revision is offered and every older one is taken.
    ...(modern && { versionNegotiation: { mode: { pin: kind.revision } } }),
  })
  answerQuestions(client, heard)
  const { transport, listening } = openTransport(kind, destination)
  try {
    await client.connect(transport)
    await listening()
  } catch (error) {
    await client.close()
    throw new Refused(error)
  }
  tapProgress(transport, heard)
  return conversationOf(client, heard, modern)
}

async function told<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw new Refused(error)
  }
}

function conversationOf(client: Client, heard: Heard, modern: boolean): Conversation {
  return {
    revision: client.getNegotiatedProtocolVersion() ?? '',
    heard,
    serverName: client.getServerVersion()?.name,
    capabilities: client.getServerCapabilities() ?? {},
    listTools: async () => (await told(client.listTools())).tools,
    listResources: async () => (await told(client.listResources())).resources,
    listPrompts: async () => (await told(client.listPrompts())).prompts,
    callTool: async (name, args, { progress, signal, logLevel } = {}) => {
      const options = {
        ...(signal && { signal }),
        ...(progress && { onprogress: () => undefined }),
      }
      const meta = logLevel && { _meta: { [LOG_LEVEL_META_KEY]: logLevel } }
      return (await told(client.callTool({ name, arguments: args, ...meta }, options))) as ToolAnswer
    },
    readResource: async (uri) => {
      const [first] = (await told(client.readResource({ uri }))).contents
      return first && 'text' in first ? first.text : undefined
    },
    getPrompt: async (name, args) => {
      const content = (await told(client.getPrompt({ name, arguments: args }))).messages[0]?.content
      return content?.type === 'text' ? content.text : undefined
    },
    complete: async (prompt, argument) => {
      const params = { ref: { type: 'ref/prompt' as const, name: prompt }, argument }
      return (await told(client.complete(params))).completion.values
    },
    subscribe: async (uri) => {
      if (modern) {
        const subscription = await told(client.listen({ resourceSubscriptions: [uri] }))
        return () => subscription.close()
      }
      await told(client.subscribeResource({ uri }))
      return async () => void (await told(client.unsubscribeResource({ uri })))
    },
    setLogLevel: async (level) => void (await told(client.setLoggingLevel(level))),
    close: () => client.close(),
  }
}
