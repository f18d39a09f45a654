// `secret`: the keys that everything stored is sealed and signed with, and replacing them.
import type { Command } from 'commander'
import { confirm, type Io } from '../io.ts'
import { clientOf, examples, showList, showThing, wantsJson } from '../show.ts'

interface ShownKey {
  readonly id: string
  readonly purpose: string
  readonly createdAt: string
  readonly retiredAt: string | null
}

interface Rotation {
  readonly masterReplaced: boolean
  readonly formerForgotten: boolean
  readonly resealed: readonly { readonly holds: string; readonly texts: number }[]
}

export function addSecretCommands(program: Command, io: Io): void {
  const secret = program.command('secret').description('keys that seal and sign what is stored')
  secret
    .command('ls')
    .description('list the keys; none of them is shown')
    .addHelpText('after', examples('secret ls'))
    .action(async (_options: object, command: Command) => {
      const { keys } = await clientOf(io, command).get<{ keys: readonly ShownKey[] }>('/secrets')
      const columns = [
        { title: 'ID', value: (row: ShownKey) => row.id },
        { title: 'PURPOSE', value: (row: ShownKey) => row.purpose },
        { title: 'CREATED', value: (row: ShownKey) => row.createdAt },
        { title: 'RETIRED', value: (row: ShownKey) => row.retiredAt ?? '-' },
      ]
      showList(io, command, { rows: keys, columns, none: 'There are no keys.' })
    })
  secret
    .command('rotate')
    .description(
      'replace the keys, seal everything stored anew, and replace the master secret of the data folder',
    )
    .option('--compromised', 'forget the former keys at once; who is logged in refreshes or logs in again')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('secret rotate', 'secret rotate --compromised --yes'))
    .action(async (options: { compromised?: boolean; yes?: boolean }, command: Command) => {
      await confirm(io, { what: 'Replace the keys of this gateway', name: 'rotate', yes: options.yes })
      const body = { compromised: options.compromised ?? false }
      const done = await clientOf(io, command).post<Rotation>('/secrets/rotate', body)
      if (wantsJson(command)) return showThing(io, command, done)
      for (const { holds, texts } of done.resealed)
        io.out(`${String(texts).padStart(6)}  ${holds} sealed anew`)
      io.out(
        done.masterReplaced
          ? 'The master secret in the data folder is a new one. Back it up with the store.'
          : 'The master secret is of the environment and stays. To replace it, start with the new one in TOLLBRIDGE_SECRET_KEY and the old one in TOLLBRIDGE_PREVIOUS_SECRET_KEY.',
      )
      io.out(
        done.formerForgotten
          ? 'The former keys are forgotten.'
          : 'The former keys still open and verify what they made, for a day.',
      )
    })
}
