// What a server's answer means for its call's record, and how the call's cost is put on it.
import { formatCallId } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { UpstreamMessage } from '../upstreams/upstream.ts'
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'
import { answerOutcome } from '../wire/outcome.ts'
import type { CallEnd, Charge } from './charge.ts'
import { measureOf, type Measure } from './measure.ts'

/** Whether an answer is a round that asks for input (MCP 2026-07-28, "Multi Round-Trip Requests"). */
export const isInterim = (answer: JsonRpcMessage): boolean =>
  answer.result?.['resultType'] === 'input_required'

/** The record's end for a final answer to a charge's call; a round that asks for input is not a completed call and costs nothing. */
export function answerEnd(
  answer: JsonRpcMessage,
  { report, currency }: Pick<Charge, 'report' | 'currency'>,
): Pick<CallEnd, 'outcome' | 'free' | 'error' | keyof Measure> {
  const { outcome, refused, error } = answerOutcome(answer)
  const end = { outcome, free: refused || isInterim(answer), ...(error !== undefined && { error }) }
  return report ? { ...end, ...measureOf(answer, report, currency) } : end
}

/** What an answer tells of its own cost. */
export interface CostReport {
  /** Of the record. */
  readonly id: bigint
  readonly cost: bigint
  readonly currency: string
  readonly balance: bigint
}

/** The answer with `_meta["tollbridge/cost"]`, or undefined where it has no result to carry it. */
export function withCost(answer: JsonRpcMessage, report: CostReport): Uint8Array | undefined {
  if (!answer.result) return undefined
  const cost = {
    amount: formatAmount(report.cost),
    currency: report.currency,
    balance: formatAmount(report.balance),
    callId: formatCallId(report.id),
  }
  const meta = answer.result['_meta']
  const merged = { ...(typeof meta === 'object' ? meta : {}), 'tollbridge/cost': cost }
  return Buffer.from(JSON.stringify({ ...answer, result: { ...answer.result, _meta: merged } }))
}

/** Whether an event can be resumed after. */
export const hasEventId = (frame: Uint8Array): boolean =>
  /^id:/m.test(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('latin1'))

/** What stands for a refusal of the server that has no words. */
export const statusAnswer = (status: number, id: RequestId) =>
  ({ jsonrpc: '2.0', id, error: { code: -32000, message: `The MCP server answered ${status}` } }) as const

/** An answer whose id is blank, under the id that the client waits for. */
export const underId = (
  id: RequestId,
  { message }: UpstreamMessage,
  parsed: JsonRpcMessage,
): UpstreamMessage => ({ message, bytes: Buffer.from(JSON.stringify({ ...parsed, id })) })
