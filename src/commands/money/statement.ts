// `account ledger`, `account billing` and `account events`: what moved, who is billed, and what budgets raised.
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, words } from '../show.ts'
import { accountIdOf } from './account-id.ts'

interface ShownTransfer {
  readonly time: string
  readonly kind: string
  readonly amount: string
  readonly currency: string
  readonly callId?: string
  readonly reason?: string
}

interface ShownEvent {
  readonly id: string
  readonly kind: string
  readonly time: string
  readonly data: Readonly<Record<string, unknown>>
}

const details = ['name', 'address', 'country', 'taxId', 'email'] as const
type Details = Partial<Record<(typeof details)[number], string>>

export function addStatementCommands(account: Command, io: Io): void {
  account
    .command('ledger [account]')
    .description('list the movements of an account, newest first; your own without one')
    .option('--limit <count>', 'how many', '50')
    .addHelpText('after', examples('account ledger ann --limit 200'))
    .action(async (name: string | undefined, { limit }: { limit: string }, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const client = clientOf(io, command)
      const path = `/billing/accounts/${segment(id)}/ledger`
      const rows = await client.list<ShownTransfer>(path, {}, Number(limit))
      const columns = [
        { title: 'TIME', value: (row: ShownTransfer) => row.time },
        { title: 'KIND', value: (row: ShownTransfer) => row.kind },
        { title: 'AMOUNT', align: 'right' as const, value: (row: ShownTransfer) => row.amount },
        { title: '', value: (row: ShownTransfer) => row.currency },
        { title: 'CALL', value: (row: ShownTransfer) => row.callId },
        { title: 'REASON', value: (row: ShownTransfer) => row.reason },
      ]
      showList(io, command, { rows, columns, none: 'Nothing has moved on this account.' })
    })
  const billing = account
    .command('billing [account]')
    .description('show who is billed for an account, or change it; an empty text takes a member away')
  for (const name of details)
    billing.option(
      `--${name === 'taxId' ? 'tax-id' : name} <text>`,
      `the ${name === 'taxId' ? 'tax id' : name}`,
    )
  billing
    .addHelpText(
      'after',
      examples(
        "account billing ann --name 'Ann GmbH' --country DE --tax-id DE123456789",
        'account billing ann',
      ),
    )
    .action(async (name: string | undefined, options: Details, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const path = `/billing/accounts/${segment(id)}/billing`
      const change = compact(Object.fromEntries(details.map((each) => [each, textOf(options[each])])))
      const client = clientOf(io, command)
      const isChange = Object.keys(change).length > 0
      showThing(io, command, isChange ? await client.patch(path, change) : await client.get(path))
    })
  account
    .command('events [account]')
    .description('list what budgets raised, newest first; without an account, all that you may see')
    .addHelpText('after', examples('account events', 'account events ann --json'))
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const of = name === undefined ? undefined : await accountIdOf(io, command, name)
      const rows = await clientOf(io, command).list<ShownEvent>('/billing/events', { account: of }, 200)
      const columns = [
        { title: 'TIME', value: (row: ShownEvent) => row.time },
        { title: 'KIND', value: (row: ShownEvent) => row.kind },
        { title: 'WHAT', value: (row: ShownEvent) => words(row.data) },
      ]
      showList(io, command, { rows, columns, none: 'No event yet.' })
    })
}

const textOf = (text: string | undefined): string | null | undefined => (text === '' ? null : text)
