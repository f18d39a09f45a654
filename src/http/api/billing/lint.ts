// The route that looks for faults in the rules, with drafts as if they were published, and for tools without a price.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { withDrafts } from '../../../pricing/drafts/preview.ts'
import { maxDrafts, type DraftChoice, type Drafts } from '../../../pricing/drafts/drafts.ts'
import { findingKinds, severities, type Finding } from '../../../pricing/lint/finding.ts'
import { lintInTurns } from '../../../pricing/lint/lint.ts'
import type { ServerTools } from '../../../pricing/lint/tools.ts'
import type { RuleBook } from '../../../pricing/rules.ts'
import type { Server } from '../../../registry/server.ts'
import type { Registry } from '../../../registry/servers.ts'
import type { Catalogues } from '../../../upstreams/catalogue.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, readId, timeShape } from '../view.ts'

export interface BillingLintDeps {
  readonly rules: RuleBook
  readonly drafts: Drafts
  readonly registry: Pick<Registry, 'all'>
  readonly catalogues: Pick<Catalogues, 'get'>
  readonly ledger: Pick<Ledger, 'listAccounts'>
  readonly clock: Clock
}

/** `"all"` or a list of ids. */
export const draftChoice = z
  .union([z.literal('all'), z.array(z.string().max(64)).max(maxDrafts)])
  .describe('Drafts to look at as if they were published: "all", or ids.')

export const readDraftChoice = (choice: DraftChoice): DraftChoice =>
  choice === 'all' ? choice : choice.map((id) => readId(id, 'drf'))

const findingShape = z
  .strictObject({
    kind: z.enum(findingKinds),
    severity: z.enum(severities),
    rules: z
      .array(
        z.strictObject({
          id: z.string(),
          version: z.int(),
          name: z.string(),
          draft: z.string().optional().describe('The draft that this version would be made of.'),
        }),
      )
      .describe('For `shadowed` the hidden rule first.'),
    server: z.string().optional(),
    tools: z.array(z.string()).optional(),
    sentence: z.string(),
  })
  .meta({ id: 'Finding' })

const lintShape = z
  .strictObject({
    checkedAt: timeShape,
    rules: z.int().describe('Versions that were looked at: in force now or later, drafts included.'),
    findings: z.array(findingShape).describe('Errors first.'),
    complete: z.boolean().describe('False where there was too much to compare: there may be more findings.'),
    unseen: z
      .array(z.strictObject({ server: z.string(), reason: z.string() }))
      .describe('Servers whose tools are not known, so that nothing is said about them.'),
  })
  .meta({ id: 'Lint' })

const lintInput = z.strictObject({
  drafts: draftChoice.optional(),
  tools: z.boolean().default(true).describe('Whether to ask the servers for their tools.'),
})

const asksAtOnce = 8
const maxAskMs = 20_000
const maxServers = 500

/** `/billing/lint`. */
export function billingLintRoutes(deps: BillingLintDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/lint',
      audit: false,
      summary:
        'Looks for rules that tie or are never chosen, and for tools that no rule prices; nothing is stored',
      description:
        'What several rules hide together is not seen. A tool is looked at as it is priced now; `mixed-currency` compares with the currencies of the accounts.',
      permission: 'rules:read',
      body: lintInput,
      response: lintShape,
      errors: [403, 404],
      handler: async ({ body, signal }) => {
        const { rules, drafts, ledger, clock } = deps
        const nowMs = clock.now()
        const chosen = body.drafts === undefined ? [] : await drafts.choose(readDraftChoice(body.drafts))
        const { seen, unseen } = body.tools ? await askServers(deps, signal) : { seen: [], unseen: [] }
        const currencies = [...new Set(ledger.listAccounts().map(({ currency }) => currency))]
        const { findings, ...result } = await lintInTurns(
          {
            histories: withDrafts(rules.histories(), chosen, { nowMs }),
            nowMs,
            ...(body.tools && { tools: { servers: seen, currencies } }),
          },
          { signal },
        )
        return { checkedAt: isoTime(nowMs), ...result, findings: findings.map(findingView), unseen }
      },
    }),
  ]
}

const findingView = ({ rules, tools, ...rest }: Finding): z.input<typeof findingShape> => ({
  ...rest,
  rules: rules.map((rule) => ({ ...rule })),
  ...(tools && { tools: [...tools] }),
})

interface Asked {
  readonly seen: ServerTools[]
  readonly unseen: { server: string; reason: string }[]
}

/** What the servers that are switched on offer, by their remembered catalogues where there are any. */
async function askServers(
  { registry, catalogues, clock }: BillingLintDeps,
  signal: AbortSignal,
): Promise<Asked> {
  const byName = (a: Server, b: Server): number => (a.name < b.name ? -1 : 1)
  const servers = registry.all().toSorted(byName)
  const asked: Asked = { seen: [], unseen: [] }
  const endMs = clock.monotonicMs() + maxAskMs
  const skip = (server: Server, reason: string) => asked.unseen.push({ server: server.name, reason })
  const next = servers.slice(0, maxServers).values()
  const work = async (): Promise<void> => {
    for (const server of next) {
      signal.throwIfAborted()
      if (server.status === 'inactive') skip(server, 'It is switched off.')
      else if (clock.monotonicMs() > endMs) skip(server, 'The other servers took too long; ask again.')
      else {
        const { ok, tools, error } = await catalogues.get(server)
        if (ok) asked.seen.push({ server: server.name, tools: tools.map(({ name }) => name) })
        else skip(server, error?.message ?? 'It does not answer.')
      }
    }
  }
  await Promise.all(Array.from({ length: asksAtOnce }, work))
  for (const server of servers.slice(maxServers)) skip(server, `Only ${maxServers} servers are asked.`)
  return asked
}
