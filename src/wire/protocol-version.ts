// The protocol's revisions and the line between the two eras.

/** Revisions with `initialize`, newest first. */
export const legacyVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const
/** Revisions with per-request metadata, newest first. */
export const modernVersions = ['2026-07-28'] as const

export type Era = 'legacy' | 'modern'

/** Revisions are dates and compare as text; the first modern one is 2026-07-28. */
export const isModernVersion = (version: string): boolean => version >= '2026-07-28'

/** Keys of a modern request's `params._meta` (MCP 2026-07-28, "Request Metadata"). */
export const metaKeys = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
} as const
