// `server capture`: whether arguments and results of a server's calls are kept, for how long, and what is masked.
import type { Command } from 'commander'
import { clientOf, collect, compact, examples, segment, showThing } from '../show.ts'
import { CliError, confirm, type Io } from '../io.ts'

interface CaptureOptions {
  readonly off?: boolean
  readonly delete?: boolean
  readonly yes?: boolean
  readonly tools?: string
  readonly days?: string
  readonly maxBytes?: string
  readonly mask?: string
  readonly maskPattern?: string[]
  /** Of `--no-arguments` and `--no-results`: true unless given. */
  readonly arguments: boolean
  readonly results: boolean
}

export function addCaptureCommand(server: Command, io: Io): void {
  server
    .command('capture <name>')
    .description('keep arguments and results of calls to a server, masked, for auditors')
    .option('--off', 'keep nothing from now on')
    .option('--delete', 'delete what is kept')
    .option('-y, --yes', 'do not ask before deleting')
    .option('--tools <globs>', 'of these tools alone, comma separated')
    .option('--days <count>', 'how long (30 days where it was not said before)')
    .option('--max-bytes <count>', 'of arguments and of a result, each')
    .option('--mask <globs>', 'names of members whose values are not kept, comma separated')
    .option('--mask-pattern <pattern>', 'text that is not kept, as a pattern of RE2 (repeatable)', collect)
    .option('--no-arguments', 'results alone')
    .option('--no-results', 'arguments alone')
    .addHelpText(
      'after',
      examples(
        'server capture crm --days 7 --mask "*email*,iban"',
        'server capture crm --off --delete',
        'usage payload use_01j…',
      ),
    )
    .action(async (name: string, options: CaptureOptions, command: Command) => {
      const client = clientOf(io, command)
      const path = `/servers/${segment(name)}`
      if (options.off || !options.delete) {
        const capture = options.off ? null : bodyOf(options)
        const changed = await client.patch<{ capture?: object }>(path, { capture })
        if (changed.capture) showThing(io, command, changed.capture)
        else io.talk(`Nothing is kept of calls to ${name} from now on`)
      }
      if (!options.delete) return
      await confirm(io, { what: `Delete what is kept of calls to ${name}`, name, yes: options.yes })
      await client.delete(`${path}/payloads`)
      io.talk(`Deleted what was kept of calls to ${name}`)
    })
}

const bodyOf = (options: CaptureOptions): Record<string, unknown> =>
  compact({
    tools: namesIn(options.tools),
    days: numberIn('--days', options.days),
    maxBytes: numberIn('--max-bytes', options.maxBytes),
    mask: namesIn(options.mask),
    maskPatterns: options.maskPattern,
    arguments: options.arguments ? undefined : false,
    results: options.results ? undefined : false,
  })

const namesIn = (text: string | undefined): string[] | undefined =>
  text?.split(',').flatMap((name) => name.trim() || [])

function numberIn(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw new CliError(`${flag} takes a whole number.`, 2)
  return Number(text)
}
