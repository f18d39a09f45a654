// What a client of the matrix does, whichever SDK, transport and revision it has, and what it hears on the way.
import type { Revision, TransportName } from './revisions.ts'

export interface ToolAnswer {
  readonly content: readonly { readonly type: string; readonly text?: string }[]
  readonly structuredContent?: unknown
  readonly isError?: boolean
}

export interface CallOptions {
  /** Asks for progress; it is in `heard.progressed`. */
  readonly progress?: boolean
  readonly signal?: AbortSignal
  /** Modern era only: the level from which this call's log messages are wanted. */
  readonly logLevel?: 'warning'
}

/** A client with an open conversation. Every method rejects with a `Refused` where the other side says no. */
export interface Conversation {
  /** As the server's side agreed to it. */
  readonly revision: string
  readonly serverName: string | undefined
  readonly capabilities: Readonly<Record<string, unknown>>
  readonly heard: Heard
  listTools(): Promise<readonly { readonly name: string; readonly inputSchema: object }[]>
  listResources(): Promise<readonly { readonly uri: string }[]>
  listPrompts(): Promise<readonly { readonly name: string }[]>
  callTool(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<ToolAnswer>
  readResource(uri: string): Promise<string | undefined>
  getPrompt(name: string, args: Record<string, string>): Promise<string | undefined>
  complete(prompt: string, argument: { name: string; value: string }): Promise<readonly string[]>
  /** Legacy: subscribe; modern: listen. Resolves once updates will arrive; ends with the returned function. */
  subscribe(uri: string): Promise<() => Promise<void>>
  /** Legacy era only. */
  setLogLevel(level: 'warning'): Promise<void>
  close(): Promise<void>
}

/** What came to the client without being an answer. */
export class Heard {
  readonly updated: string[] = []
  readonly logged: string[] = []
  readonly asked: string[] = []
  /** Progress notifications as the transport delivers them: the SDKs drop those that come in one piece with the answer. */
  readonly progressed: { readonly progressToken: unknown; readonly progress: number }[] = []
}

interface Tappable {
  onmessage?: ((message: never, extra?: never) => void) | undefined
}

/** Notes the progress that a connected transport delivers. */
export function tapProgress(transport: Tappable, heard: Heard): void {
  const deliver = transport.onmessage
  transport.onmessage = (message: never, extra?: never) => {
    const { method, params } = message as { method?: string; params?: (typeof heard.progressed)[number] }
    if (method === 'notifications/progress' && params) heard.progressed.push(params)
    deliver?.(message, extra)
  }
}

/** A JSON-RPC error, as both SDKs' errors tell it. */
export class Refused extends Error {
  readonly code: number | undefined
  readonly data: unknown

  constructor(error: unknown) {
    const { code, data } = error as { code?: unknown; data?: unknown }
    const said = error instanceof Error ? error.message : String(error)
    // SDK 1.x puts the code before the message.
    super(said.replace(/^(?:MCP error -?\d+: )+/, ''), { cause: error })
    this.code = typeof code === 'number' ? code : undefined
    this.data = data
  }
}

/** Where a conversation goes to: through the gateway, or straight to a server. */
export interface Destination {
  readonly streamableHttp: string
  readonly sse: string
  readonly websocket: string
  readonly stdio: readonly string[]
  /** For everything but stdio. */
  readonly headers: Readonly<Record<string, string>>
}

export interface ClientKind {
  readonly sdk: '1.32' | '2.4'
  readonly transport: TransportName
  readonly revision: Revision
}

/** What the client answers when it is asked. */
export const elicited = { action: 'accept' as const, content: { name: 'Ada' } }
export const sampled = {
  model: 'matrix-model',
  role: 'assistant' as const,
  content: { type: 'text' as const, text: 'pong' },
}
export const roots = { roots: [{ uri: 'file:///matrix', name: 'matrix' }] }
export const clientInfo = { name: 'matrix', version: '1.0.0' }
