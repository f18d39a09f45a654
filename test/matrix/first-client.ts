// Conversations of the official SDK 1.32: legacy revisions over all four transports, pinned to one revision.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js'
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  type JSONRPCMessage,
  type MessageExtraInfo,
} from '@modelcontextprotocol/sdk/types.js'
import { WebSocket } from 'ws'
import { clientInfo, elicited, Heard, Refused, roots, sampled, tapProgress } from './conversation.ts'
import type { ClientKind, Conversation, Destination, ToolAnswer } from './conversation.ts'
import { watchedFetch } from './watched-fetch.ts'
import { knows, type Revision } from './revisions.ts'

/** Lets the client ask for one revision, which the SDK does not offer, and keeps what was answered. */
class PinnedTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void
  answered: string | undefined
  readonly #inner: Transport
  readonly #revision: Revision

  constructor(inner: Transport, revision: Revision) {
    this.#inner = inner
    this.#revision = revision
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId
  }

  start(): Promise<void> {
    const inner = this.#inner
    inner.onclose = () => this.onclose?.()
    inner.onerror = (error) => this.onerror?.(error)
    inner.onmessage = (message: JSONRPCMessage, extra?: MessageExtraInfo) => {
      if ('result' in message && typeof message.result['protocolVersion'] === 'string')
        this.answered ??= message.result['protocolVersion']
      this.onmessage?.(message, extra)
    }
    return inner.start()
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (!('method' in message) || message.method !== 'initialize') return this.#inner.send(message, options)
    const params = { ...message.params, protocolVersion: this.#revision }
    return this.#inner.send({ ...message, params }, options)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion?.(version)
  }
}

/** The SDK takes the platform's WebSocket, which cannot send headers; here the platform has one that can. */
class HeaderedWebSocketTransport extends WebSocketClientTransport {
  readonly #headers: Readonly<Record<string, string>>

  constructor(url: URL, headers: Readonly<Record<string, string>>) {
    super(url)
    this.#headers = headers
  }

  override start(): Promise<void> {
    const usual = globalThis.WebSocket
    const headers = this.#headers
    class Headered extends WebSocket {
      constructor(url: URL, protocol: string) {
        super(url, protocol, { headers })
      }
    }
    globalThis.WebSocket = Headered as unknown as typeof globalThis.WebSocket
    try {
      // The socket is made before this returns.
      return super.start()
    } finally {
      globalThis.WebSocket = usual
    }
  }
}

interface Opened {
  readonly transport: Transport
  /** Resolves once the server's own messages can arrive. */
  readonly listening: () => Promise<void>
}

function openTransport({ transport }: ClientKind, destination: Destination): Opened {
  const listening = (): Promise<void> => Promise.resolve()
  const { headers } = destination
  if (transport === 'stdio') {
    const [command = '', ...args] = destination.stdio
    const env = process.env as Record<string, string>
    return { transport: new StdioClientTransport({ command, args, env, stderr: 'ignore' }), listening }
  }
  if (transport === 'websocket')
    return { transport: new HeaderedWebSocketTransport(new URL(destination.websocket), headers), listening }
  const watched = watchedFetch(headers)
  if (transport === 'sse')
    return {
      transport: new SSEClientTransport(new URL(destination.sse), { fetch: watched.fetch }),
      listening,
    }
  const http = new StreamableHTTPClientTransport(new URL(destination.streamableHttp), {
    fetch: watched.fetch,
  })
  return { transport: http, listening: watched.listening }
}

function answerQuestions(client: Client, heard: Heard, revision: Revision): void {
  if (knows(revision, 'elicitation'))
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      heard.asked.push(params.message)
      return elicited
    })
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    heard.asked.push(JSON.stringify(params.messages))
    return sampled
  })
  client.setRequestHandler(ListRootsRequestSchema, () => {
    heard.asked.push('roots')
    return roots
  })
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    heard.updated.push(params.uri)
  })
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.logged.push(String(params.data))
  })
}

/** Opens a conversation; rejects where the handshake fails. */
export async function openFirst(kind: ClientKind, destination: Destination): Promise<Conversation> {
  const heard = new Heard()
  const elicitation = knows(kind.revision, 'elicitation') && { elicitation: {} }
  const client = new Client(clientInfo, { capabilities: { sampling: {}, roots: {}, ...elicitation } })
  answerQuestions(client, heard, kind.revision)
  const { transport, listening } = openTransport(kind, destination)
  const pinned = new PinnedTransport(transport, kind.revision)
  try {
    await client.connect(pinned)
    await listening()
  } catch (error) {
    await client.close()
    throw new Refused(error)
  }
  tapProgress(pinned, heard)
  return conversationOf(client, heard, { revision: pinned.answered ?? '' })
}

async function told<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw new Refused(error)
  }
}

function conversationOf(client: Client, heard: Heard, { revision }: { revision: string }): Conversation {
  return {
    revision,
    heard,
    serverName: client.getServerVersion()?.name,
    capabilities: client.getServerCapabilities() ?? {},
    listTools: async () => (await told(client.listTools())).tools,
    listResources: async () => (await told(client.listResources())).resources,
    listPrompts: async () => (await told(client.listPrompts())).prompts,
    callTool: async (name, args, { progress, signal } = {}) => {
      const options = {
        ...(signal && { signal }),
        ...(progress && { onprogress: () => undefined }),
      }
      const answer = client.callTool({ name, arguments: args }, CallToolResultSchema, options)
      return (await told(answer)) as ToolAnswer
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
      await told(client.subscribeResource({ uri }))
      return async () => void (await told(client.unsubscribeResource({ uri })))
    },
    setLogLevel: async (level) => void (await told(client.setLoggingLevel(level))),
    close: () => client.close(),
  }
}
