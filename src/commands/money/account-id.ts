// How a command names an account: by its id or its name, or not at all.
import type { Command } from 'commander'
import { CliError, type Io } from '../io.ts'
import { clientOf } from '../show.ts'

interface Named {
  readonly id: string
  readonly name?: string
}

/** The id of an account, by id or name; the caller's own without one. */
export async function accountIdOf(io: Io, command: Command, name: string | undefined): Promise<string> {
  const client = clientOf(io, command)
  if (name === undefined) return (await client.get<{ accountId: string }>('/me')).accountId
  if (name.startsWith('acc_')) return name
  const found = (await client.list<Named>('/billing/accounts')).filter((each) => each.name === name)
  const [only] = found
  if (!only) throw new CliError(`There is no account "${name}"; \`tollbridge account ls\` lists them.`)
  if (found.length > 1)
    throw new CliError(`${found.length} accounts are called "${name}"; name one by its id.`)
  return only.id
}
