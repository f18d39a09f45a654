// Lists of an aggregate: every member asked at once, each within its deadline, and one page of what they show.
import { isObject } from '../../base/is-object.ts'
import { exactly } from '../../eras/exact-json.ts'
import type { Json } from '../../eras/json-object.ts'
import type { UpstreamRequest } from '../../upstreams/upstream.ts'
import {
  errorResponse,
  resultResponse,
  type JsonRpcMessage,
  type JsonRpcRequest,
} from '../../wire/json-rpc.ts'
import { decodeCursor, encodeCursor, pageAfter, type Entry, type Part, type Position } from './cursor.ts'
import { fanOut, metaWith, type Fan, type Heard } from './fan.ts'
import type { Noun } from '../../registry/bundle.ts'
import { maxNameLength, type ExposedMember } from './names.ts'
import { ownRequest, troubles, type Trouble, type Visit } from './visit.ts'

interface Listing {
  /** The result's member that holds the list. */
  readonly items: string
  /** What an item goes by. */
  readonly key: string
  readonly noun: Noun
}

export const listings: Readonly<Record<string, Listing>> = {
  'tools/list': { items: 'tools', key: 'name', noun: 'tool' },
  'prompts/list': { items: 'prompts', key: 'name', noun: 'prompt' },
  'resources/list': { items: 'resources', key: 'uri', noun: 'resource' },
  'resources/templates/list': { items: 'resourceTemplates', key: 'uriTemplate', noun: 'resource' },
}

export const isList = (method: string): boolean => Object.hasOwn(listings, method)

/** A member's whole list, under its own names. */
interface OwnList {
  readonly items: readonly Json[]
  /** The shortest of its pages. */
  readonly ttlMs: number
  /** Some numbers in it are to be written only, not read; see `exactly`. */
  readonly hasExactNumbers: boolean
  /** It went on beyond what is read. */
  readonly isCut: boolean
}

/** Something that is not in the list, and why. */
interface Omitted {
  readonly server: string
  readonly name?: string
  readonly reason: string
}

/** Notes on what was left out, in one answer. */
const maxNotes = 20
const maxPages = 100

interface Merged {
  readonly parts: Part<Json>[]
  readonly omitted: Omitted[]
  ttlMs: number
  hasExactNumbers: boolean
}

/** The answer to a list request, as text and, where it is at hand, as a message. */
export async function answerList(
  fan: Fan,
  asked: UpstreamRequest & { readonly message: JsonRpcRequest },
): Promise<{ text: string; message?: JsonRpcMessage }> {
  const { id, method, params } = asked.message
  const listing = listings[method]
  const cursor = params?.['cursor']
  const position = typeof cursor === 'string' ? decodeCursor(method, cursor) : undefined
  if (!listing || (cursor !== undefined && !position)) return wrongCursor(id)
  const { heard, missing } = await fanOut<OwnList>(fan, {
    method,
    // Later pages show what the first one was made of.
    remembers: position !== undefined,
    isAsked: ({ server }) => !position || server.name >= position.server,
    ask: (visit) => readAll(visit, listing, { asked, fan }),
  })
  const merged = merge(heard, listing)
  const page = pageAfter(merged.parts, position, fan.limits.pageSize)
  if (!page) return wrongCursor(id)
  const result = {
    resultType: 'complete',
    [listing.items]: page.entries.map(({ exposed, item }) => ({ ...item, [listing.key]: exposed })),
    ...(page.end && { nextCursor: encodeCursor(method, page.end) }),
    ttlMs: missing.length > 0 ? 0 : merged.ttlMs,
    cacheScope: 'private',
    _meta: metaWith(fan, missing, notesFor(merged.omitted, position)),
  }
  const text = resultResponse(id, result)
  return merged.hasExactNumbers ? { text } : { text, message: { jsonrpc: '2.0', id, result } }
}

const wrongCursor = (id: JsonRpcRequest['id']): { text: string } => ({
  text: errorResponse(id, {
    code: -32602,
    message: 'This cursor no longer fits the list; start again without a cursor.',
  }),
})

/** Told once, on the first page. */
const notesFor = (omitted: readonly Omitted[], position: Position | undefined): Json =>
  omitted.length > 0 && !position ? { 'tollbridge/omitted': omitted.slice(0, maxNotes) } : {}

/** All pages of a member's list, as far as the limits go. */
async function readAll(
  visit: Visit,
  listing: Listing,
  { asked, fan }: { asked: UpstreamRequest; fan: Fan },
): Promise<Heard<OwnList> | Trouble> {
  const { maxItems } = fan.limits
  const items: Json[] = []
  const seen = new Set<string>()
  const state = { ttlMs: Infinity, hasExactNumbers: false, isPublic: true, bytes: 0 }
  let cursor: string | undefined
  do {
    const request = ownRequest(asked, { id: fan.mintId(), params: cursor === undefined ? {} : { cursor } })
    const answer = await visit.ask(request)
    if (typeof answer === 'string') return answer
    const { result, error } = answer.message
    // A server without prompts has no such method, which is an empty list.
    if (error?.code === -32601 && cursor === undefined)
      return {
        value: { items: [], ttlMs: 0, hasExactNumbers: false, isCut: false },
        bytes: 0,
        isPublic: false,
      }
    if (!result) return troubles.refused
    const exact = exactly(answer.message, answer.bytes)
    state.hasExactNumbers ||= exact !== answer.message
    state.isPublic &&= result['cacheScope'] === 'public'
    state.ttlMs = Math.min(state.ttlMs, typeof result['ttlMs'] === 'number' ? result['ttlMs'] : 0)
    state.bytes += answer.bytes.length
    for (const item of itemsOf(exact, listing)) items.push(item)
    const { nextCursor } = result
    cursor = typeof nextCursor === 'string' && !seen.has(nextCursor) ? nextCursor : undefined
    if (cursor !== undefined) seen.add(cursor)
  } while (cursor !== undefined && items.length < maxItems && seen.size < maxPages)
  const isCut = cursor !== undefined || items.length > maxItems
  const { ttlMs, hasExactNumbers, isPublic, bytes } = state
  return { value: { items: items.slice(0, maxItems), ttlMs, hasExactNumbers, isCut }, bytes, isPublic }
}

function itemsOf({ result }: JsonRpcMessage, { items, key }: Listing): Json[] {
  const list: unknown = result?.[items]
  if (!Array.isArray(list)) return []
  return list.filter((item: unknown): item is Json => isObject(item) && typeof item[key] === 'string')
}

function merge(
  heard: readonly { readonly member: ExposedMember; readonly value: OwnList }[],
  listing: Listing,
): Merged {
  const merged: Merged = { parts: [], omitted: [], ttlMs: Infinity, hasExactNumbers: false }
  for (const { member, value } of heard) {
    const server = member.server.name
    merged.ttlMs = Math.min(merged.ttlMs, value.ttlMs)
    merged.hasExactNumbers ||= value.hasExactNumbers
    merged.parts.push({ server, entries: shownOf(member, value, { listing, omitted: merged.omitted }) })
    if (value.isCut)
      merged.omitted.push({
        server,
        reason: 'Its list is longer than this gateway reads; the rest is left out.',
      })
  }
  if (!Number.isFinite(merged.ttlMs)) merged.ttlMs = 0
  return merged
}

/** What a member shows, each name once. */
function shownOf(
  member: ExposedMember,
  { items }: OwnList,
  { listing, omitted }: { listing: Listing; omitted: Omitted[] },
): Entry<Json>[] {
  const entries: Entry<Json>[] = []
  const seen = new Set<string>()
  for (const item of member.visible(listing.noun, listing.key, items)) {
    const own = String(item[listing.key])
    const exposed = member.expose(listing.noun, own)
    if (exposed === undefined) {
      if (omitted.length < maxNotes && member.isTooLong(listing.noun, own))
        omitted.push({ server: member.server.name, name: own.slice(0, 256), reason: tooLong })
    } else if (!seen.has(exposed)) {
      seen.add(exposed)
      entries.push({ exposed, item })
    }
  }
  return entries
}

const tooLong = `With the server's name before it, its name is longer than ${maxNameLength} characters; a bundle can rename it.`
