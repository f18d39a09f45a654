// What a server's answer means for its call's record, and how the call's cost is put on it.
import { formatCallId } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { answerOutcome } from '../wire/outcome.ts'
import type { CallEnd, Settled } from './charge.ts'

/** Whether an answer is a round that asks for input (MCP 2026-07-28, "Multi Round-Trip Requests"). */
export const isInterim = (answer: JsonRpcMessage): boolean =>
  answer.result?.['resultType'] === 'input_required'

/** The record's end for a final answer; a round that asks for input is not a completed call and costs nothing. */
export function answerEnd(answer: JsonRpcMessage): Pick<CallEnd, 'outcome' | 'free' | 'error'> {
  const { outcome, refused, error } = answerOutcome(answer)
  return { outcome, free: refused || isInterim(answer), ...(error !== undefined && { error }) }
}

/** The answer with `_meta["tollbridge/cost"]`, or undefined where it has no result to carry it. */
export function withCost(answer: JsonRpcMessage, { record, balance }: Settled): Uint8Array | undefined {
  if (!answer.result) return undefined
  const cost = {
    amount: formatAmount(record.cost),
    currency: record.currency,
    balance: formatAmount(balance),
    callId: formatCallId(record.id),
  }
  const meta = answer.result['_meta']
  const merged = { ...(typeof meta === 'object' ? meta : {}), 'tollbridge/cost': cost }
  return Buffer.from(JSON.stringify({ ...answer, result: { ...answer.result, _meta: merged } }))
}

/** Whether an event can be resumed after. */
export const hasEventId = (frame: Uint8Array): boolean =>
  /^id:/m.test(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('latin1'))
