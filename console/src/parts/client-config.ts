// The configuration that a client has, read as servers: `mcpServers` of most of them, `servers` of VS Code.
import type { Operations } from '../api/types.ts'

type Body = Operations['POST /servers']['body']

/** One of its servers: how it would be registered, or why it cannot be. */
export interface Found {
  readonly name: string
  readonly body?: Body
  readonly problem?: string
}

type Members = Readonly<Record<string, unknown>>
const isRecord = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const texts = (value: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(isRecord(value) ? value : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )

/** Throws a SyntaxError where the text is no such configuration. */
export function readClientConfig(text: string): Found[] {
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    throw new SyntaxError('This is no JSON. Comments have to go.')
  }
  const servers = isRecord(config) ? (config['mcpServers'] ?? config['servers']) : undefined
  if (!isRecord(servers)) throw new SyntaxError('There is no mcpServers and no servers in it.')
  return Object.entries(servers).map(([given, entry]) => found(nameOf(given), entry))
}

/** Names are part of addresses here. */
const nameOf = (given: string): string =>
  given
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 64)

function found(name: string, entry: unknown): Found {
  if (!isRecord(entry)) return { name, problem: 'is no server' }
  const { url, command, args, env, headers, type } = entry
  const access = 'private'
  if (JSON.stringify(entry).includes('${'))
    return { name, problem: 'refers to something of its client (${…}); fill it in first' }
  if (typeof url === 'string') {
    const transport = type === 'sse' ? ('sse' as const) : ('streamable-http' as const)
    return { name, body: { name, access, transport: { type: transport, url, headers: texts(headers) } } }
  }
  if (typeof command !== 'string') return { name, problem: 'has neither a url nor a command' }
  const given = Array.isArray(args) ? args.map(String) : []
  return { name, body: { name, access, transport: { type: 'stdio', command, args: given, env: texts(env) } } }
}
