// The committed table of the matrix: every client × every server × every behaviour, and what a pair cannot do and why.
import type { ClientKind } from './conversation.ts'
import { eraOf, knows, revisions, sides, type Revision, type Side } from './revisions.ts'

export const behaviours = [
  'open',
  'list',
  'call',
  'structured result',
  'content',
  'mirrored argument',
  'resource',
  'prompt',
  'completion',
  'progress',
  'log',
  'cancel',
  'elicitation',
  'sampling',
  'roots',
  'subscription',
  'tool error',
  'protocol error',
  'large result',
  'bill',
] as const
export type Behaviour = (typeof behaviours)[number]

export interface Pair {
  readonly client: ClientKind
  readonly upstream: Side
}

/** SDK 1.32 for the legacy era, SDK 2.4 for the modern one; over HTTP, SDK 2.4's legacy client besides. */
export const clients: readonly ClientKind[] = [
  ...sides.map((side): ClientKind => ({ ...side, sdk: eraOf(side.revision) === 'modern' ? '2.4' : '1.32' })),
  { transport: 'streamable-http', revision: '2025-11-25', sdk: '2.4' },
]

const isSecondLegacy = ({ sdk, revision }: ClientKind): boolean =>
  sdk === '2.4' && eraOf(revision) === 'legacy'

export const pairs: readonly Pair[] = clients.flatMap((client) =>
  sides.map((upstream) => ({ client, upstream })),
)

/** `sse × websocket, 2024-11-05 → 2026-07-28` */
export const pairName = ({ client, upstream }: Pair): string =>
  `${client.transport}${isSecondLegacy(client) ? ' (SDK 2)' : ''} × ${upstream.transport}, ` +
  `${client.revision} → ${upstream.revision}`

export const cellName = (pair: Pair, behaviour: Behaviour): string => `${pairName(pair)}: ${behaviour}`

/** The revision that both ends of a pair know: what the client is told, unless the eras differ. */
export function agreedRevision({ client, upstream }: Pair): Revision {
  if (eraOf(client.revision) !== eraOf(upstream.revision)) return client.revision
  return client.revision < upstream.revision ? client.revision : upstream.revision
}

/** What a pair of revisions cannot do by the protocol: the cell then asks for a clear refusal, which `says` matches. */
export interface Refusal {
  readonly reason: string
  readonly says: RegExp
}

export function refusalOf(behaviour: Behaviour, client: Revision, upstream: Revision): Refusal | undefined {
  if (behaviour !== 'elicitation') return undefined
  const older = [client, upstream].find((revision) => !knows(revision, 'elicitation'))
  if (older === undefined) return undefined
  return { reason: `elicitation came with 2025-06-18, and one side speaks ${older}`, says: /elicitation/i }
}

/** Every pair of revisions that some pair of transports has. */
export const revisionPairs: readonly (readonly [Revision, Revision])[] = revisions.flatMap((client) =>
  revisions.map((upstream) => [client, upstream] as const),
)
