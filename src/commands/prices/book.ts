// `book`: price books, which accounts get with `account book`.
import type { Command } from 'commander'
import { confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing } from '../show.ts'

interface ShownBook {
  readonly name: string
  readonly description?: string
}

export function addBookCommands(program: Command, io: Io): void {
  const book = program.command('book').description('price books: prices for the accounts that have them')
  book
    .command('ls')
    .description('list price books')
    .addHelpText('after', examples('book ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownBook>('/billing/books')
      const columns = [
        { title: 'NAME', value: (row: ShownBook) => row.name },
        { title: 'DESCRIPTION', value: (row: ShownBook) => row.description },
      ]
      showList(io, command, { rows, columns, none: 'No price book; add one with `tollbridge book add`.' })
    })
  book
    .command('add <name>')
    .description('add a price book; rules go into it with `rule add --book`')
    .option('--description <text>', 'what it is for')
    .addHelpText('after', examples("book add gold --description 'the large plan'"))
    .action(async (name: string, options: { description?: string }, command: Command) => {
      const body = compact({ name, description: options.description })
      showThing(io, command, await clientOf(io, command).post('/billing/books', body))
    })
  book
    .command('set <name>')
    .description('describe a price book anew')
    .requiredOption('--description <text>', 'what it is for; empty for nothing')
    .addHelpText('after', examples("book set gold --description 'for partners'"))
    .action(async (name: string, { description }: { description: string }, command: Command) => {
      const body = { description: description === '' ? null : description }
      showThing(io, command, await clientOf(io, command).patch(`/billing/books/${segment(name)}`, body))
    })
  book
    .command('rm <name>')
    .description('remove a price book that no rule is in and no account has')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('book rm gold --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Remove the price book ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`/billing/books/${segment(name)}`)
      io.talk(`Removed ${name}`)
    })
}
