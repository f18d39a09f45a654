// A modern client at a legacy server: what `requestState` says, and whether a retry may use it.
import { hash } from 'node:crypto'
import { isObject } from '../../base/is-object.ts'
import type { JsonRpcRequest } from '../../wire/json-rpc.ts'

/** What binds a parked call to its retry (MCP 2026-07-28, "Server Requirements (Basic Workflow)" 5). */
export interface ParkedState {
  /** Unguessable; names the parked call. */
  readonly key: string
  readonly principalTag: string
  /** Of the request that is to be repeated; see `requestDigest`. */
  readonly digest: string
  /** On the clock that `checkState` is given. */
  readonly expiresAtMs: number
}

/** The state as text, to be sealed. */
export const stateText = ({ key, principalTag, digest, expiresAtMs }: ParkedState): string =>
  JSON.stringify([key, principalTag, digest, expiresAtMs])

/** SHA-256 of method and params without what may differ in a retry; the order of members does not matter. */
export function requestDigest({ method, params = {} }: JsonRpcRequest): string {
  const { _meta: _, inputResponses: __, requestState: ___, ...salient } = params
  return hash('sha256', JSON.stringify([method, sorted(salient)]), 'base64url')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return ['list', value.map(sorted)]
  if (!isObject(value)) return value
  const keys = Object.keys(value).sort()
  return ['object', keys.map((key) => [key, sorted(value[key])])]
}

const notOurs = 'The requestState is not one that belongs to you; send the request again without it.'
const otherRequest =
  'The requestState belongs to another request; repeat the request that it came for, unchanged.'
/** Also where the call is no longer there. */
export const stateExpired =
  'The call that this requestState belongs to no longer waits; send the request again without it.'

/**
 * The key of the parked call that a retry continues, or why it does not. `text` is the unsealed state, undefined where
 * it could not be unsealed.
 */
export function checkState(
  text: string | undefined,
  retry: { readonly request: JsonRpcRequest; readonly principalTag: string; readonly nowMs: number },
): { readonly key: string } | { readonly fault: string } {
  const state = text === undefined ? undefined : readState(text)
  if (state === undefined || state.principalTag !== retry.principalTag) return { fault: notOurs }
  if (state.expiresAtMs <= retry.nowMs) return { fault: stateExpired }
  return state.digest === requestDigest(retry.request) ? { key: state.key } : { fault: otherRequest }
}

function readState(text: string): ParkedState | undefined {
  try {
    const [key, principalTag, digest, expiresAtMs] = JSON.parse(text) as unknown[]
    const isState =
      typeof key === 'string' &&
      typeof principalTag === 'string' &&
      typeof digest === 'string' &&
      typeof expiresAtMs === 'number'
    return isState ? { key, principalTag, digest, expiresAtMs } : undefined
  } catch {
    return undefined
  }
}
