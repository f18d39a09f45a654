// What the relay is made of.
import type { Log } from '../base/log.ts'
import type { Payloads } from '../payloads/payloads.ts'
import type { Limits } from '../policy/limits/limits.ts'
import type { Permissions } from '../policy/permissions.ts'
import type { Server } from '../registry/server.ts'
import type { Consents } from '../upstreams/oauth/consents.ts'
import type { UpstreamFailure } from '../upstreams/upstream.ts'
import type { Breakers } from './breakers.ts'
import type { Incoming } from './incoming.ts'
import type { Metering } from './metering.ts'
import type { PaidCalls } from './paid-calls.ts'
import type { PriceTags } from './price-tags.ts'
import type { Replays } from './replays.ts'
import type { Session } from './session.ts'
import type { TaskOwners } from './tasks/task-owners.ts'
import type { LinkQuestion } from './link-question.ts'
import type { Ways } from './ways.ts'

export interface RelayOptions {
  readonly metering: Metering
  readonly breakers: Breakers
  readonly replays: Replays
  readonly priceTags: PriceTags
  /** Asks the users of callers without balance to top up; absent where there is nowhere to. */
  readonly linkQuestion?: LinkQuestion | undefined
  /** What may come, and run at once. */
  readonly limits: Pick<Limits, 'admit'>
  readonly permissions: Pick<Permissions, 'restricts' | 'isPermitted' | 'shows' | 'findHold' | 'findMisfit'>
  /** Hears of requests that the caller may not make; the record of a denied one says no more than its outcome. */
  readonly onDenied?: (incoming: Incoming, code: string) => void
  /** Who started which task. */
  readonly tasks?: Pick<TaskOwners, 'started' | 'findForeign'> | undefined
  /** Who has to let the gateway use a server as them first. */
  readonly consents?: Pick<Consents, 'findMissing'> | undefined
  /** Calls that pay for themselves; absent where that is not configured. */
  readonly paidCalls?: PaidCalls | undefined
  /** Keeps what calls to some servers were asked and answered. */
  readonly payloads?: Pick<Payloads, 'begin' | 'answered' | 'finished'> | undefined
  readonly log: Log
  readonly ways: Ways
  readonly reportFailure: (server: Server, failure: UpstreamFailure) => void
  readonly reportSuccess: (server: Server) => void
  /** The server did not let a session begin that was made for it alone. */
  readonly onInitializeFailed: (session: Session) => void
  readonly maxInFlight: number
}
