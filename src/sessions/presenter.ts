// What the gateway adds to an answer for its caller: prices to a list of tools, and what the call cost.
import { isObject } from '../base/is-object.ts'
import { exactly } from '../eras/exact-json.ts'
import type { Payloads } from '../payloads/payloads.ts'
import type { Permissions } from '../policy/permissions.ts'
import type { Server } from '../registry/server.ts'
import type { UsageRecord } from '../usage/record.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Settlement } from '../x402/settlements.ts'
import { withCost } from './answer.ts'
import type { PriceTags } from './price-tags.ts'
import type { Incoming } from './incoming.ts'
import { withoutDenied } from './permission.ts'
import type { Ways } from './ways.ts'

/** The answer as its caller gets it; undefined where the server's bytes go through as they are. */
export type Present = (answer: JsonRpcMessage, bytes: Uint8Array, settled: Paid) => Uint8Array | undefined

/** What a settled call has cost, and what is left. */
interface Paid {
  readonly record: Pick<UsageRecord, 'id' | 'cost' | 'currency'>
  readonly balance: bigint
  readonly payment?: Settlement
}

export interface PresenterParts {
  readonly payloads?: Pick<Payloads, 'answered'> | undefined
  readonly ways: Pick<Ways, 'findMember'>
  readonly priceTags: PriceTags
  readonly permissions: Pick<Permissions, 'restricts' | 'shows'>
}

type Asked = Pick<Incoming, 'principal' | 'server' | 'transport'> & { readonly message: JsonRpcRequest }

/**
 * `billed` is whose call it is: the server, or a member of the aggregate. Undefined where nothing is added, and nothing
 * left out that the caller may not use; and nobody else wants to see the server's answer.
 */
export function presenterOf(asked: Asked, billed: Server, parts: PresenterParts): Present | undefined {
  const present = shownOf(asked, billed, parts)
  const { payloads } = parts
  if (!payloads || !billed.capture) return present
  return (answer, bytes, paid) => {
    payloads.answered(paid.record.id, answer, bytes.length)
    return present?.(answer, bytes, paid)
  }
}

function shownOf(asked: Asked, billed: Server, parts: PresenterParts): Present | undefined {
  const present = additionsOf(asked, billed, parts)
  const filter = withoutDenied(asked, parts.permissions)
  if (!filter) return present
  return (answer, bytes, paid) => {
    const filtered = filter(answer, bytes)
    if (!filtered) return present?.(answer, bytes, paid)
    const rest = JSON.parse(filtered.toString()) as JsonRpcMessage
    return present?.(rest, filtered, paid) ?? filtered
  }
}

function additionsOf(asked: Asked, billed: Server, parts: PresenterParts): Present | undefined {
  const { message, server } = asked
  const wanted = asksForReport(message)
  const showsCost = wanted || billed.reportCost
  const isAggregate = server.transport.type === 'aggregate'
  const mayShowPrices =
    message.method === 'tools/list' && (wanted || isAggregate || server.showPrices === true)
  if (!showsCost && !mayShowPrices) return undefined
  return (answer, bytes, paid) => {
    const priced = mayShowPrices ? withPrices(answer, bytes, { asked, wanted, parts }) : undefined
    if (showsCost)
      return withCost(priced ?? exactly(answer, bytes), { ...paid.record, balance: paid.balance })
    return priced && Buffer.from(JSON.stringify(priced))
  }
}

/** Whether the client asks to be told what its requests cost. */
const asksForReport = ({ params }: JsonRpcRequest): boolean => {
  const meta = params?.['_meta']
  return isObject(meta) && meta['tollbridge/report'] === true
}

function withPrices(
  answer: JsonRpcMessage,
  bytes: Uint8Array,
  { asked, wanted, parts }: { asked: Asked; wanted: boolean; parts: PresenterParts },
): JsonRpcMessage | undefined {
  const { principal, server, transport } = asked
  const { ways, priceTags } = parts
  const ofMember = (name: string) =>
    ways.findMember(server, principal, { jsonrpc: '2.0', method: 'tools/call', params: { name } })
  return priceTags.onList(answer, bytes, {
    payer: principal,
    transport,
    find: server.transport.type === 'aggregate' ? ofMember : () => ({ server }),
    isShown: (owner) => wanted || owner.showPrices === true,
  })
}
