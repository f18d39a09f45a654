// Made by `npm run console:types` out of docs/openapi.json; not edited by hand.
export interface Schemas {
  Problem: {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly detail: string
    readonly code:
      | 'invalid_request'
      | 'parse_error'
      | 'invalid_params'
      | 'validation_failed'
      | 'header_mismatch'
      | 'session_required'
      | 'unsupported_era'
      | 'unauthorized'
      | 'balance_exhausted'
      | 'budget_exhausted'
      | 'payment_invalid'
      | 'payment_used'
      | 'payment_failed'
      | 'forbidden'
      | 'insufficient_scope'
      | 'authorization_required'
      | 'tool_held'
      | 'arguments_denied'
      | 'origin_denied'
      | 'registration_closed'
      | 'not_found'
      | 'session_not_found'
      | 'events_gone'
      | 'method_not_allowed'
      | 'not_acceptable'
      | 'conflict'
      | 'stream_conflict'
      | 'idempotency_conflict'
      | 'idempotency_unknown'
      | 'payload_too_large'
      | 'unsupported_media_type'
      | 'host_denied'
      | 'egress_denied'
      | 'command_denied'
      | 'unprocessable'
      | 'quota_exhausted'
      | 'rate_limited'
      | 'locked_out'
      | 'too_many_sessions'
      | 'internal'
      | 'upstream_unavailable'
      | 'interrupted'
      | 'payment_unavailable'
      | 'store_unavailable'
      | 'audit_unavailable'
      | 'store_refused'
      | 'issuer_unavailable'
      | 'shutting_down'
      | 'server_inactive'
      | 'stream_closed'
      | 'overloaded'
      | 'upstream_timeout'
    readonly requestId: string
    readonly errors?: readonly { readonly field: string; readonly message: string }[]
  }
  Login: {
    readonly token: string
    readonly refreshToken: string
    readonly expiresIn: number
    readonly userId: string
    readonly username: string
    readonly roles: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
  }
  Me: {
    readonly userId: string
    readonly username: string
    readonly email?: string
    readonly roles: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
    readonly accountId: string
  }
  BrowserSession: {
    readonly userId: string
    readonly username: string
    readonly roles: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
    readonly csrfToken?: string
    readonly expiresAt?: string
  }
  PasskeyQuestion: { readonly options: Readonly<Record<string, unknown>>; readonly state: string }
  Passkey: {
    readonly id: string
    readonly name: string
    readonly createdAt: string
    readonly lastUsedAt?: string
  }
  User: {
    readonly id: string
    readonly username: string
    readonly email?: string
    readonly roles: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
    readonly groups: readonly string[]
    readonly accountId: string
    readonly disabled: boolean
    readonly createdAt: string
    readonly updatedAt: string
  }
  NewKey: {
    readonly id: string
    readonly userId: string
    readonly prefix: string
    readonly name: string
    readonly servers?: readonly string[]
    readonly createdAt: string
    readonly expiresAt?: string
    readonly suspendedBy?: string
    readonly lastUsedAt?: string
    readonly budget?: Schemas['Budget']
    readonly key: string
  }
  Budget: {
    readonly id: string
    readonly name?: string
    readonly scope: {
      readonly account?: string
      readonly user?: string
      readonly key?: string
      readonly session?: string
      readonly server?: string
    }
    readonly amount: string
    readonly unit: 'money' | 'calls'
    readonly currency?: string
    readonly window: ('day' | 'week' | 'month' | 'lifetime') | { readonly rollingSeconds: number }
    readonly timeZone: string
    readonly mode: 'hard' | 'soft' | 'shadow'
    readonly thresholds: readonly string[]
    readonly increases: readonly {
      readonly id: string
      readonly amount: string
      readonly until: string
      readonly createdBy: string
      readonly createdAt: string
    }[]
    readonly subject?: string
    readonly limit: string
    readonly spent: string
    readonly held: string
    readonly remaining: string
    readonly windowStart?: string
    readonly resetsAt?: string
    readonly state: 'ok' | 'warning' | 'exhausted'
    readonly createdBy: string
    readonly createdAt: string
    readonly updatedAt: string
  }
  Key: {
    readonly id: string
    readonly userId: string
    readonly prefix: string
    readonly name: string
    readonly servers?: readonly string[]
    readonly createdAt: string
    readonly expiresAt?: string
    readonly suspendedBy?: string
    readonly lastUsedAt?: string
    readonly budget?: Schemas['Budget']
  }
  Server: {
    readonly id: string
    readonly name: string
    readonly description?: string
    readonly iconUrl?: string
    readonly repositoryUrl?: string
    readonly status: 'registered' | 'active' | 'inactive' | 'error'
    readonly access: 'private' | 'authenticated' | 'public'
    readonly transport:
      | {
          readonly type: 'streamable-http'
          readonly url?: string
          readonly headers?: Readonly<
            Record<
              string,
              {
                readonly hasSecret?: true
                readonly last4?: string
                readonly reference?: string
                readonly prefix?: string
              }
            >
          >
          readonly sessionId?: { readonly in: 'query' | 'header' | 'path'; readonly name: string }
        }
      | {
          readonly type: 'sse'
          readonly url?: string
          readonly headers?: Readonly<
            Record<
              string,
              {
                readonly hasSecret?: true
                readonly last4?: string
                readonly reference?: string
                readonly prefix?: string
              }
            >
          >
          readonly sessionId?: { readonly in: 'query' | 'header' | 'path'; readonly name: string }
          readonly messageUrl?: string
        }
      | {
          readonly type: 'websocket'
          readonly url?: string
          readonly headers?: Readonly<
            Record<
              string,
              {
                readonly hasSecret?: true
                readonly last4?: string
                readonly reference?: string
                readonly prefix?: string
              }
            >
          >
          readonly sessionId?: { readonly in: 'query' | 'header' | 'path'; readonly name: string }
        }
      | {
          readonly type: 'stdio'
          readonly command?: string
          readonly args?: readonly string[]
          readonly env?: Readonly<
            Record<
              string,
              {
                readonly hasSecret?: true
                readonly last4?: string
                readonly reference?: string
                readonly prefix?: string
              }
            >
          >
          readonly cwd?: string
        }
    readonly eras: readonly ('legacy' | 'modern')[]
    readonly createdAt: string
    readonly updatedAt: string
    readonly ownerId?: string
    readonly auth?:
      | { readonly type: 'none' }
      | {
          readonly type: 'api-key'
          readonly in: 'header' | 'query'
          readonly name: string
          readonly hasSecret?: true
          readonly last4?: string
          readonly reference?: string
        }
      | {
          readonly type: 'basic'
          readonly username: string
          readonly hasSecret?: true
          readonly last4?: string
          readonly reference?: string
        }
      | {
          readonly type: 'bearer'
          readonly hasSecret?: true
          readonly last4?: string
          readonly reference?: string
        }
      | {
          readonly type: 'oauth2'
          readonly grant: 'client-credentials' | 'authorization-code' | 'token-exchange'
          readonly clientId?: string
          readonly method?: 'basic' | 'post' | 'private-key-jwt'
          readonly algorithm?: string
          readonly tokenUrl?: string
          readonly issuer?: string
          readonly scope?: string
          readonly audience?: string
          readonly resource?: string
          readonly hasSecret?: true
          readonly last4?: string
        }
    readonly account?: string
    readonly sharing?: 'session' | 'user' | 'server'
    readonly timeouts?: { readonly connectMs: number; readonly callMs: number; readonly idleMs: number }
    readonly limits?: {
      readonly maxResponseBytes: number
      readonly maxConnections: number
      readonly maxSessions: number
    }
    readonly reportCost?: boolean
    readonly showPrices?: boolean
    readonly identity?: {
      readonly header: string
      readonly audience?: string
      readonly claims: readonly ('username' | 'account' | 'roles' | 'groups')[]
    }
    readonly definitions?: {
      readonly approval: 'off' | 'changes' | 'all'
      readonly hold: readonly (
        | 'hidden-characters'
        | 'control-characters'
        | 'instructions'
        | 'remote-reference'
        | 'look-alike-name'
        | 'names-other-server'
        | 'too-large'
      )[]
    }
    readonly capture?: {
      readonly tools: readonly string[]
      readonly arguments: boolean
      readonly results: boolean
      readonly mask?: readonly string[]
      readonly maskPatterns?: readonly string[]
      readonly maxBytes?: number
      readonly days: number
    }
    readonly usageReport?: {
      readonly tokens?: { readonly key: string; readonly max: number }
      readonly cost?: { readonly key: string; readonly max: string }
    }
    readonly lastFailure?: {
      readonly stage: 'egress' | 'connect' | 'handshake' | 'call' | 'process'
      readonly message: string
      readonly at: string
      readonly since: string
    }
    readonly revision?: number
  }
  ServerStatus: {
    readonly id: string
    readonly name: string
    readonly status: 'registered' | 'active' | 'inactive' | 'error'
    readonly lastFailure?: {
      readonly stage: 'egress' | 'connect' | 'handshake' | 'call' | 'process'
      readonly message: string
      readonly at: string
      readonly since: string
    }
  }
  Handshake: {
    readonly ok: boolean
    readonly era?: 'legacy' | 'modern'
    readonly protocolVersion?: string
    readonly serverInfo?: Readonly<Record<string, unknown>>
    readonly capabilities?: Readonly<Record<string, unknown>>
    readonly tools: readonly {
      readonly name: string
      readonly title?: string
      readonly description?: string
      readonly inputSchema?: Readonly<Record<string, unknown>>
      readonly annotations?: Readonly<Record<string, unknown>>
    }[]
    readonly latencyMs: number
    readonly error?: { readonly stage: string; readonly message: string }
  }
  PricedTool: {
    readonly name: string
    readonly title?: string
    readonly description?: string
    readonly inputSchema?: Readonly<Record<string, unknown>>
    readonly annotations?: Readonly<Record<string, unknown>>
    readonly price: {
      readonly ruleId: string
      readonly version: number
      readonly name: string
      readonly currency: string
      readonly price: {
        readonly perCall?: string
        readonly perKb?: string
        readonly perSecond?: string
        readonly perToken?: string
        readonly flat?: string
        readonly minimum?: string
        readonly maximum?: string
        readonly tiers?: {
          readonly mode: 'graduated' | 'volume'
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly period: 'month' | 'day'
          readonly per: 'account' | 'key' | 'session'
          readonly steps: readonly {
            readonly upTo: string | null
            readonly unitPrice: string
            readonly flatPrice?: string
          }[]
        }
        readonly package?: {
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly size: string
          readonly price: string
          readonly free?: string
          readonly period: 'month' | 'day'
          readonly per: 'account' | 'key' | 'session'
        }
        readonly percentage?: {
          readonly rate: string
          readonly of: 'upstreamCost'
          readonly fixed?: string
          readonly free?: string
          readonly period: 'month' | 'day'
          readonly per: 'account' | 'key' | 'session'
        }
      }
      readonly billOn: readonly (
        | 'success'
        | 'tool_error'
        | 'error'
        | 'timeout'
        | 'cancelled'
        | 'denied'
        | 'unknown'
      )[]
      readonly text: string
    } | null
    readonly flags: readonly {
      readonly kind:
        | 'hidden-characters'
        | 'control-characters'
        | 'instructions'
        | 'remote-reference'
        | 'look-alike-name'
        | 'names-other-server'
        | 'too-large'
      readonly at: string
      readonly shown: string
    }[]
    readonly held: ('new' | 'changed' | 'flagged' | 'withdrawn') | null
  }
  ToolDefinition: {
    readonly tool: string
    readonly held: ('new' | 'changed' | 'flagged' | 'withdrawn') | null
    readonly approved: {
      readonly hash: string
      readonly at: string
      readonly by?: string
      readonly definition: Readonly<Record<string, unknown>> | null
    } | null
    readonly waiting: {
      readonly hash: string
      readonly at: string
      readonly by?: string
      readonly definition: Readonly<Record<string, unknown>> | null
    } | null
    readonly changes: readonly { readonly at: string; readonly before?: unknown; readonly after?: unknown }[]
    readonly flags: readonly {
      readonly kind:
        | 'hidden-characters'
        | 'control-characters'
        | 'instructions'
        | 'remote-reference'
        | 'look-alike-name'
        | 'names-other-server'
        | 'too-large'
      readonly at: string
      readonly shown: string
    }[]
  }
  Payload: {
    readonly id: string
    readonly server: string
    readonly tool?: string
    readonly arguments?: unknown
    readonly result?: unknown
    readonly error?: unknown
    readonly cut: boolean
    readonly expiresAt: string
  }
  ServerAuthorization: {
    readonly authorized: boolean
    readonly issuer?: string
    readonly since?: string
    readonly expiresAt?: string
  }
  AuthorizationLink: { readonly url: string }
  Bundle: {
    readonly id: string
    readonly name: string
    readonly description?: string
    readonly access: 'private' | 'authenticated' | 'public'
    readonly members: readonly {
      readonly server: string
      readonly include?: readonly string[]
      readonly exclude?: readonly string[]
      readonly rename?: Readonly<Record<string, string>>
    }[]
    readonly createdAt: string
    readonly updatedAt: string
    readonly ownerId?: string
    readonly account?: string
    readonly revision?: number
  }
  Session: {
    readonly id: string
    readonly serverId: string
    readonly userId: string
    readonly transport: 'streamable-http' | 'sse' | 'websocket' | 'stdio' | 'api'
    readonly status: 'created' | 'connected' | 'active' | 'expired' | 'closed'
    readonly endpoints: {
      readonly streamableHttp: string
      readonly sse: string
      readonly message: string
      readonly websocket: string
    }
    readonly createdAt: string
    readonly lastActiveAt: string
    readonly expiresAt: string
  }
  SessionStatus: {
    readonly id: string
    readonly status: 'created' | 'connected' | 'active' | 'expired' | 'closed'
    readonly lastActiveAt: string
    readonly expiresAt: string
  }
  Stream: {
    readonly id: string
    readonly method: string
    readonly serverId: string
    readonly userId: string
    readonly sessionId?: string
    readonly transport: 'streamable-http' | 'sse' | 'websocket' | 'stdio' | 'api'
    readonly clientIp: string
    readonly openedAt: string
  }
  Rule: {
    readonly id: string
    readonly version: number
    readonly name: string
    readonly priority: number
    readonly active: boolean
    readonly currency: string
    readonly book?: string
    readonly match: {
      readonly server?: string
      readonly tool?: string
      readonly method?: string
      readonly user?: string
      readonly account?: string
      readonly transport?: string
    }
    readonly price: {
      readonly perCall?: string
      readonly perKb?: string
      readonly perSecond?: string
      readonly perToken?: string
      readonly flat?: string
      readonly minimum?: string
      readonly maximum?: string
      readonly tiers?: {
        readonly mode: 'graduated' | 'volume'
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
        readonly steps: readonly {
          readonly upTo: string | null
          readonly unitPrice: string
          readonly flatPrice?: string
        }[]
      }
      readonly package?: {
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly size: string
        readonly price: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
      readonly percentage?: {
        readonly rate: string
        readonly of: 'upstreamCost'
        readonly fixed?: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
    }
    readonly billOn: readonly (
      | 'success'
      | 'tool_error'
      | 'error'
      | 'timeout'
      | 'cancelled'
      | 'denied'
      | 'unknown'
    )[]
    readonly effectiveFrom: string
    readonly effectiveTo?: string
    readonly createdAt: string
    readonly createdBy?: string
    readonly state: 'published' | 'retired'
    readonly rank?: number
    readonly retiredAt?: string
    readonly retiredBy?: string
  }
  RuleDraft: {
    readonly id: string
    readonly state: 'draft'
    readonly ruleId: string
    readonly basedOn?: number
    readonly name: string
    readonly priority: number
    readonly active: boolean
    readonly currency: string
    readonly book?: string
    readonly match: {
      readonly server?: string
      readonly tool?: string
      readonly method?: string
      readonly user?: string
      readonly account?: string
      readonly transport?: string
    }
    readonly price: {
      readonly perCall?: string
      readonly perKb?: string
      readonly perSecond?: string
      readonly perToken?: string
      readonly flat?: string
      readonly minimum?: string
      readonly maximum?: string
      readonly tiers?: {
        readonly mode: 'graduated' | 'volume'
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
        readonly steps: readonly {
          readonly upTo: string | null
          readonly unitPrice: string
          readonly flatPrice?: string
        }[]
      }
      readonly package?: {
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly size: string
        readonly price: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
      readonly percentage?: {
        readonly rate: string
        readonly of: 'upstreamCost'
        readonly fixed?: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
    }
    readonly billOn: readonly (
      | 'success'
      | 'tool_error'
      | 'error'
      | 'timeout'
      | 'cancelled'
      | 'denied'
      | 'unknown'
    )[]
    readonly effectiveFrom?: string
    readonly effectiveTo?: string
    readonly createdAt: string
    readonly createdBy?: string
    readonly updatedAt: string
    readonly updatedBy?: string
  }
  PriceBook: {
    readonly name: string
    readonly description?: string
    readonly createdAt: string
    readonly createdBy?: string
    readonly updatedAt: string
  }
  Lint: {
    readonly checkedAt: string
    readonly rules: number
    readonly findings: readonly Schemas['Finding'][]
    readonly complete: boolean
    readonly unseen: readonly { readonly server: string; readonly reason: string }[]
  }
  Finding: {
    readonly kind: 'ambiguous' | 'shadowed' | 'unpriced' | 'partly-unpriced' | 'mixed-currency'
    readonly severity: 'error' | 'warning'
    readonly rules: readonly {
      readonly id: string
      readonly version: number
      readonly name: string
      readonly draft?: string
    }[]
    readonly server?: string
    readonly tools?: readonly string[]
    readonly sentence: string
  }
  Quote: {
    readonly amount: string
    readonly currency: string
    readonly lines: readonly {
      readonly component: string
      readonly quantity: string
      readonly unitPrice?: string
      readonly amount: string
    }[]
  }
  Explanation: {
    readonly rule?: Schemas['Rule']
    readonly price?: {
      readonly perCall?: string
      readonly perKb?: string
      readonly perSecond?: string
      readonly perToken?: string
      readonly flat?: string
      readonly minimum?: string
      readonly maximum?: string
      readonly tiers?: {
        readonly mode: 'graduated' | 'volume'
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
        readonly steps: readonly {
          readonly upTo: string | null
          readonly unitPrice: string
          readonly flatPrice?: string
        }[]
      }
      readonly package?: {
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly size: string
        readonly price: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
      readonly percentage?: {
        readonly rate: string
        readonly of: 'upstreamCost'
        readonly fixed?: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
    }
    readonly candidates: readonly {
      readonly ruleId: string
      readonly version: number
      readonly name: string
      readonly priority: number
      readonly book?: string
      readonly matched: boolean
      readonly lostBecause?: string
    }[]
  }
  Simulation: {
    readonly periodStart: string
    readonly periodEnd: string
    readonly records: number
    readonly old: string | null
    readonly new: string | null
    readonly currency: string | null
    readonly totals: readonly {
      readonly currency: string
      readonly calls: number
      readonly old: string
      readonly new: string
    }[]
    readonly unpriced: { readonly old: number; readonly new: number }
    readonly byRule: readonly {
      readonly rule: string | null
      readonly ruleId?: string
      readonly currency: string
      readonly calls: number
      readonly old: string
      readonly new: string
    }[]
    readonly byAccount: readonly {
      readonly accountId: string
      readonly currency: string
      readonly calls: number
      readonly old: string
      readonly new: string
    }[]
  }
  UsageRecord: {
    readonly id: string
    readonly time: string
    readonly userId: string
    readonly accountId: string
    readonly keyId?: string
    readonly sessionId?: string
    readonly serverId: string
    readonly server: string
    readonly method: string
    readonly tool?: string
    readonly transport: 'streamable-http' | 'sse' | 'websocket' | 'stdio' | 'api'
    readonly upstreamTransport:
      | 'streamable-http'
      | 'sse'
      | 'websocket'
      | 'stdio'
      | 'api'
      | 'aggregate'
      | 'built-in'
      | 'none'
    readonly era: 'legacy' | 'modern'
    readonly upstreamEra: 'legacy' | 'modern' | 'none'
    readonly outcome: 'success' | 'tool_error' | 'error' | 'timeout' | 'cancelled' | 'denied' | 'unknown'
    readonly statusCode: number
    readonly requestBytes: number
    readonly responseBytes: number
    readonly durationMs: number
    readonly cost: string
    readonly currency: string
    readonly ruleId?: string
    readonly ruleVersion?: number
    readonly priced: boolean
    readonly error?: string
    readonly clientIp: string
    readonly userAgent: string
    readonly clientInfo?: string
    readonly idempotencyKey?: string
    readonly tokens?: number
    readonly upstreamCost?: string
    readonly counted?: { readonly before?: string }
  }
  SessionUsage: {
    readonly items: readonly Schemas['UsageRecord'][]
    readonly nextCursor: string | null
    readonly sessionId: string
    readonly totals: Schemas['UsageTotals']
  }
  UsageTotals: {
    readonly totalCalls: number
    readonly successfulCalls: number
    readonly failedCalls: number
    readonly unpricedCalls: number
    readonly totalCost: string | null
    readonly averageCostPerCall: string | null
    readonly currency: string | null
    readonly totals: readonly { readonly currency: string; readonly calls: number; readonly cost: string }[]
    readonly requestBytes: number
    readonly responseBytes: number
    readonly averageDurationMs: number
    readonly p50Ms: number | null
    readonly p95Ms: number | null
  }
  PricedUsageRecord: {
    readonly id: string
    readonly time: string
    readonly userId: string
    readonly accountId: string
    readonly keyId?: string
    readonly sessionId?: string
    readonly serverId: string
    readonly server: string
    readonly method: string
    readonly tool?: string
    readonly transport: 'streamable-http' | 'sse' | 'websocket' | 'stdio' | 'api'
    readonly upstreamTransport:
      | 'streamable-http'
      | 'sse'
      | 'websocket'
      | 'stdio'
      | 'api'
      | 'aggregate'
      | 'built-in'
      | 'none'
    readonly era: 'legacy' | 'modern'
    readonly upstreamEra: 'legacy' | 'modern' | 'none'
    readonly outcome: 'success' | 'tool_error' | 'error' | 'timeout' | 'cancelled' | 'denied' | 'unknown'
    readonly statusCode: number
    readonly requestBytes: number
    readonly responseBytes: number
    readonly durationMs: number
    readonly cost: string
    readonly currency: string
    readonly ruleId?: string
    readonly ruleVersion?: number
    readonly priced: boolean
    readonly error?: string
    readonly clientIp: string
    readonly userAgent: string
    readonly clientInfo?: string
    readonly idempotencyKey?: string
    readonly tokens?: number
    readonly upstreamCost?: string
    readonly counted?: { readonly before?: string }
    readonly price?: {
      readonly perCall?: string
      readonly perKb?: string
      readonly perSecond?: string
      readonly perToken?: string
      readonly flat?: string
      readonly minimum?: string
      readonly maximum?: string
      readonly tiers?: {
        readonly mode: 'graduated' | 'volume'
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
        readonly steps: readonly {
          readonly upTo: string | null
          readonly unitPrice: string
          readonly flatPrice?: string
        }[]
      }
      readonly package?: {
        readonly unit: 'call' | 'kb' | 'second' | 'token'
        readonly size: string
        readonly price: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
      readonly percentage?: {
        readonly rate: string
        readonly of: 'upstreamCost'
        readonly fixed?: string
        readonly free?: string
        readonly period: 'month' | 'day'
        readonly per: 'account' | 'key' | 'session'
      }
    }
    readonly breakdown: readonly {
      readonly component: string
      readonly quantity: string
      readonly unitPrice?: string
      readonly amount: string
    }[]
  }
  UsageSummary: {
    readonly totalCalls: number
    readonly successfulCalls: number
    readonly failedCalls: number
    readonly unpricedCalls: number
    readonly totalCost: string | null
    readonly averageCostPerCall: string | null
    readonly currency: string | null
    readonly totals: readonly { readonly currency: string; readonly calls: number; readonly cost: string }[]
    readonly requestBytes: number
    readonly responseBytes: number
    readonly averageDurationMs: number
    readonly p50Ms: number | null
    readonly p95Ms: number | null
    readonly periodStart: string
    readonly periodEnd: string
    readonly timeZone: string
    readonly groups: readonly Schemas['UsageGroup'][]
  }
  UsageGroup: {
    readonly server?: string | null
    readonly tool?: string | null
    readonly method?: string | null
    readonly user?: string | null
    readonly account?: string | null
    readonly key?: string | null
    readonly outcome?: string | null
    readonly currency: string
    readonly month?: string | null
    readonly week?: string | null
    readonly day?: string | null
    readonly hour?: string | null
    readonly calls: number
    readonly failedCalls: number
    readonly unpricedCalls: number
    readonly cost: string
    readonly p50Ms: number | null
    readonly p95Ms: number | null
  }
  CurrentCost: {
    readonly userId: string
    readonly accountId: string
    readonly currentCost: string
    readonly currency: string
    readonly period: { readonly start: string; readonly end: string }
    readonly balance: string
    readonly held: string
    readonly timestamp: string
  }
  Account: {
    readonly id: string
    readonly parentId?: string
    readonly kind: 'organisation' | 'team' | 'user' | 'key'
    readonly name: string
    readonly ownerId?: string
    readonly mode: 'prepaid' | 'postpaid'
    readonly currency: string
    readonly timeZone: string
    readonly plan?: string
    readonly priceBook?: string
    readonly balance: string
    readonly held: string
    readonly granted: string
    readonly spent: string
    readonly expired: string
    readonly voided: string
    readonly scheduled: string
    readonly createdAt: string
    readonly updatedAt: string
  }
  Transfer: {
    readonly id: string
    readonly kind:
      | 'grant'
      | 'charge'
      | 'reprice'
      | 'expiry'
      | 'void'
      | 'payment'
      | 'rounding'
      | 'credit-note'
      | 'adjustment'
      | 'bounce'
    readonly time: string
    readonly amount: string
    readonly currency: string
    readonly debit: string
    readonly credit: string
    readonly callId?: string
    readonly adjustmentId?: string
    readonly reason?: string
  }
  Adjustment: {
    readonly id: string
    readonly accountId: string
    readonly amount: string
    readonly currency: string
    readonly reason: string
    readonly record?: string
    readonly createdBy: string
    readonly createdAt: string
    readonly transfers: readonly string[]
    readonly balance: string
  }
  Grant: {
    readonly id: string
    readonly accountId: string
    readonly amount: string
    readonly currency: string
    readonly priority: number
    readonly startsAt?: string
    readonly expiresAt?: string
    readonly voidedAt?: string
    readonly state: 'scheduled' | 'active' | 'exhausted' | 'expired' | 'voided'
    readonly remaining: string
    readonly reason?: string
    readonly createdBy: string
    readonly createdAt: string
  }
  BillingEvent: {
    readonly id: string
    readonly kind: string
    readonly accountId?: string
    readonly time: string
    readonly data: Readonly<Record<string, unknown>>
  }
  TopUp: {
    readonly status: 'credited' | 'repeated' | 'ignored'
    readonly grantId?: string
    readonly reason?: string
  }
  Webhook: {
    readonly id: string
    readonly name?: string
    readonly url: string
    readonly kinds: readonly string[]
    readonly format: 'standard' | 'cloudevents' | 'stripe-meter'
    readonly batch?: { readonly maxEvents: number; readonly maxMs: number }
    readonly stripe?: {
      readonly eventName: string
      readonly value: 'calls' | 'cost' | 'bytes' | 'tokens' | 'milliseconds'
      readonly customers: Readonly<Record<string, string>>
    }
    readonly active: boolean
    readonly disabledReason?: string
    readonly createdBy: string
    readonly createdAt: string
    readonly updatedAt: string
  }
  WebhookWithSecret: {
    readonly id: string
    readonly name?: string
    readonly url: string
    readonly kinds: readonly string[]
    readonly format: 'standard' | 'cloudevents' | 'stripe-meter'
    readonly batch?: { readonly maxEvents: number; readonly maxMs: number }
    readonly stripe?: {
      readonly eventName: string
      readonly value: 'calls' | 'cost' | 'bytes' | 'tokens' | 'milliseconds'
      readonly customers: Readonly<Record<string, string>>
    }
    readonly active: boolean
    readonly disabledReason?: string
    readonly createdBy: string
    readonly createdAt: string
    readonly updatedAt: string
    readonly secret?: string
  }
  WebhookTest: {
    readonly delivered: boolean
    readonly status?: number
    readonly error?: string
    readonly durationMs: number
  }
  WebhookDelivery: {
    readonly id: string
    readonly kind: string
    readonly events: number
    readonly state: 'pending' | 'delivered' | 'dead'
    readonly attempts: number
    readonly createdAt: string
    readonly lastAttemptAt?: string
    readonly lastStatus?: number
    readonly lastError?: string
    readonly nextAttemptAt?: string
  }
  WebhookRedelivery: { readonly redelivered: number }
  BillingDetails: {
    readonly name?: string
    readonly address?: string
    readonly country?: string
    readonly taxId?: string
    readonly email?: string
  }
  Invoice: {
    readonly id: string
    readonly number?: string
    readonly accountId: string
    readonly status: 'draft' | 'finalized' | 'paid' | 'void' | 'uncollectible'
    readonly currency: string
    readonly period: { readonly start: string; readonly end: string }
    readonly dueDays: number
    readonly total: string
    readonly amountDue: string
    readonly createdAt: string
    readonly updatedAt: string
    readonly finalizedAt?: string
    readonly dueAt?: string
    readonly closedAt?: string
    readonly reference?: string
  }
  FullInvoice: {
    readonly id: string
    readonly number?: string
    readonly accountId: string
    readonly status: 'draft' | 'finalized' | 'paid' | 'void' | 'uncollectible'
    readonly currency: string
    readonly period: { readonly start: string; readonly end: string }
    readonly dueDays: number
    readonly total: string
    readonly amountDue: string
    readonly createdAt: string
    readonly updatedAt: string
    readonly finalizedAt?: string
    readonly dueAt?: string
    readonly closedAt?: string
    readonly reference?: string
    readonly amountLeft: string
    readonly timeZone: string
    readonly seller: {
      readonly name?: string
      readonly address?: string
      readonly country?: string
      readonly taxId?: string
      readonly email?: string
      readonly payment?: string
    }
    readonly customer: {
      readonly name?: string
      readonly address?: string
      readonly country?: string
      readonly taxId?: string
      readonly email?: string
      readonly accountId: string
      readonly accountName: string
    }
    readonly lines: readonly {
      readonly position: number
      readonly kind: 'usage' | 'late' | 'summary'
      readonly description: string
      readonly detail?: string
      readonly period: { readonly start: string; readonly end: string }
      readonly server?: string
      readonly serverId?: string
      readonly method?: string
      readonly tool?: string
      readonly ruleId?: string
      readonly ruleVersion?: number
      readonly quantity: number
      readonly freeCalls: number
      readonly unitPrice?: string
      readonly exactAmount: string
      readonly amount: string
      readonly usage?: string
      readonly alreadyBilled?: { readonly calls: number; readonly exactAmount: string }
    }[]
    readonly exactTotal: string
    readonly subtotal: string
    readonly taxes: readonly {
      readonly name: string
      readonly rate: string
      readonly base: string
      readonly amount: string
    }[]
    readonly appliedCredit: string
    readonly exactAppliedCredit: string
    readonly contentSha256?: string
    readonly events: readonly {
      readonly kind: string
      readonly actor: string
      readonly time: string
      readonly note?: string
    }[]
  }
  CreditNote: {
    readonly id: string
    readonly number: string
    readonly invoiceId: string
    readonly invoiceNumber: string
    readonly currency: string
    readonly reason: string
    readonly lines: readonly {
      readonly position: number
      readonly description: string
      readonly amount: string
    }[]
    readonly net: string
    readonly tax: string
    readonly total: string
    readonly offDue: string
    readonly granted: string
    readonly contentSha256: string
    readonly createdAt: string
  }
  Verification: {
    readonly ok: boolean
    readonly checked: number
    readonly counts: {
      readonly records: number
      readonly rollups: number
      readonly transfers: number
      readonly balances: number
      readonly grants: number
      readonly budgets: number
      readonly meters: number
      readonly documents: number
    }
    readonly differenceCount: number
    readonly differences: readonly {
      readonly kind:
        | 'record'
        | 'charge'
        | 'transfer'
        | 'rollup'
        | 'balance'
        | 'total'
        | 'grant'
        | 'budget'
        | 'meter'
        | 'invoice'
      readonly id: string
      readonly expected: string
      readonly actual: string
    }[]
  }
  AccessRule: {
    readonly id: string
    readonly name: string
    readonly priority: number
    readonly effect: 'allow' | 'deny'
    readonly who?: {
      readonly users?: readonly string[]
      readonly keys?: readonly string[]
      readonly roles?: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
      readonly groups?: readonly string[]
    }
    readonly server: string
    readonly kind?: 'tool' | 'prompt' | 'resource'
    readonly item: string
    readonly arguments?: Readonly<Record<string, unknown>>
    readonly from?: string
    readonly until?: string
    readonly note?: string
    readonly active: boolean
    readonly createdAt: string
    readonly updatedAt: string
  }
  AccessExplanation: {
    readonly allowed: boolean
    readonly decidedBy: Schemas['AccessRule'] | null
    readonly tested: readonly {
      readonly rule: string
      readonly matches: boolean
      readonly mismatch?: 'active' | 'time' | 'server' | 'kind' | 'item' | 'who' | 'arguments'
    }[]
  }
  Limit: {
    readonly id: string
    readonly name: string
    readonly match: {
      readonly server?: string
      readonly tool?: string
      readonly method?: string
      readonly user?: string
      readonly key?: string
      readonly account?: string
    }
    readonly per: readonly ('user' | 'key' | 'account' | 'server' | 'tool')[]
    readonly rate?: { readonly calls: number; readonly seconds: number; readonly burst: number }
    readonly bandwidth?: { readonly bytes: number; readonly seconds: number; readonly burst: number }
    readonly concurrent?: number
    readonly active: boolean
    readonly callers: number
    readonly createdAt: string
    readonly updatedAt: string
  }
  Secrets: { readonly keys: readonly Schemas['DataKey'][]; readonly sealedByRetired: number }
  DataKey: {
    readonly id: string
    readonly purpose: string
    readonly createdAt: string
    readonly retiredAt: string | null
  }
  Rotation: {
    readonly masterReplaced: boolean
    readonly formerForgotten: boolean
    readonly resealed: readonly { readonly holds: string; readonly texts: number }[]
    readonly keys: readonly Schemas['DataKey'][]
  }
  AuditEvent: {
    readonly seq: number
    readonly id: string
    readonly time: string
    readonly action: string
    readonly actor: {
      readonly userId?: string
      readonly username?: string
      readonly roles?: readonly string[]
      readonly via?: string
      readonly keyId?: string
      readonly loginId?: string
      readonly grantId?: string
    }
    readonly resource?: { readonly type: string; readonly id: string }
    readonly made?: string
    readonly outcome: 'success' | 'refused' | 'failed'
    readonly status?: number
    readonly code?: string
    readonly ip?: string
    readonly userAgent?: string
    readonly requestId?: string
    readonly fields?: readonly string[]
    readonly count: number
    readonly since?: string
    readonly note?: string
    readonly hash: string
  }
  AuditVerification: {
    readonly ok: boolean
    readonly events: number
    readonly first: number
    readonly last: number
    readonly head: string
    readonly differenceCount: number
    readonly differences: readonly {
      readonly kind: 'changed' | 'missing' | 'inserted' | 'mark' | 'end' | 'break' | 'expected'
      readonly seq: number
      readonly what: string
    }[]
  }
  EffectiveSettings: {
    readonly version: string
    readonly node: string
    readonly engine: string
    readonly startedAt: string
    readonly items: readonly {
      readonly key: string
      readonly value: unknown
      readonly origin: { readonly kind: 'flag' | 'env' | 'file' | 'default'; readonly where: string }
      readonly variable: string
      readonly description?: string
    }[]
  }
  OauthGrant: {
    readonly id: string
    readonly userId: string
    readonly clientId: string
    readonly clientName: string
    readonly redirectUri: string
    readonly resource: string
    readonly scopes: readonly ('mcp:read' | 'mcp:call')[]
    readonly createdAt: string
    readonly lastUsedAt?: string
    readonly expiresAt: string
  }
  NewOwnClient: {
    readonly id: string
    readonly userId: string
    readonly name: string
    readonly authMethod: 'client_secret_basic' | 'private_key_jwt'
    readonly createdAt: string
    readonly lastUsedAt?: string
    readonly secret?: string
  }
  OwnClient: {
    readonly id: string
    readonly userId: string
    readonly name: string
    readonly authMethod: 'client_secret_basic' | 'private_key_jwt'
    readonly createdAt: string
    readonly lastUsedAt?: string
  }
  ToolAnswer: {
    readonly result?: Readonly<Record<string, unknown>>
    readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
    readonly callId?: string
    readonly cost?: string
  }
  OauthToken: {
    readonly access_token: string
    readonly token_type: 'Bearer'
    readonly expires_in: number
    readonly refresh_token?: string
    readonly scope: string
  }
  OauthIntrospection: {
    readonly active: boolean
    readonly scope?: string
    readonly client_id?: string
    readonly username?: string
    readonly sub?: string
    readonly aud?: string
    readonly exp?: number
    readonly token_type?: 'Bearer'
  }
  OauthClient: {
    readonly client_id: string
    readonly client_secret?: string
    readonly client_id_issued_at: number
    readonly client_secret_expires_at?: number
    readonly client_name: string
    readonly redirect_uris: readonly string[]
    readonly grant_types: readonly string[]
    readonly response_types: readonly string[]
    readonly token_endpoint_auth_method: string
  }
  ProtectedResource: {
    readonly resource: string
    readonly authorization_servers?: readonly string[]
    readonly scopes_supported?: readonly string[]
    readonly bearer_methods_supported: readonly 'header'[]
    readonly resource_name: string
  }
  Jwks: {
    readonly keys: readonly {
      readonly kty: 'OKP'
      readonly crv: 'Ed25519'
      readonly x: string
      readonly kid: string
      readonly alg: 'EdDSA'
      readonly use: 'sig'
    }[]
  }
  AuthorizationServer: {
    readonly issuer: string
    readonly authorization_endpoint: string
    readonly token_endpoint: string
    readonly registration_endpoint?: string
    readonly revocation_endpoint: string
    readonly introspection_endpoint: string
    readonly jwks_uri: string
    readonly scopes_supported: readonly string[]
    readonly response_types_supported: readonly 'code'[]
    readonly response_modes_supported: readonly 'query'[]
    readonly grant_types_supported: readonly string[]
    readonly authorization_grant_profiles_supported?: readonly string[]
    readonly token_endpoint_auth_methods_supported: readonly string[]
    readonly token_endpoint_auth_signing_alg_values_supported: readonly string[]
    readonly revocation_endpoint_auth_methods_supported: readonly string[]
    readonly code_challenge_methods_supported: readonly 'S256'[]
    readonly authorization_response_iss_parameter_supported: true
    readonly client_id_metadata_document_supported: boolean
  }
}

export interface Operations {
  'POST /auth/register': {
    params?: undefined
    query?: undefined
    body: { readonly username: string; readonly password: string; readonly email?: string }
    answer: Schemas['Login']
  }
  'POST /auth/authenticate': {
    params?: undefined
    query?: undefined
    body: { readonly username: string; readonly password: string }
    answer: Schemas['Login']
  }
  'POST /auth/refresh': {
    params?: undefined
    query?: undefined
    body: { readonly refreshToken: string }
    answer: Schemas['Login']
  }
  'POST /auth/logout': {
    params?: undefined
    query?: undefined
    body: { readonly refreshToken?: string }
    answer: undefined
  }
  'GET /me': { params?: undefined; query?: undefined; body?: undefined; answer: Schemas['Me'] }
  'POST /me/password': {
    params?: undefined
    query?: undefined
    body: { readonly currentPassword: string; readonly newPassword: string }
    answer: undefined
  }
  'POST /auth/session': {
    params?: undefined
    query?: undefined
    body: { readonly username: string; readonly password: string }
    answer: Schemas['BrowserSession']
  }
  'GET /auth/session': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: Schemas['BrowserSession']
  }
  'DELETE /auth/session': { params?: undefined; query?: undefined; body?: undefined; answer: undefined }
  'GET /auth/oidc': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: { readonly items: readonly { readonly name: string; readonly title: string }[] }
  }
  'POST /me/passkeys/options': {
    params?: undefined
    query?: undefined
    body: { readonly password: string }
    answer: Schemas['PasskeyQuestion']
  }
  'POST /me/passkeys': {
    params?: undefined
    query?: undefined
    body: {
      readonly state: string
      readonly response: Readonly<Record<string, unknown>>
      readonly name: string
    }
    answer: Schemas['Passkey']
  }
  'GET /me/passkeys': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: { readonly items: readonly Schemas['Passkey'][]; readonly nextCursor: null }
  }
  'DELETE /me/passkeys/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /auth/passkey/options': {
    params?: undefined
    query?: undefined
    body: Readonly<Record<string, unknown>>
    answer: Schemas['PasskeyQuestion']
  }
  'POST /auth/passkey': {
    params?: undefined
    query?: undefined
    body: { readonly state: string; readonly response: Readonly<Record<string, unknown>> }
    answer: Schemas['BrowserSession']
  }
  'POST /users': {
    params?: undefined
    query?: undefined
    body: {
      readonly username: string
      readonly password: string
      readonly email?: string
      readonly roles?: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
      readonly groups?: readonly string[]
    }
    answer: Schemas['User']
  }
  'GET /users': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['User'][]; readonly nextCursor: string | null }
  }
  'GET /users/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['User']
  }
  'PATCH /users/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly password?: string
      readonly email?: string | null
      readonly roles?: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
      readonly groups?: readonly string[]
      readonly disabled?: boolean
    }
    answer: Schemas['User']
  }
  'DELETE /users/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /keys': {
    params?: undefined
    query?: undefined
    body: {
      readonly name: string
      readonly expiresAt?: string
      readonly servers?: readonly string[]
      readonly budget?: {
        readonly amount: string
        readonly window: ('day' | 'week' | 'month' | 'lifetime') | { readonly rollingSeconds: number }
        readonly mode?: 'hard' | 'soft' | 'shadow'
      }
    }
    answer: Schemas['NewKey']
  }
  'GET /keys': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string; readonly user?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Key'][]; readonly nextCursor: string | null }
  }
  'PATCH /keys/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly suspended: boolean }
    answer: Schemas['Key']
  }
  'DELETE /keys/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /keys/{id}/rotate': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly overlapSeconds?: number }
    answer: Schemas['NewKey']
  }
  'POST /servers': {
    params?: undefined
    query?: undefined
    body: {
      readonly name: string
      readonly description?: string
      readonly iconUrl?: string
      readonly repositoryUrl?: string
      readonly transport:
        | {
            readonly type: 'streamable-http'
            readonly url: string
            readonly headers?: Readonly<Record<string, string>>
            readonly sessionId?: { readonly in: 'query' | 'header' | 'path'; readonly name: string }
          }
        | {
            readonly type: 'sse'
            readonly url: string
            readonly headers?: Readonly<Record<string, string>>
            readonly sessionId?: { readonly in: 'query' | 'header' | 'path'; readonly name: string }
            readonly messageUrl?: string
          }
        | {
            readonly type: 'websocket'
            readonly url: string
            readonly headers?: Readonly<Record<string, string>>
            readonly sessionId?: { readonly in: 'query' | 'header' | 'path'; readonly name: string }
          }
        | {
            readonly type: 'stdio'
            readonly command: string
            readonly args?: readonly string[]
            readonly env?: Readonly<Record<string, string>>
            readonly cwd?: string
          }
      readonly auth?:
        | { readonly type: 'none' }
        | {
            readonly type: 'api-key'
            readonly in: 'header' | 'query'
            readonly name: string
            readonly value: string
          }
        | { readonly type: 'basic'; readonly username: string; readonly password: string }
        | { readonly type: 'bearer'; readonly token: string }
        | (
            | {
                readonly type: 'oauth2'
                readonly clientId: string
                readonly method?: 'basic' | 'post' | 'private-key-jwt'
                readonly clientSecret?: string
                readonly privateKey?: string
                readonly algorithm?: 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'
                readonly tokenUrl?: string
                readonly issuer?: string
                readonly scope?: string
                readonly audience?: string
                readonly resource?: string
                readonly grant: 'client-credentials'
              }
            | {
                readonly type: 'oauth2'
                readonly method?: 'basic' | 'post' | 'private-key-jwt'
                readonly clientSecret?: string
                readonly privateKey?: string
                readonly algorithm?: 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'
                readonly issuer?: string
                readonly scope?: string
                readonly resource?: string
                readonly grant: 'authorization-code'
                readonly clientId?: string
              }
            | {
                readonly type: 'oauth2'
                readonly clientId: string
                readonly method?: 'basic' | 'post' | 'private-key-jwt'
                readonly clientSecret?: string
                readonly privateKey?: string
                readonly algorithm?: 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'
                readonly tokenUrl?: string
                readonly issuer?: string
                readonly scope?: string
                readonly audience?: string
                readonly resource?: string
                readonly grant: 'token-exchange'
              }
          )
      readonly access?: 'private' | 'authenticated' | 'public'
      readonly account?: string
      readonly sharing?: 'session' | 'user' | 'server'
      readonly timeouts?: { readonly connectMs?: number; readonly callMs?: number; readonly idleMs?: number }
      readonly limits?: {
        readonly maxResponseBytes?: number
        readonly maxConnections?: number
        readonly maxSessions?: number
      }
      readonly reportCost?: boolean
      readonly showPrices?: boolean
      readonly usageReport?: {
        readonly tokens?: { readonly key: string; readonly max: number }
        readonly cost?: { readonly key: string; readonly max: string }
      }
      readonly definitions?: {
        readonly approval?: 'off' | 'changes' | 'all'
        readonly hold?: readonly (
          | 'hidden-characters'
          | 'control-characters'
          | 'instructions'
          | 'remote-reference'
          | 'look-alike-name'
          | 'names-other-server'
          | 'too-large'
        )[]
      }
      readonly identity?: {
        readonly header?: string
        readonly audience?: string
        readonly claims?: readonly ('username' | 'account' | 'roles' | 'groups')[]
      }
      readonly capture?: {
        readonly tools?: readonly string[]
        readonly arguments?: boolean
        readonly results?: boolean
        readonly mask?: readonly string[]
        readonly maskPatterns?: readonly string[]
        readonly maxBytes?: number
        readonly days?: number
      }
    }
    answer: Schemas['Server']
  }
  'GET /servers': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Server'][]; readonly nextCursor: string | null }
  }
  'GET /servers/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Server']
  }
  'PATCH /servers/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: unknown
      readonly description?: unknown
      readonly iconUrl?: unknown
      readonly repositoryUrl?: unknown
      readonly transport?: unknown
      readonly auth?: unknown
      readonly access?: unknown
      readonly account?: unknown
      readonly sharing?: unknown
      readonly timeouts?: unknown
      readonly limits?: unknown
      readonly reportCost?: unknown
      readonly showPrices?: unknown
      readonly usageReport?: unknown
      readonly definitions?: unknown
      readonly identity?: unknown
      readonly capture?: unknown
    }
    answer: Schemas['Server']
  }
  'DELETE /servers/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'GET /servers/{id}/status': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['ServerStatus']
  }
  'PUT /servers/{id}/status': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly status: 'active' | 'inactive' }
    answer: Schemas['ServerStatus']
  }
  'POST /servers/{id}/test-connection': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Handshake']
  }
  'GET /servers/{id}/tools': {
    params: { readonly id: string }
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['PricedTool'][]; readonly nextCursor: string | null }
  }
  'GET /definitions': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: {
      readonly items: readonly { readonly serverId: string; readonly server: string; readonly held: number }[]
      readonly nextCursor: null
    }
  }
  'GET /servers/{id}/definitions': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: { readonly items: readonly Schemas['ToolDefinition'][]; readonly nextCursor: null }
  }
  'POST /servers/{id}/definitions/approve': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly tools: readonly { readonly tool: string; readonly hash: string }[] }
    answer: { readonly items: readonly Schemas['ToolDefinition'][]; readonly nextCursor: null }
  }
  'POST /servers/{id}/definitions/withdraw': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly tools: readonly string[] }
    answer: { readonly items: readonly Schemas['ToolDefinition'][]; readonly nextCursor: null }
  }
  'GET /billing/usage/{id}/payload': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Payload']
  }
  'DELETE /servers/{id}/payloads': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'GET /servers/{id}/authorization': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['ServerAuthorization']
  }
  'POST /servers/{id}/authorization': {
    params: { readonly id: string }
    query?: undefined
    body: Readonly<Record<string, unknown>>
    answer: Schemas['AuthorizationLink']
  }
  'DELETE /servers/{id}/authorization': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /bundles': {
    params?: undefined
    query?: undefined
    body: {
      readonly name: string
      readonly description?: string
      readonly access?: 'private' | 'authenticated' | 'public'
      readonly account?: string
      readonly members: readonly {
        readonly server: string
        readonly include?: readonly string[]
        readonly exclude?: readonly string[]
        readonly rename?: Readonly<Record<string, string>>
      }[]
    }
    answer: Schemas['Bundle']
  }
  'GET /bundles': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Bundle'][]; readonly nextCursor: string | null }
  }
  'GET /bundles/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Bundle']
  }
  'PATCH /bundles/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: unknown
      readonly description?: unknown
      readonly access?: unknown
      readonly account?: unknown
      readonly members?: unknown
    }
    answer: Schemas['Bundle']
  }
  'DELETE /bundles/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /servers/{id}/sessions': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly transport?: 'streamable-http' | 'sse' | 'websocket' | 'stdio' }
    answer: Schemas['Session']
  }
  'GET /sessions': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string; readonly user?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Session'][]; readonly nextCursor: string | null }
  }
  'GET /sessions/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Session']
  }
  'DELETE /sessions/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'GET /sessions/{id}/status': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['SessionStatus']
  }
  'GET /streams': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Stream'][]; readonly nextCursor: string | null }
  }
  'DELETE /streams/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /billing/rules': {
    params?: undefined
    query?: undefined
    body: {
      readonly name: string
      readonly priority?: number
      readonly active?: boolean
      readonly currency: string
      readonly book?: string
      readonly match?: {
        readonly server?: string
        readonly tool?: string
        readonly method?: string
        readonly user?: string
        readonly account?: string
        readonly transport?: string
      }
      readonly price: {
        readonly perCall?: string
        readonly perKb?: string
        readonly perSecond?: string
        readonly perToken?: string
        readonly flat?: string
        readonly minimum?: string
        readonly maximum?: string
        readonly tiers?: {
          readonly mode: 'graduated' | 'volume'
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
          readonly steps: readonly {
            readonly upTo: string | null
            readonly unitPrice: string
            readonly flatPrice?: string
          }[]
        }
        readonly package?: {
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly size: string
          readonly price: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
        readonly percentage?: {
          readonly rate: string
          readonly of: 'upstreamCost'
          readonly fixed?: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
      }
      readonly billOn?: readonly (
        | 'success'
        | 'tool_error'
        | 'error'
        | 'timeout'
        | 'cancelled'
        | 'denied'
        | 'unknown'
      )[]
      readonly effectiveFrom?: string
      readonly effectiveTo?: string
    }
    answer: Schemas['Rule']
  }
  'GET /billing/rules': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Rule'][]; readonly nextCursor: string | null }
  }
  'GET /billing/rules/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Rule']
  }
  'PATCH /billing/rules/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: string
      readonly priority?: number
      readonly active?: boolean
      readonly currency?: string
      readonly book?: string | null
      readonly match?: {
        readonly server?: string
        readonly tool?: string
        readonly method?: string
        readonly user?: string
        readonly account?: string
        readonly transport?: string
      }
      readonly price?: {
        readonly perCall?: string
        readonly perKb?: string
        readonly perSecond?: string
        readonly perToken?: string
        readonly flat?: string
        readonly minimum?: string
        readonly maximum?: string
        readonly tiers?: {
          readonly mode: 'graduated' | 'volume'
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
          readonly steps: readonly {
            readonly upTo: string | null
            readonly unitPrice: string
            readonly flatPrice?: string
          }[]
        }
        readonly package?: {
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly size: string
          readonly price: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
        readonly percentage?: {
          readonly rate: string
          readonly of: 'upstreamCost'
          readonly fixed?: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
      }
      readonly billOn?: readonly (
        | 'success'
        | 'tool_error'
        | 'error'
        | 'timeout'
        | 'cancelled'
        | 'denied'
        | 'unknown'
      )[]
      readonly effectiveFrom?: string
      readonly effectiveTo?: string | null
    }
    answer: Schemas['Rule']
  }
  'DELETE /billing/rules/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'GET /billing/rules/{id}/versions': {
    params: { readonly id: string }
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Rule'][]; readonly nextCursor: string | null }
  }
  'POST /billing/drafts': {
    params?: undefined
    query?: undefined
    body: {
      readonly name?: string
      readonly priority?: number
      readonly active?: boolean
      readonly currency?: string
      readonly book?: string | null
      readonly match?: {
        readonly server?: string
        readonly tool?: string
        readonly method?: string
        readonly user?: string
        readonly account?: string
        readonly transport?: string
      }
      readonly price?: {
        readonly perCall?: string
        readonly perKb?: string
        readonly perSecond?: string
        readonly perToken?: string
        readonly flat?: string
        readonly minimum?: string
        readonly maximum?: string
        readonly tiers?: {
          readonly mode: 'graduated' | 'volume'
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
          readonly steps: readonly {
            readonly upTo: string | null
            readonly unitPrice: string
            readonly flatPrice?: string
          }[]
        }
        readonly package?: {
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly size: string
          readonly price: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
        readonly percentage?: {
          readonly rate: string
          readonly of: 'upstreamCost'
          readonly fixed?: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
      }
      readonly billOn?: readonly (
        | 'success'
        | 'tool_error'
        | 'error'
        | 'timeout'
        | 'cancelled'
        | 'denied'
        | 'unknown'
      )[]
      readonly effectiveFrom?: string
      readonly effectiveTo?: string | null
      readonly ruleId?: string
    }
    answer: Schemas['RuleDraft']
  }
  'GET /billing/drafts': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['RuleDraft'][]; readonly nextCursor: string | null }
  }
  'GET /billing/drafts/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['RuleDraft']
  }
  'PATCH /billing/drafts/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: string
      readonly priority?: number
      readonly active?: boolean
      readonly currency?: string
      readonly book?: string | null
      readonly match?: {
        readonly server?: string
        readonly tool?: string
        readonly method?: string
        readonly user?: string
        readonly account?: string
        readonly transport?: string
      }
      readonly price?: {
        readonly perCall?: string
        readonly perKb?: string
        readonly perSecond?: string
        readonly perToken?: string
        readonly flat?: string
        readonly minimum?: string
        readonly maximum?: string
        readonly tiers?: {
          readonly mode: 'graduated' | 'volume'
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
          readonly steps: readonly {
            readonly upTo: string | null
            readonly unitPrice: string
            readonly flatPrice?: string
          }[]
        }
        readonly package?: {
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly size: string
          readonly price: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
        readonly percentage?: {
          readonly rate: string
          readonly of: 'upstreamCost'
          readonly fixed?: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
      }
      readonly billOn?: readonly (
        | 'success'
        | 'tool_error'
        | 'error'
        | 'timeout'
        | 'cancelled'
        | 'denied'
        | 'unknown'
      )[]
      readonly effectiveFrom?: string
      readonly effectiveTo?: string | null
      readonly basedOn?: number
    }
    answer: Schemas['RuleDraft']
  }
  'DELETE /billing/drafts/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /billing/drafts/{id}/publish': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly force?: boolean }
    answer: Schemas['Rule']
  }
  'POST /billing/drafts/publish': {
    params?: undefined
    query?: undefined
    body: { readonly ids: readonly string[]; readonly force?: boolean }
    answer: { readonly items: readonly Schemas['Rule'][] }
  }
  'POST /billing/books': {
    params?: undefined
    query?: undefined
    body: { readonly name: string; readonly description?: string }
    answer: Schemas['PriceBook']
  }
  'GET /billing/books': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['PriceBook'][]; readonly nextCursor: string | null }
  }
  'GET /billing/books/{name}': {
    params: { readonly name: string }
    query?: undefined
    body?: undefined
    answer: Schemas['PriceBook']
  }
  'PATCH /billing/books/{name}': {
    params: { readonly name: string }
    query?: undefined
    body: { readonly description: string | null }
    answer: Schemas['PriceBook']
  }
  'DELETE /billing/books/{name}': {
    params: { readonly name: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /billing/lint': {
    params?: undefined
    query?: undefined
    body: { readonly drafts?: 'all' | readonly string[]; readonly tools?: boolean }
    answer: Schemas['Lint']
  }
  'POST /billing/quote': {
    params?: undefined
    query?: undefined
    body: {
      readonly price: {
        readonly perCall?: string
        readonly perKb?: string
        readonly perSecond?: string
        readonly perToken?: string
        readonly flat?: string
        readonly minimum?: string
        readonly maximum?: string
        readonly tiers?: {
          readonly mode: 'graduated' | 'volume'
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
          readonly steps: readonly {
            readonly upTo: string | null
            readonly unitPrice: string
            readonly flatPrice?: string
          }[]
        }
        readonly package?: {
          readonly unit: 'call' | 'kb' | 'second' | 'token'
          readonly size: string
          readonly price: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
        readonly percentage?: {
          readonly rate: string
          readonly of: 'upstreamCost'
          readonly fixed?: string
          readonly free?: string
          readonly period?: 'month' | 'day'
          readonly per?: 'account' | 'key' | 'session'
        }
      }
      readonly usage: {
        readonly calls?: string
        readonly kb?: string
        readonly seconds?: string
        readonly tokens?: string
        readonly upstreamCost?: string
      }
      readonly currency?: string
    }
    answer: Schemas['Quote']
  }
  'POST /billing/explain': {
    params?: undefined
    query?: undefined
    body: {
      readonly server: string
      readonly method: string
      readonly tool?: string
      readonly userId?: string
      readonly transport?: 'streamable-http' | 'sse' | 'websocket' | 'stdio' | 'api'
      readonly at?: string
    }
    answer: Schemas['Explanation']
  }
  'POST /billing/simulate': {
    params?: undefined
    query?: undefined
    body: {
      readonly rules?: readonly {
        readonly name: string
        readonly priority?: number
        readonly active?: boolean
        readonly currency: string
        readonly book?: string
        readonly match?: {
          readonly server?: string
          readonly tool?: string
          readonly method?: string
          readonly user?: string
          readonly account?: string
          readonly transport?: string
        }
        readonly price: {
          readonly perCall?: string
          readonly perKb?: string
          readonly perSecond?: string
          readonly perToken?: string
          readonly flat?: string
          readonly minimum?: string
          readonly maximum?: string
          readonly tiers?: {
            readonly mode: 'graduated' | 'volume'
            readonly unit: 'call' | 'kb' | 'second' | 'token'
            readonly period?: 'month' | 'day'
            readonly per?: 'account' | 'key' | 'session'
            readonly steps: readonly {
              readonly upTo: string | null
              readonly unitPrice: string
              readonly flatPrice?: string
            }[]
          }
          readonly package?: {
            readonly unit: 'call' | 'kb' | 'second' | 'token'
            readonly size: string
            readonly price: string
            readonly free?: string
            readonly period?: 'month' | 'day'
            readonly per?: 'account' | 'key' | 'session'
          }
          readonly percentage?: {
            readonly rate: string
            readonly of: 'upstreamCost'
            readonly fixed?: string
            readonly free?: string
            readonly period?: 'month' | 'day'
            readonly per?: 'account' | 'key' | 'session'
          }
        }
        readonly billOn?: readonly (
          | 'success'
          | 'tool_error'
          | 'error'
          | 'timeout'
          | 'cancelled'
          | 'denied'
          | 'unknown'
        )[]
        readonly effectiveFrom?: string
        readonly effectiveTo?: string
      }[]
      readonly drafts?: 'all' | readonly string[]
      readonly keep?: boolean
      readonly replace?: readonly string[]
      readonly from?: string
      readonly to?: string
      readonly account?: string
    }
    answer: Schemas['Simulation']
  }
  'GET /billing/usage': {
    params?: undefined
    query?: {
      readonly limit?: number
      readonly cursor?: string
      readonly user?: string
      readonly account?: string
      readonly key?: string
      readonly server?: string
      readonly tool?: string
      readonly method?: string
      readonly session?: string
      readonly outcome?: 'success' | 'tool_error' | 'error' | 'timeout' | 'cancelled' | 'denied' | 'unknown'
      readonly currency?: string
      readonly rule?: string
      readonly ruleVersion?: number
      readonly unpriced?: 'true'
      readonly toolless?: 'true'
      readonly from?: string
      readonly to?: string
    }
    body?: undefined
    answer: { readonly items: readonly Schemas['UsageRecord'][]; readonly nextCursor: string | null }
  }
  'GET /billing/usage/session/{sessionId}': {
    params: { readonly sessionId: string }
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: Schemas['SessionUsage']
  }
  'GET /billing/usage/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['PricedUsageRecord']
  }
  'GET /billing/usage/summary': {
    params?: undefined
    query?: {
      readonly user?: string
      readonly account?: string
      readonly key?: string
      readonly server?: string
      readonly tool?: string
      readonly method?: string
      readonly session?: string
      readonly outcome?: 'success' | 'tool_error' | 'error' | 'timeout' | 'cancelled' | 'denied' | 'unknown'
      readonly currency?: string
      readonly rule?: string
      readonly ruleVersion?: number
      readonly unpriced?: 'true'
      readonly toolless?: 'true'
      readonly from?: string
      readonly to?: string
      readonly groupBy?: string
      readonly timeZone?: string
    }
    body?: undefined
    answer: Schemas['UsageSummary']
  }
  'GET /billing/cost/current': {
    params?: undefined
    query?: { readonly userId?: string }
    body?: undefined
    answer: Schemas['CurrentCost']
  }
  'GET /billing/accounts': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string; readonly parent?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Account'][]; readonly nextCursor: string | null }
  }
  'POST /billing/accounts': {
    params?: undefined
    query?: undefined
    body: {
      readonly kind: 'organisation' | 'team'
      readonly name: string
      readonly parentId?: string
      readonly mode?: 'prepaid' | 'postpaid'
      readonly currency?: string
      readonly timeZone?: string
      readonly plan?: string
      readonly priceBook?: string
    }
    answer: Schemas['Account']
  }
  'GET /billing/accounts/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Account']
  }
  'PATCH /billing/accounts/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: string
      readonly mode?: 'prepaid' | 'postpaid'
      readonly timeZone?: string
      readonly parentId?: string | null
      readonly plan?: string | null
      readonly priceBook?: string | null
    }
    answer: Schemas['Account']
  }
  'GET /billing/accounts/{id}/ledger': {
    params: { readonly id: string }
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Transfer'][]; readonly nextCursor: string | null }
  }
  'POST /billing/accounts/{id}/adjustments': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly amount: string; readonly reason: string; readonly record?: string }
    answer: Schemas['Adjustment']
  }
  'POST /billing/accounts/{id}/grants': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly amount: string
      readonly priority?: number
      readonly startsAt?: string
      readonly expiresAt?: string
      readonly reason?: string
    }
    answer: Schemas['Grant']
  }
  'GET /billing/accounts/{id}/grants': {
    params: { readonly id: string }
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Grant'][]; readonly nextCursor: string | null }
  }
  'POST /billing/accounts/{id}/grants/{grantId}/void': {
    params: { readonly id: string; readonly grantId: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Grant']
  }
  'GET /billing/budgets': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Budget'][]; readonly nextCursor: string | null }
  }
  'POST /billing/budgets': {
    params?: undefined
    query?: undefined
    body: {
      readonly name?: string
      readonly scope: {
        readonly account?: string
        readonly user?: string
        readonly key?: string
        readonly session?: string
        readonly server?: string
      }
      readonly amount: string
      readonly unit?: 'money' | 'calls'
      readonly currency?: string
      readonly window: ('day' | 'week' | 'month' | 'lifetime') | { readonly rollingSeconds: number }
      readonly timeZone?: string
      readonly mode?: 'hard' | 'soft' | 'shadow'
      readonly thresholds?: readonly (string | number)[]
    }
    answer: Schemas['Budget']
  }
  'GET /billing/budgets/{id}': {
    params: { readonly id: string }
    query?: { readonly subject?: string }
    body?: undefined
    answer: Schemas['Budget']
  }
  'PATCH /billing/budgets/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: string
      readonly amount?: string
      readonly mode?: 'hard' | 'soft' | 'shadow'
      readonly thresholds?: readonly (string | number)[]
    }
    answer: Schemas['Budget']
  }
  'DELETE /billing/budgets/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /billing/budgets/{id}/increase': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly amount: string; readonly until: string }
    answer: Schemas['Budget']
  }
  'GET /billing/events': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string; readonly account?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['BillingEvent'][]; readonly nextCursor: string | null }
  }
  'POST /billing/top-ups/{provider}': {
    params: { readonly provider: string }
    query?: undefined
    body: Readonly<Record<string, unknown>>
    answer: Schemas['TopUp']
  }
  'GET /billing/webhooks': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Webhook'][]; readonly nextCursor: string | null }
  }
  'POST /billing/webhooks': {
    params?: undefined
    query?: undefined
    body: {
      readonly name?: string
      readonly url: string
      readonly kinds: readonly (
        | 'call.settled'
        | 'budget.threshold'
        | 'budget.exhausted'
        | 'invoice.created'
        | 'invoice.refreshed'
        | 'invoice.deleted'
        | 'invoice.finalized'
        | 'invoice.paid'
        | 'invoice.void'
        | 'invoice.uncollectible'
        | 'invoice.credited'
      )[]
      readonly format?: 'standard' | 'cloudevents' | 'stripe-meter'
      readonly secret?: string
      readonly batch?: { readonly maxEvents: number; readonly maxMs: number }
      readonly stripe?: {
        readonly eventName: string
        readonly value?: 'calls' | 'cost' | 'bytes' | 'tokens' | 'milliseconds'
        readonly customers: Readonly<Record<string, string>>
      }
      readonly active?: boolean
    }
    answer: Schemas['WebhookWithSecret']
  }
  'GET /billing/webhooks/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Webhook']
  }
  'PATCH /billing/webhooks/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: string
      readonly url?: string
      readonly kinds?: readonly (
        | 'call.settled'
        | 'budget.threshold'
        | 'budget.exhausted'
        | 'invoice.created'
        | 'invoice.refreshed'
        | 'invoice.deleted'
        | 'invoice.finalized'
        | 'invoice.paid'
        | 'invoice.void'
        | 'invoice.uncollectible'
        | 'invoice.credited'
      )[]
      readonly batch?: { readonly maxEvents: number; readonly maxMs: number } | null
      readonly stripe?: {
        readonly eventName: string
        readonly value?: 'calls' | 'cost' | 'bytes' | 'tokens' | 'milliseconds'
        readonly customers: Readonly<Record<string, string>>
      }
      readonly active?: boolean
    }
    answer: Schemas['Webhook']
  }
  'DELETE /billing/webhooks/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /billing/webhooks/{id}/rotate-secret': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly secret?: string }
    answer: Schemas['WebhookWithSecret']
  }
  'POST /billing/webhooks/{id}/test': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['WebhookTest']
  }
  'GET /billing/webhooks/{id}/deliveries': {
    params: { readonly id: string }
    query?: {
      readonly limit?: number
      readonly cursor?: string
      readonly state?: 'pending' | 'delivered' | 'dead'
    }
    body?: undefined
    answer: { readonly items: readonly Schemas['WebhookDelivery'][]; readonly nextCursor: string | null }
  }
  'POST /billing/webhooks/{id}/redeliver': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly delivery?: string }
    answer: Schemas['WebhookRedelivery']
  }
  'GET /billing/accounts/{id}/billing': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['BillingDetails']
  }
  'PATCH /billing/accounts/{id}/billing': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: string | null
      readonly address?: string | null
      readonly country?: string | null
      readonly taxId?: string | null
      readonly email?: string | null
    }
    answer: Schemas['BillingDetails']
  }
  'GET /billing/invoices': {
    params?: undefined
    query?: {
      readonly limit?: number
      readonly cursor?: string
      readonly account?: string
      readonly status?: 'draft' | 'finalized' | 'paid' | 'void' | 'uncollectible'
    }
    body?: undefined
    answer: { readonly items: readonly Schemas['Invoice'][]; readonly nextCursor: string | null }
  }
  'POST /billing/invoices': {
    params?: undefined
    query?: undefined
    body: {
      readonly accountId: string
      readonly month?: string
      readonly period?: { readonly start: string; readonly end: string }
      readonly dueDays?: number
    }
    answer: Schemas['FullInvoice']
  }
  'GET /billing/invoices/{id}': {
    params: { readonly id: string }
    query?: { readonly format?: 'html' | 'pdf' | 'csv' | 'data' }
    body?: undefined
    answer: Schemas['FullInvoice']
  }
  'DELETE /billing/invoices/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /billing/invoices/{id}/refresh': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['FullInvoice']
  }
  'POST /billing/invoices/{id}/finalize': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly expectedTotal?: string }
    answer: Schemas['FullInvoice']
  }
  'POST /billing/invoices/{id}/pay': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly reference: string }
    answer: Schemas['FullInvoice']
  }
  'POST /billing/invoices/{id}/void': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly reason: string }
    answer: Schemas['FullInvoice']
  }
  'POST /billing/invoices/{id}/uncollectible': {
    params: { readonly id: string }
    query?: undefined
    body: { readonly reason: string }
    answer: Schemas['FullInvoice']
  }
  'POST /billing/invoices/{id}/credit-notes': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly amount?: string
      readonly lines?: readonly { readonly position: number; readonly amount?: string }[]
      readonly reason: string
    }
    answer: Schemas['CreditNote']
  }
  'GET /billing/invoices/{id}/credit-notes': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: { readonly items: readonly Schemas['CreditNote'][]; readonly nextCursor: null }
  }
  'GET /billing/verify': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: Schemas['Verification']
  }
  'GET /billing/health': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: { readonly status: 'ok' | 'unavailable'; readonly store: 'ok' | 'unavailable' }
  }
  'POST /access-rules': {
    params?: undefined
    query?: undefined
    body: {
      readonly name: string
      readonly priority?: number
      readonly effect: 'allow' | 'deny'
      readonly who?: {
        readonly users?: readonly string[]
        readonly keys?: readonly string[]
        readonly roles?: readonly ('admin' | 'operator' | 'auditor' | 'member')[]
        readonly groups?: readonly string[]
      }
      readonly server?: string
      readonly kind?: 'tool' | 'prompt' | 'resource'
      readonly item?: string
      readonly arguments?: Readonly<Record<string, unknown>>
      readonly from?: string
      readonly until?: string
      readonly note?: string
      readonly active?: boolean
    }
    answer: Schemas['AccessRule']
  }
  'GET /access-rules': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: { readonly items: readonly Schemas['AccessRule'][]; readonly nextCursor: null }
  }
  'POST /access-rules/explain': {
    params?: undefined
    query?: undefined
    body: {
      readonly user: string
      readonly key?: string
      readonly server: string
      readonly kind?: 'tool' | 'prompt' | 'resource'
      readonly arguments?: Readonly<Record<string, unknown>>
      readonly item: string
    }
    answer: Schemas['AccessExplanation']
  }
  'GET /access-rules/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['AccessRule']
  }
  'PATCH /access-rules/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: unknown
      readonly priority?: unknown
      readonly effect?: unknown
      readonly who?: unknown
      readonly server?: unknown
      readonly kind?: unknown
      readonly item?: unknown
      readonly arguments?: unknown
      readonly from?: unknown
      readonly until?: unknown
      readonly note?: unknown
      readonly active?: unknown
    }
    answer: Schemas['AccessRule']
  }
  'DELETE /access-rules/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /limits': {
    params?: undefined
    query?: undefined
    body: {
      readonly name: string
      readonly match?: {
        readonly server?: string
        readonly tool?: string
        readonly method?: string
        readonly user?: string
        readonly key?: string
        readonly account?: string
      }
      readonly per?: readonly ('user' | 'key' | 'account' | 'server' | 'tool')[]
      readonly rate?: { readonly calls: number; readonly seconds: number; readonly burst?: number }
      readonly bandwidth?: { readonly bytes: number; readonly seconds: number; readonly burst?: number }
      readonly concurrent?: number
      readonly active?: boolean
    }
    answer: Schemas['Limit']
  }
  'GET /limits': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['Limit'][]; readonly nextCursor: string | null }
  }
  'GET /limits/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: Schemas['Limit']
  }
  'PATCH /limits/{id}': {
    params: { readonly id: string }
    query?: undefined
    body: {
      readonly name?: unknown
      readonly match?: unknown
      readonly per?: unknown
      readonly rate?: unknown
      readonly bandwidth?: unknown
      readonly concurrent?: unknown
      readonly active?: unknown
    }
    answer: Schemas['Limit']
  }
  'DELETE /limits/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'GET /secrets': { params?: undefined; query?: undefined; body?: undefined; answer: Schemas['Secrets'] }
  'POST /secrets/rotate': {
    params?: undefined
    query?: undefined
    body: { readonly compromised?: boolean }
    answer: Schemas['Rotation']
  }
  'GET /audit': {
    params?: undefined
    query?: {
      readonly limit?: number
      readonly cursor?: string
      readonly from?: string
      readonly to?: string
      readonly actor?: string
      readonly action?: string
      readonly resourceType?: string
      readonly resource?: string
    }
    body?: undefined
    answer: { readonly items: readonly Schemas['AuditEvent'][]; readonly nextCursor: string | null }
  }
  'GET /audit/verify': {
    params?: undefined
    query?: { readonly expect?: string }
    body?: undefined
    answer: Schemas['AuditVerification']
  }
  'GET /settings': {
    params?: undefined
    query?: undefined
    body?: undefined
    answer: Schemas['EffectiveSettings']
  }
  'GET /oauth/grants': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string; readonly user?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['OauthGrant'][]; readonly nextCursor: string | null }
  }
  'DELETE /oauth/grants/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /oauth/clients': {
    params?: undefined
    query?: undefined
    body: { readonly name: string; readonly publicKeys?: readonly Readonly<Record<string, unknown>>[] }
    answer: Schemas['NewOwnClient']
  }
  'GET /oauth/clients': {
    params?: undefined
    query?: { readonly limit?: number; readonly cursor?: string }
    body?: undefined
    answer: { readonly items: readonly Schemas['OwnClient'][]; readonly nextCursor: string | null }
  }
  'DELETE /oauth/clients/{id}': {
    params: { readonly id: string }
    query?: undefined
    body?: undefined
    answer: undefined
  }
  'POST /servers/{id}/tools/{tool}/call': {
    params: { readonly id: string; readonly tool: string }
    query?: undefined
    body: { readonly arguments?: Readonly<Record<string, unknown>> }
    answer: Schemas['ToolAnswer']
  }
}
