// What an aggregate is: its members' answers to `server/discover`, joined where every meaning survives it.
import { isObject } from '../../base/is-object.ts'
import type { Json } from '../../eras/json-object.ts'
import type { UpstreamRequest } from '../../upstreams/upstream.ts'
import { resultResponse, type JsonRpcRequest } from '../../wire/json-rpc.ts'
import { modernVersions } from '../../wire/protocol-version.ts'
import { fanOut, metaWith, type Fan } from './fan.ts'
import { ownRequest, troubles } from './visit.ts'

/** What is kept of a member's answer. */
interface Discovered {
  readonly capabilities: Json
  readonly instructions: string | undefined
}

const maxInstructions = 2000
const maxAllInstructions = 16_000

/** The text of the answer to `server/discover`. `about` is said before what the members say of themselves. */
export async function answerDiscover(
  fan: Fan,
  asked: UpstreamRequest & { readonly message: JsonRpcRequest },
  about: string | undefined,
): Promise<string> {
  const { heard, missing, incomplete } = await fanOut<Discovered>(fan, {
    method: 'server/discover',
    remembers: false,
    ask: async (visit) => {
      const answer = await visit.ask(ownRequest(asked, { id: fan.mintId(), params: {} }))
      if (typeof answer === 'string') return answer
      const { result } = answer.message
      if (!result) return troubles.refused
      const capabilities = isObject(result['capabilities']) ? result['capabilities'] : {}
      const said = result['instructions']
      const instructions = typeof said === 'string' ? said.slice(0, maxInstructions) : undefined
      const isPublic = result['cacheScope'] === 'public'
      return { value: { capabilities, instructions }, bytes: answer.bytes.length, isPublic }
    },
  })
  const instructions = joinInstructions(
    about,
    heard.map(({ member, value }) => [member.server.name, value.instructions] as const),
  )
  return resultResponse(asked.message.id, {
    resultType: 'complete',
    supportedVersions: [...modernVersions],
    capabilities: joinCapabilities(
      heard.map(({ value }) => value.capabilities),
      incomplete,
    ),
    ...(instructions !== undefined && { instructions }),
    ttlMs: 0,
    cacheScope: 'private',
    _meta: metaWith(fan, missing),
  })
}

/**
 * Whatever one of them can. Lists change as members come and go, so their changes are always told. A member that has
 * not answered may have anything that a list can hold (`incomplete`); such a list is empty until then. Extensions,
 * tasks and experiments are left out: what they hold between two requests belongs to one member, and nothing in their
 * messages says to which.
 */
function joinCapabilities(members: readonly Json[], incomplete: boolean): Json {
  const has = (name: string): boolean => incomplete || members.some((one) => one[name] !== undefined)
  const any = (name: string): boolean => members.some((one) => one[name] !== undefined)
  const subscribes = members.some(({ resources }) => isObject(resources) && resources['subscribe'] === true)
  return {
    tools: { listChanged: true },
    ...(has('prompts') && { prompts: { listChanged: true } }),
    ...(has('resources') && { resources: { listChanged: true, ...(subscribes && { subscribe: true }) } }),
    ...(any('completions') && { completions: {} }),
    ...(any('logging') && { logging: {} }),
  }
}

/** Each member's instructions under its name, as many as fit. */
function joinInstructions(
  about: string | undefined,
  members: readonly (readonly [name: string, instructions: string | undefined])[],
): string | undefined {
  const sections = members.flatMap(([name, text]) => (text === undefined ? [] : [`# ${name}\n\n${text}`]))
  const all = about === undefined ? sections : [about, ...sections]
  return all.length > 0 ? all.join('\n\n').slice(0, maxAllInstructions) : undefined
}
