// The answer to a call that was made before under the same idempotency key.
import { formatCallId } from '../base/id.ts'
import type { Asking } from './incoming.ts'
import type { KeptAnswer } from './kept-store.ts'
import type { Metering } from './metering.ts'
import { presenterOf, type PresenterParts } from './presenter.ts'
import { repeatedAnswer } from './replays.ts'
import type { FinalAnswer } from './reply.ts'

/** A repeat costs nothing, and says so where its caller wants to know. */
export function repeatOf(
  incoming: Asking,
  kept: KeptAnswer,
  parts: PresenterParts & { readonly metering: Metering },
): FinalAnswer {
  const { message, server, principal } = incoming
  const answer = repeatedAnswer(kept, message)
  const member = parts.ways.findMember(server, principal, message)
  const { balance, currency } = parts.metering.balanceOf(principal.accountId)
  const record = { id: kept.record, cost: 0n, currency }
  const plain = Buffer.from(JSON.stringify(answer))
  const present = presenterOf(incoming, member?.server ?? server, parts)
  const bytes = present?.(answer, plain, { record, balance }) ?? plain
  return { status: kept.status, bytes, callId: formatCallId(kept.record), cost: '0' }
}
