// A registered MCP server: where it is, how we log in to it, who may use it, and its limits.
import type { Capture } from './capture.ts'
import type { DefinitionPolicy } from './definition-policy.ts'

export interface HttpTransport {
  readonly type: 'streamable-http'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly sessionId?: SessionIdPlace
}

export interface StdioTransport {
  readonly type: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Where a server wants to find the session's id, besides or instead of the protocol's own header. */
export interface SessionIdPlace {
  readonly in: 'query' | 'header' | 'path'
  /** Of the parameter or header; in a path the URL holds `{name}`. */
  readonly name: string
}

/** HTTP+SSE of 2024-11-05: a stream at `url`, and messages to where its first event says, or to `messageUrl`. */
export interface SseTransport {
  readonly type: 'sse'
  readonly url: string
  readonly messageUrl?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly sessionId?: SessionIdPlace
}

/** One JSON-RPC message a text frame, subprotocol `mcp`; `url` is `ws:` or `wss:`. */
export interface WebSocketTransport {
  readonly type: 'websocket'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly sessionId?: SessionIdPlace
}

/** One endpoint over several servers: a bundle's, or everything that its caller may use. Never registered. */
export interface AggregateTransport {
  readonly type: 'aggregate'
  /** The bundle's id; absent where it is everything. */
  readonly bundle?: string
}

/** Answered by the gateway itself. Never registered. */
export interface BuiltInTransport {
  readonly type: 'built-in'
}

export type ServerTransport =
  | HttpTransport
  | SseTransport
  | WebSocketTransport
  | StdioTransport
  | AggregateTransport
  | BuiltInTransport

/** Who shares one session with the server: nobody, all sessions of one user, or everybody. */
export const sharings = ['session', 'user', 'server'] as const
export type Sharing = (typeof sharings)[number]

/** A credential for the upstream, unsealed; never leaves the process except towards that upstream. */
export type ServerAuth =
  | { readonly type: 'none' }
  | {
      readonly type: 'api-key'
      readonly in: 'header' | 'query'
      readonly name: string
      readonly value: string
    }
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string }
  | ClientCredentialsAuth
  | AuthorizationCodeAuth
  | TokenExchangeAuth

/** OAuth 2.1 on the gateway's own behalf: all callers share one token. */
export interface ClientCredentialsAuth {
  readonly type: 'oauth2'
  readonly grant: 'client-credentials'
  readonly clientId: string
  /** How the client proves itself; by default with its key where it has one, else `basic`. */
  readonly method?: 'basic' | 'post' | 'private-key-jwt'
  readonly clientSecret?: string
  /** PKCS #8 in PEM, or a JWK. */
  readonly privateKey?: string
  /** Of the key, where that is no JWK with an `alg`; RS256 by default. */
  readonly algorithm?: string
  /** Without it, `issuer` is asked; without both, the MCP server says which authorization server it trusts. */
  readonly tokenUrl?: string
  readonly issuer?: string
  readonly scope?: string
  readonly audience?: string
  /** By default the server's URL; empty: none is sent. */
  readonly resource?: string
}

/** OAuth 2.1 on behalf of each user, who has to say so once. */
export interface AuthorizationCodeAuth extends Pick<
  ClientCredentialsAuth,
  'type' | 'method' | 'clientSecret' | 'privateKey' | 'algorithm' | 'issuer' | 'scope' | 'resource'
> {
  readonly grant: 'authorization-code'
  /** Absent: a metadata document, or whoever we register as. */
  readonly clientId?: string
}

/** The gateway's word of who calls is exchanged for a token of the server (RFC 8693). */
export interface TokenExchangeAuth extends Omit<ClientCredentialsAuth, 'grant'> {
  readonly grant: 'token-exchange'
}

export const identityClaims = ['username', 'account', 'roles', 'groups'] as const

/** A signed note of who calls, for the server. */
export interface IdentityNote {
  readonly header: string
  /** By default the server's URL. */
  readonly audience?: string
  readonly claims: readonly (typeof identityClaims)[number][]
}

export const accessLevels = ['private', 'authenticated', 'public'] as const
export type Access = (typeof accessLevels)[number]

export interface ServerTimeouts {
  /** From the start of a connection (or a child) to its being usable. */
  readonly connectMs: number
  /** From sending a call to its final answer. */
  readonly callMs: number
  /** Without any message: after this a session is closed. */
  readonly idleMs: number
}

export interface ServerLimits {
  /** Largest body of one answer, or of one SSE event. */
  readonly maxResponseBytes: number
  /** Upstream connections per origin and credential. */
  readonly maxConnections: number
  /** Open sessions (for stdio: children) of this server. */
  readonly maxSessions: number
}

/** Keys of a result's `_meta`, and what is taken at most of a single call. */
export interface UsageReport {
  readonly tokens?: { readonly key: string; readonly max: number }
  /** `max` is a decimal string in the currency of the account that pays. */
  readonly cost?: { readonly key: string; readonly max: string }
}

export type ServerStatus = 'registered' | 'active' | 'inactive' | 'error'

/** Why the server's last handshake or call failed. Times in milliseconds since the epoch. */
export interface LastFailure {
  readonly stage: 'egress' | 'connect' | 'handshake' | 'call' | 'process'
  readonly message: string
  readonly atMs: number
  readonly sinceMs: number
}

export interface Server {
  readonly id: string
  readonly name: string
  readonly description?: string
  readonly iconUrl?: string
  readonly repositoryUrl?: string
  readonly ownerId: string
  readonly transport: ServerTransport
  readonly auth: ServerAuth
  readonly access: Access
  /** The account that pays for calls without a credential; set where `access` is `public`. */
  readonly publicAccountId?: string
  readonly sharing: Sharing
  /** Whether and how the server is told who calls. */
  readonly identity?: IdentityNote
  readonly timeouts: ServerTimeouts
  readonly limits: ServerLimits
  /** Whether answers carry `_meta["tollbridge/cost"]` without being asked. */
  readonly reportCost: boolean
  /** Whether tools/list carries `_meta["tollbridge/price"]` without being asked. */
  readonly showPrices?: boolean
  /** What is held back of its tools; see `definitionPolicyOf`. */
  readonly definitions?: DefinitionPolicy
  /** What is kept of its calls' arguments and results; absent: nothing. */
  readonly capture?: Capture
  /** What its answers are trusted to say of its own use. */
  readonly usageReport?: UsageReport
  readonly status: ServerStatus
  readonly lastFailure?: LastFailure
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** Grows with each change of the registration; pools and catalogues of an older revision are dropped. */
  readonly revision: number
}
