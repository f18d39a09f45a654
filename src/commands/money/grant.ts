// `grant`: credit on accounts, with what is left of it, and taking it back.
import type { Command } from 'commander'
import { accountIdOf } from './account-id.ts'
import { confirm, type Io } from '../io.ts'
import { clientOf, examples, segment, showList, showThing } from '../show.ts'

interface ShownGrant {
  readonly id: string
  readonly state: string
  readonly amount: string
  readonly remaining: string
  readonly currency: string
  readonly startsAt?: string
  readonly expiresAt?: string
  readonly reason?: string
}

export function addGrantCommands(program: Command, io: Io): void {
  const grant = program.command('grant').description('credit on accounts')
  grant
    .command('ls [account]')
    .description('list the grants of an account, by id or name; your own without one')
    .addHelpText('after', examples('grant ls ann'))
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const path = `/billing/accounts/${segment(id)}/grants`
      const rows = await clientOf(io, command).list<ShownGrant>(path)
      const columns = [
        { title: 'ID', value: (row: ShownGrant) => row.id },
        { title: 'STATE', value: (row: ShownGrant) => row.state },
        { title: 'AMOUNT', align: 'right' as const, value: (row: ShownGrant) => row.amount },
        { title: 'LEFT', align: 'right' as const, value: (row: ShownGrant) => row.remaining },
        { title: '', value: (row: ShownGrant) => row.currency },
        { title: 'STARTS', value: (row: ShownGrant) => row.startsAt },
        { title: 'EXPIRES', value: (row: ShownGrant) => row.expiresAt ?? 'never' },
        { title: 'REASON', value: (row: ShownGrant) => row.reason },
      ]
      showList(io, command, { rows, columns, none: 'No grant; add one with `tollbridge account grant`.' })
    })
  grant
    .command('void <account> <grant>')
    .description('take a grant back: what is left of it leaves')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('grant void ann grt_01j… --yes'))
    .action(async (name: string, grantId: string, options: { yes?: boolean }, command: Command) => {
      const id = await accountIdOf(io, command, name)
      await confirm(io, { what: `Void the grant ${grantId}`, name: grantId, yes: options.yes })
      const path = `/billing/accounts/${segment(id)}/grants/${segment(grantId)}/void`
      showThing(io, command, await clientOf(io, command).post(path))
    })
}
