// `stream`: the streams that stay open until somebody ends them.
import type { Command } from 'commander'
import { confirm, type Io } from '../io.ts'
import { clientOf, examples, segment, showList } from '../show.ts'

interface ShownStream {
  readonly id: string
  readonly method: string
  readonly serverId: string
  readonly userId: string
  readonly transport: string
  readonly openedAt: string
}

export function addStreamCommands(program: Command, io: Io): void {
  const stream = program.command('stream').description('open streams of sessions, and subscriptions')
  stream
    .command('ls')
    .description('list open streams')
    .addHelpText('after', examples('stream ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownStream>('/streams')
      const columns = [
        { title: 'ID', value: (row: ShownStream) => row.id },
        { title: 'METHOD', value: (row: ShownStream) => row.method },
        { title: 'SERVER', value: (row: ShownStream) => row.serverId },
        { title: 'USER', value: (row: ShownStream) => row.userId },
        { title: 'TRANSPORT', value: (row: ShownStream) => row.transport },
        { title: 'OPENED', value: (row: ShownStream) => row.openedAt },
      ]
      showList(io, command, { rows, columns, none: 'No stream is open.' })
    })
  stream
    .command('close <id>')
    .description('close a stream; its client may open another')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('stream close use_0… --yes'))
    .action(async (id: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Close the stream ${id}`, name: id, yes: options.yes })
      await clientOf(io, command).delete(`/streams/${segment(id)}`)
      io.talk(`Closed ${id}`)
    })
}
