// `server definitions`, `approve` and `withdraw`: how tools are described, and which descriptions are approved.
import type { Command } from 'commander'
import { CliError, type Io } from '../io.ts'
import type { ApiClient } from '../client.ts'
import { clientOf, examples, segment, showList, wantsJson } from '../show.ts'

interface ShownDefinition {
  readonly tool: string
  readonly held: string | null
  readonly approved: { readonly at: string } | null
  readonly waiting: { readonly hash: string; readonly at: string } | null
  readonly changes: readonly { readonly at: string; readonly before?: unknown; readonly after?: unknown }[]
  readonly flags: readonly { readonly kind: string; readonly at: string; readonly shown: string }[]
}

export function addDefinitionCommands(server: Command, io: Io): void {
  server
    .command('definitions <name>')
    .description(
      'show how the tools of a server are described: what waits for approval, and what has changed',
    )
    .option('--check', 'ask the server first')
    .addHelpText('after', examples('server definitions crm', 'server definitions crm --check'))
    .action(async (name: string, options: { check?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      if (options.check) await client.post(`/servers/${segment(name)}/test-connection`)
      const rows = await definitionsOf(client, name)
      const columns = [
        { title: 'TOOL', value: ({ tool }: ShownDefinition) => tool },
        { title: 'HELD BACK', value: ({ held }: ShownDefinition) => held ?? 'no' },
        { title: 'APPROVED', value: ({ approved }: ShownDefinition) => approved?.at ?? 'never' },
        { title: 'LOOK AT', value: lookAt },
      ]
      showList(io, command, { rows, columns, none: `No definition of ${name} is kept.` })
      if (!wantsJson(command)) for (const row of rows) showChanges(io, row)
    })
  server
    .command('approve <name> [tools...]')
    .description('approve the definitions that wait, exactly as they are now')
    .option('--all', 'all that wait')
    .addHelpText('after', examples('server approve crm send_mail', 'server approve crm --all'))
    .action(async (name: string, tools: string[], options: { all?: boolean }, command: Command) => {
      if (tools.length > 0 === (options.all === true)) throw new CliError('Name the tools, or say --all.', 2)
      const client = clientOf(io, command)
      const waiting = (await definitionsOf(client, name)).flatMap(({ tool, waiting: seen }) =>
        seen && (options.all || tools.includes(tool)) ? { tool, hash: seen.hash } : [],
      )
      const missing = tools.find((tool) => !waiting.some((one) => one.tool === tool))
      if (missing !== undefined) throw new CliError(`No definition of ${missing} waits for approval.`)
      if (waiting.length === 0) return io.talk('Nothing waits for approval.')
      await client.post(`/servers/${segment(name)}/definitions/approve`, { tools: waiting })
      io.talk(`Approved ${waiting.map(({ tool }) => tool).join(', ')}`)
    })
  server
    .command('withdraw <name> <tools...>')
    .description('take approvals back: the tools are held back at once')
    .addHelpText('after', examples('server withdraw crm send_mail'))
    .action(async (name: string, tools: string[], _options: object, command: Command) => {
      await clientOf(io, command).post(`/servers/${segment(name)}/definitions/withdraw`, { tools })
      io.talk(`Held back ${tools.join(', ')}`)
    })
}

const definitionsOf = (client: ApiClient, name: string): Promise<ShownDefinition[]> =>
  client.list<ShownDefinition>(`/servers/${segment(name)}/definitions`)

const lookAt = ({ flags }: ShownDefinition): string =>
  flags.map(({ kind, at }) => `${kind} at ${at}`).join(', ') || '-'

function showChanges(io: Io, { tool, changes }: ShownDefinition): void {
  if (changes.length === 0) return
  io.out(`\n${tool}`)
  for (const { at, before, after } of changes) {
    if (before !== undefined) io.out(`  - ${at}: ${asText(before)}`)
    if (after !== undefined) io.out(`  + ${at}: ${asText(after)}`)
  }
}

/** In ASCII alone, so that nothing hides in it. */
const asText = (value: unknown): string =>
  (JSON.stringify(value) ?? '').replace(
    /[^\x20-\x7e]/gu,
    (letter) => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  )
