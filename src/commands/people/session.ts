// `session`: the sessions that clients hold open through the gateway.
import type { Command } from 'commander'
import { confirm, type Io } from '../io.ts'
import { clientOf, examples, segment, showList, showThing } from '../show.ts'

interface ShownSession {
  readonly id: string
  readonly serverId: string
  readonly userId: string
  readonly transport: string
  readonly status: string
  readonly lastActiveAt: string
}

export function addSessionCommands(program: Command, io: Io): void {
  const session = program.command('session').description('sessions of clients')
  session
    .command('ls')
    .description('list sessions')
    .addHelpText('after', examples('session ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownSession>('/sessions')
      const columns = [
        { title: 'ID', value: (row: ShownSession) => row.id },
        { title: 'STATUS', value: (row: ShownSession) => row.status },
        { title: 'SERVER', value: (row: ShownSession) => row.serverId },
        { title: 'USER', value: (row: ShownSession) => row.userId },
        { title: 'TRANSPORT', value: (row: ShownSession) => row.transport },
        { title: 'LAST ACTIVE', value: (row: ShownSession) => row.lastActiveAt },
      ]
      showList(io, command, { rows, columns, none: 'No session is open.' })
    })
  session
    .command('show <id>')
    .description('show a session')
    .addHelpText('after', examples('session show ses_01j…'))
    .action(async (id: string, _options: object, command: Command) => {
      showThing(io, command, await clientOf(io, command).get(`/sessions/${segment(id)}`))
    })
  session
    .command('close <id>')
    .description('end a session; its streams and calls end with it')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('session close ses_01j… --yes'))
    .action(async (id: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Close the session ${id}`, name: id, yes: options.yes })
      await clientOf(io, command).delete(`/sessions/${segment(id)}`)
      io.talk(`Closed ${id}`)
    })
}
