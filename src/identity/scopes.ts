// What an OAuth token lets its client do at an MCP endpoint, and what is missing where it does not suffice.
import { GatewayError } from '../base/errors.ts'
import type { Principal } from './principal.ts'

/** Scope → what a user is told that it allows. Whoever may call may also read. */
export const scopes = {
  'mcp:read': 'See what the server offers, and read its resources and prompts',
  'mcp:call': 'Call its tools in your name; what that costs is charged to your account',
} as const
export type Scope = keyof typeof scopes

/** Every scope, in the order in which they are named. */
export const scopeNames = Object.keys(scopes) as Scope[]

/** What an ordinary client needs; named in the challenge of a 401 (MCP 2026-07-28, "Scope Selection Strategy"). */
export const usualScope = scopeNames.join(' ')

export const isScope = (name: string): name is Scope => Object.hasOwn(scopes, name)

/** Methods that only read. What is not named here may act or spend, so it needs `mcp:call`. */
const reading = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
])

/**
 * Why a caller's token does not allow a request's method; undefined where it does, and for callers who are not limited
 * by scopes. `data.scope` names all that the method needs, so that the client can ask its user for it ("step-up").
 */
export function scopeFault({ scopes: held, resource }: Principal, method: string): GatewayError | undefined {
  if (held === undefined || held.includes('mcp:call') || reading.has(method)) return undefined
  return new GatewayError('insufficient_scope', {
    data: { scope: usualScope, ...(resource !== undefined && { resource }) },
  })
}

/** Where the metadata of a protected resource is: the well-known part stands before its path (RFC 9728, section 3.1). */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource)
  return `${origin}/.well-known/oauth-protected-resource${pathname.replace(/\/$/, '')}`
}

/** The challenge that goes with `insufficient_scope` (RFC 6750, section 3.1). */
export function stepUpChallenge({ data }: GatewayError): string {
  const { scope, resource } = data
  const metadata =
    typeof resource === 'string' ? `, resource_metadata="${resourceMetadataUrl(resource)}"` : ''
  return `Bearer realm="tollbridge", error="insufficient_scope", scope="${String(scope)}"${metadata}`
}
