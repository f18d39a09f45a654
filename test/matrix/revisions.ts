// The protocol's revisions and transports as the matrix sees them: which there are, and what came with which.

export const transports = ['streamable-http', 'sse', 'websocket', 'stdio'] as const
export type TransportName = (typeof transports)[number]

export const revisions = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const
export type Revision = (typeof revisions)[number]

export type EraName = 'legacy' | 'modern'

export const eraOf = (revision: string): EraName => (revision >= '2026-07-28' ? 'modern' : 'legacy')

/** The first revision that knows a feature; sampling, roots, progress and subscriptions are as old as the protocol. */
const since = {
  audio: '2025-03-26',
  elicitation: '2025-06-18',
  structuredContent: '2025-06-18',
  resource_link: '2025-06-18',
  /** Structured content, and its schema, that is no object. */
  anyStructure: '2026-07-28',
} as const satisfies Record<string, Revision>
export type Feature = keyof typeof since

export const knows = (revision: Revision, feature: Feature): boolean => revision >= since[feature]

/** One end of a conversation. */
export interface Side {
  readonly transport: TransportName
  readonly revision: Revision
}

/** Why a transport and a revision do not go together; undefined where they do. */
export function cannotSpeak({ transport, revision }: Side): string | undefined {
  return transport === 'sse' && eraOf(revision) === 'modern'
    ? 'HTTP+SSE is a stream with a session and requests of the server, none of which 2026-07-28 has.'
    : undefined
}

export const sides: readonly Side[] = transports.flatMap((transport) =>
  revisions.map((revision) => ({ transport, revision })).filter((side) => cannotSpeak(side) === undefined),
)
