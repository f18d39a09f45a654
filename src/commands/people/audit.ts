// `audit`: who did what, and whether the log of that is as it was written.
import type { Command } from 'commander'
import { parsePlace } from '../../audit/chain.ts'
import type { ConfigFlags } from '../../config/leaves.ts'
import { verificationView } from '../../http/api/policy/audit.ts'
import { CliError, type Io } from '../io.ts'
import { readConfig, withConfigFlags, withSecret } from '../settings.ts'
import { clientOf, compact, examples, showList, wantsJson } from '../show.ts'

interface ShownEvent {
  readonly time: string
  readonly action: string
  readonly actor: { readonly userId?: string; readonly username?: string; readonly via?: string }
  readonly resource?: { readonly type: string; readonly id: string }
  readonly outcome: string
  readonly code?: string
  readonly ip?: string
  readonly count: number
}

type Verification = ReturnType<typeof verificationView>

interface ListOptions {
  readonly from?: string
  readonly to?: string
  readonly actor?: string
  readonly action?: string
  readonly resource?: string
  readonly limit: string
}

export function addAuditCommands(program: Command, io: Io): void {
  const audit = program.command('audit').description('who did what, and whether the log of that was changed')
  addList(audit, io)
  addVerify(audit, io)
}

function addList(audit: Command, io: Io): void {
  audit
    .command('ls')
    .description('list events, newest first')
    .option('--from <time>', 'from then on')
    .option('--to <time>', 'before then')
    .option('--actor <user>', 'of this user, by id')
    .option('--action <action>', 'such as keys.rotate, or keys.*')
    .option('--resource <id>', 'about this')
    .option('--limit <number>', 'how many', '50')
    .addHelpText('after', examples('audit ls', 'audit ls --action "keys.*" --from 2026-11-01T00:00:00Z'))
    .action(async ({ limit, ...filter }: ListOptions, command: Command) => {
      const count = Number(limit)
      if (!Number.isSafeInteger(count) || count < 1) throw new CliError('--limit takes a whole number.', 2)
      const query = compact({ ...filter }) as Record<string, string>
      const rows = await clientOf(io, command).list<ShownEvent>('/audit', query, count)
      const who = ({ actor }: ShownEvent) => actor.username ?? actor.userId ?? actor.via ?? 'nobody'
      const columns = [
        { title: 'TIME', value: (row: ShownEvent) => row.time },
        { title: 'WHO', value: who },
        { title: 'ACTION', value: (row: ShownEvent) => row.action },
        {
          title: 'RESOURCE',
          value: ({ resource }: ShownEvent) => resource && `${resource.type} ${resource.id}`,
        },
        { title: 'OUTCOME', value: ({ outcome, code }: ShownEvent) => code ?? outcome },
        { title: 'TIMES', value: (row: ShownEvent) => String(row.count) },
        { title: 'FROM', value: (row: ShownEvent) => row.ip },
      ]
      showList(io, command, { rows, columns, none: 'There is no such event.' })
    })
}

function addVerify(audit: Command, io: Io): void {
  withConfigFlags(
    audit
      .command('verify')
      .description('look whether the log is as it was written; exit 1 where it is not')
      .option('--expect <place>', 'a place that it must hold: the head of an earlier verification')
      .option('--offline', 'read the store itself with its master secret instead of asking the gateway'),
  )
    .addHelpText(
      'after',
      examples('audit verify', 'audit verify --offline --data ./data', 'audit verify --expect 1042:x7Qk…'),
    )
    .action(async (flags: ConfigFlags & { expect?: string; offline?: boolean }, command: Command) => {
      const { expect, offline } = flags
      const place = expect === undefined ? undefined : parsePlace(expect)
      if (expect !== undefined && !place)
        throw new CliError('--expect takes a place as a verification shows it, NUMBER:HASH.', 2)
      const found = offline
        ? await verifyOffline(io, flags, place ? [place] : [])
        : await clientOf(io, command).get<Verification>(
            '/audit/verify',
            compact({ expect }) as { expect?: string },
          )
      show(io, command, found)
      if (!found.ok) throw new CliError('The audit log is not as it was written; see above.')
    })
}

async function verifyOffline(
  io: Io,
  flags: ConfigFlags,
  expected: readonly NonNullable<ReturnType<typeof parsePlace>>[],
): Promise<Verification> {
  const { verifyAuditStore } = await import('../store/verify-audit-store.ts')
  return verificationView(await verifyAuditStore(withSecret(io, readConfig(io, flags)), expected))
}

function show(io: Io, command: Command, found: Verification): void {
  if (wantsJson(command)) return io.out(JSON.stringify(found, undefined, 2))
  for (const { what } of found.differences) io.out(what)
  const more = found.differenceCount - found.differences.length
  if (more > 0) io.out(`And ${more} more.`)
  io.out(`${found.events} events, from ${found.first} to ${found.last}. Head: ${found.head}`)
}
