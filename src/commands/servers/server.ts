// `server`: registering MCP servers and looking after them.
import { type Command } from 'commander'
import { CliError, confirm, type Io } from '../io.ts'
import { addCaptureCommand } from './capture.ts'
import { addDefinitionCommands } from './definitions.ts'
import { addServerAdd } from './server-add.ts'
import type { Column } from '../table.ts'
import { clientOf, examples, segment, showList, showThing, wantsJson, words } from '../show.ts'

export interface ShownServer {
  readonly name: string
  readonly id: string
  readonly status: string
  readonly access: string
  readonly transport: {
    readonly type: string
    readonly url?: string
    readonly command?: string
    readonly args?: string[]
  }
}

interface TestAnswer {
  readonly ok: boolean
  readonly tools?: readonly { readonly name: string }[]
}

export function addServerCommands(program: Command, io: Io): void {
  const server = program.command('server').description('MCP servers behind the gateway')
  addServerAdd(server, io)
  server
    .command('ls')
    .description('list the servers that you may use')
    .addHelpText('after', examples('server ls', 'server ls --json'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownServer>('/servers')
      const columns = [
        { title: 'NAME', value: (row: ShownServer) => row.name },
        { title: 'STATUS', value: (row: ShownServer) => row.status },
        { title: 'ACCESS', value: (row: ShownServer) => row.access },
        { title: 'TRANSPORT', value: (row: ShownServer) => row.transport.type },
        { title: 'TARGET', value: ({ transport }: ShownServer) => targetOf(transport) },
      ]
      showList(io, command, { rows, columns, none: 'No server yet; add one with `tollbridge server add`.' })
    })
  server
    .command('show <name>')
    .description('show a server')
    .addHelpText('after', examples('server show weather'))
    .action(async (name: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/servers/${segment(name)}`)),
    )
  server
    .command('test <name>')
    .description('connect to a server and shake hands')
    .addHelpText('after', examples('server test weather'))
    .action(async (name: string, _options: object, command: Command) => {
      const answer = await clientOf(io, command).post<TestAnswer>(`/servers/${segment(name)}/test-connection`)
      // For people the tools' names are enough; their schemas come with --json.
      const tools = answer.tools?.map((tool) => tool.name).join(', ')
      showThing(io, command, wantsJson(command) ? answer : { ...answer, tools })
      if (!answer.ok) throw new CliError(`${name} does not answer as an MCP server.`)
    })
  addTools(server, io)
  addAuthorization(server, io)
  addDefinitionCommands(server, io)
  addCaptureCommand(server, io)
  server
    .command('rm <name>')
    .description('take a server away; its records stay')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('server rm weather', 'server rm weather --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      await confirm(io, { what: `Remove the server ${name}`, name, yes: options.yes })
      await client.delete(`/servers/${segment(name)}`)
      io.talk(`Removed ${name}`)
    })
  addSwitch(server, io, { verb: 'enable', status: 'active', description: 'let a server take calls' })
  addSwitch(server, io, { verb: 'disable', status: 'inactive', description: 'refuse calls to a server' })
}

function addAuthorization(server: Command, io: Io): void {
  const pathOf = (name: string): string => `/servers/${segment(name)}/authorization`
  server
    .command('authorize <name>')
    .description('let the gateway use a server as you: prints the link to open')
    .option('--revoke', 'take that back')
    .option('--show', 'show how it stands')
    .addHelpText('after', examples('server authorize linear', 'server authorize linear --revoke'))
    .action(async (name: string, options: { revoke?: boolean; show?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      if (options.show) return showThing(io, command, await client.get(pathOf(name)))
      if (options.revoke) {
        await client.delete(pathOf(name))
        return io.talk(`The gateway uses ${name} as you no more`)
      }
      const link = await client.post<{ url: string }>(pathOf(name), {})
      io.talk('Open this in your browser, log in, and say yes:')
      io.out(wantsJson(command) ? JSON.stringify(link) : link.url)
    })
}

interface ShownTool {
  readonly name: string
  /** What to look at in its definition. */
  readonly flags: readonly { readonly kind: string; readonly at: string }[]
  /** Why it cannot be called. */
  readonly held: string | null
  /** Null where no rule prices a call of it. */
  readonly price: {
    readonly name: string
    readonly currency: string
    readonly price: Readonly<Record<string, string>>
    readonly billOn: readonly string[]
  } | null
}

function addTools(server: Command, io: Io): void {
  server
    .command('tools <name>')
    .description("list a server's tools with what a call of yours costs now")
    .addHelpText('after', examples('server tools weather', 'server tools weather --json'))
    .action(async (name: string, _options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownTool>(`/servers/${segment(name)}/tools`)
      const columns: Column<ShownTool>[] = [
        { title: 'TOOL', value: (row: ShownTool) => row.name },
        {
          title: 'PRICE',
          value: ({ price }: ShownTool) => (price ? `${words(price.price)} ${price.currency}` : 'unpriced'),
        },
        { title: 'BILLED ON', value: ({ price }: ShownTool) => price?.billOn.join(', ') },
        { title: 'RULE', value: ({ price }: ShownTool) => price?.name },
      ]
      if (rows.some(({ flags }) => flags.length > 0))
        columns.push({ title: 'LOOK AT', value: ({ flags }) => flagsIn(flags) })
      if (rows.some(({ held }) => held !== null))
        columns.push({ title: 'HELD BACK', value: ({ held }) => held ?? 'no' })
      showList(io, command, { rows, columns, none: `${name} has no tools.` })
    })
}

const flagsIn = (flags: ShownTool['flags']): string =>
  flags.map(({ kind, at }) => `${kind} at ${at}`).join(', ') || '-'

const targetOf = ({ url, command, args }: ShownServer['transport']): string =>
  url ?? [command, ...(args ?? [])].join(' ')

function addSwitch(
  server: Command,
  io: Io,
  given: { verb: string; status: string; description: string },
): void {
  server
    .command(`${given.verb} <name>`)
    .description(given.description)
    .addHelpText('after', examples(`server ${given.verb} weather`))
    .action(async (name: string, _options: object, command: Command) => {
      const answer = await clientOf(io, command).put(`/servers/${segment(name)}/status`, {
        status: given.status,
      })
      if (wantsJson(command)) io.out(JSON.stringify(answer ?? { name, status: given.status }))
      io.talk(`${name} is ${given.status}`)
    })
}
