// What a peer of each legacy revision can read, as a table, and newer messages written so that it can.
import { isObject } from '../base/is-object.ts'
import { legacyVersions } from '../wire/protocol-version.ts'
import { without, type Json } from './json-object.ts'

export type LegacyVersion = (typeof legacyVersions)[number]

/** What a revision knows of the things that came later. What is not named here is ignored by peers that do not know it. */
export interface Revision {
  readonly version: LegacyVersion
  /** Kinds of content that came after it. */
  readonly laterContent: readonly string[]
  /** Ways of asking the user (MCP 2025-06-18 and 2025-11-25, "Elicitation"). */
  readonly elicitation: readonly ('form' | 'url')[]
  /** Forms with titled and with several choices (SEP-1330). */
  readonly choiceForms: boolean
  /** Sampling with tools, and several blocks of content in one message (SEP-1577). */
  readonly samplingTools: boolean
}

/** By version. */
export const revisions: Readonly<Record<LegacyVersion, Revision>> = {
  '2025-11-25': {
    version: '2025-11-25',
    laterContent: [],
    elicitation: ['form', 'url'],
    choiceForms: true,
    samplingTools: true,
  },
  '2025-06-18': {
    version: '2025-06-18',
    laterContent: ['tool_use', 'tool_result'],
    elicitation: ['form'],
    choiceForms: false,
    samplingTools: false,
  },
  '2025-03-26': {
    version: '2025-03-26',
    laterContent: ['tool_use', 'tool_result', 'resource_link'],
    elicitation: [],
    choiceForms: false,
    samplingTools: false,
  },
  '2024-11-05': {
    version: '2024-11-05',
    laterContent: ['tool_use', 'tool_result', 'resource_link', 'audio'],
    elicitation: [],
    choiceForms: false,
    samplingTools: false,
  },
}

/** The revision of a version text; undefined where it is no legacy revision that we know. */
export const findRevision = (version: unknown): Revision | undefined =>
  typeof version === 'string' && Object.hasOwn(revisions, version)
    ? revisions[version as LegacyVersion]
    : undefined

/** What a server answers to a version that it does not know (MCP, "Version Negotiation"). */
export const newestRevision: Revision = revisions[legacyVersions[0]]

/**
 * A result as a peer of this revision can read it; the same object where nothing has to change. Content of an unknown
 * later kind becomes text; structured content gets its text where it came alone, and an object around it where it is
 * none; an output schema that describes no object is left out, since no legacy revision has such (SEP-2106).
 */
export function resultForRevision(method: string, result: Json, revision: Revision): Json {
  if (method === 'tools/call') return toolResult(result, revision)
  if (method === 'tools/list') return toolList(result)
  if (method === 'prompts/get') return withEach(result, 'messages', (message) => onlyKnown(message, revision))
  return result
}

/** Copies `object[list]` only where `change` gives another object for one of its members. */
export function withEach(object: Json, list: string, change: (member: Json) => Json): Json {
  const members: unknown = object[list]
  if (!Array.isArray(members)) return object
  const changed = members.map((member: unknown) => (isObject(member) ? change(member) : member))
  return changed.some((member, index) => member !== members[index]) ? { ...object, [list]: changed } : object
}

/** A block of content as this revision knows it: the same one, or a text about it. */
export function contentForRevision(block: Json, revision: Revision): Json {
  const { type, annotations } = block
  if (typeof type !== 'string' || !revision.laterContent.includes(type)) return block
  return { type: 'text', text: describe(type, block), ...(annotations !== undefined && { annotations }) }
}

function describe(type: string, block: Json): string {
  const { uri, name, title, description, mimeType } = block
  if (type === 'resource_link') {
    const label = [title ?? name, mimeType].filter((part) => typeof part === 'string').join(', ')
    const about = typeof description === 'string' ? `: ${description}` : ''
    return `Resource ${String(uri)}${label === '' ? '' : ` (${label})`}${about}`
  }
  if (type === 'audio')
    return `[${typeof mimeType === 'string' ? mimeType : 'audio'} that this client's protocol revision has no form for]`
  return JSON.stringify(block)
}

function onlyKnown(message: Json, revision: Revision): Json {
  const { content } = message
  if (!isObject(content)) return withEach(message, 'content', (block) => contentForRevision(block, revision))
  const known = contentForRevision(content, revision)
  return known === content ? message : { ...message, content: known }
}

function toolResult(result: Json, revision: Revision): Json {
  const known = withEach(result, 'content', (block) => contentForRevision(block, revision))
  if (!Object.hasOwn(known, 'structuredContent'))
    return Array.isArray(known['content']) ? known : { ...known, content: [] }
  const { structuredContent: structured } = known
  const content: readonly unknown[] = Array.isArray(known['content']) ? known['content'] : []
  const isPlain = isObject(structured)
  const hasText = content.some((block) => isObject(block) && block['type'] === 'text')
  // Content beside an object is the server's own rendering of it; a value that is no object has had no place before.
  const needsText = content.length === 0 || (!isPlain && !hasText)
  if (!needsText && isPlain) return known
  return {
    ...known,
    content: needsText ? [...content, { type: 'text', text: JSON.stringify(structured) }] : content,
    structuredContent: isPlain ? structured : { result: structured },
  }
}

function toolList(result: Json): Json {
  return withEach(result, 'tools', (tool) => {
    const schema = tool['outputSchema']
    return isObject(schema) && schema['type'] === 'object' ? tool : without(tool, 'outputSchema')
  })
}
