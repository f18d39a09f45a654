// `invoice`: what accounts are billed, from the draft to the payment.
import { writeFileSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { accountIdOf } from './account-id.ts'
import { addCreditCommands } from './credit-note.ts'
import { addInvoiceSteps } from './invoice-steps.ts'
import {
  invoicesPath as path,
  pathOf,
  showInvoice,
  type FullInvoice,
  type ShownInvoice,
} from './shown-invoice.ts'
import { CliError, type Io } from '../io.ts'
import { clientOf, compact, examples, showList, wantsJson } from '../show.ts'

interface SaveOptions {
  readonly format: string
  readonly out?: string
  readonly force?: boolean
}

type Options = Readonly<Record<string, string | undefined>>

export function addInvoiceCommands(program: Command, io: Io): void {
  const invoice = program.command('invoice').description('invoices of accounts')
  addList(invoice, io)
  addCreate(invoice, io)
  addShow(invoice, io)
  addSave(invoice, io)
  addInvoiceSteps(invoice, io)
  addCreditCommands(invoice, io)
}

function addList(invoice: Command, io: Io): void {
  invoice
    .command('ls')
    .description('list invoices, newest first')
    .option('--account <account>', 'of this account, by id or name')
    .option('--status <status>', 'draft, finalized, paid, void or uncollectible')
    .addHelpText('after', examples('invoice ls', 'invoice ls --account ann --status finalized'))
    .action(async ({ account, status }: Options, command: Command) => {
      const id = account === undefined ? undefined : await accountIdOf(io, command, account)
      const rows = await clientOf(io, command).list<ShownInvoice>(path, { account: id, status })
      const columns = [
        { title: 'ID', value: (row: ShownInvoice) => row.id },
        { title: 'NUMBER', value: (row: ShownInvoice) => row.number },
        { title: 'ACCOUNT', value: (row: ShownInvoice) => row.accountId },
        { title: 'FROM', value: (row: ShownInvoice) => row.period.start.slice(0, 10) },
        { title: 'STATUS', value: (row: ShownInvoice) => row.status },
        { title: 'TOTAL', align: 'right' as const, value: (row: ShownInvoice) => row.total },
        { title: 'DUE', align: 'right' as const, value: (row: ShownInvoice) => row.amountDue },
        { title: '', value: (row: ShownInvoice) => row.currency },
      ]
      showList(io, command, { rows, columns, none: 'No invoice that you may see.' })
    })
}

function addCreate(invoice: Command, io: Io): void {
  invoice
    .command('create <account>')
    .description('make a draft for a month, or for any period')
    .option('--month <month>', "such as 2026-10, in the account's time zone")
    .option('--from <time>', 'start of the period, ISO 8601')
    .option('--to <time>', 'end of the period, ISO 8601')
    .option('--due-days <days>', 'from the issue until it is due')
    .addHelpText('after', examples('invoice create ann --month 2026-10'))
    .action(async (account: string, options: Options, command: Command) => {
      const { month, from, to, dueDays } = options
      if ((from === undefined) !== (to === undefined) || (month === undefined) === (from === undefined))
        throw new CliError('Pass either --month, or --from and --to.', 2)
      const accountId = await accountIdOf(io, command, account)
      const period = from === undefined ? undefined : { start: from, end: to }
      const days = dueDays === undefined ? undefined : Number(dueDays)
      const body = compact({ accountId, month, period, dueDays: days })
      showInvoice(io, command, await clientOf(io, command).post<FullInvoice>(path, body))
    })
}

function addShow(invoice: Command, io: Io): void {
  invoice
    .command('show <invoice>')
    .description('show an invoice with its lines, by number or id')
    .addHelpText('after', examples('invoice show INV-2026-000001', 'invoice show INV-2026-000001 --json'))
    .action(async (name: string, _options: object, command: Command) => {
      showInvoice(io, command, await clientOf(io, command).get<FullInvoice>(await pathOf(io, command, name)))
    })
}

function addSave(invoice: Command, io: Io): void {
  invoice
    .command('save <invoice>')
    .description('save an invoice as a file, by number or id')
    .addOption(new Option('--format <format>', 'of the file').choices(['pdf', 'html', 'csv']).default('pdf'))
    .option('--out <file>', 'where to; NUMBER.FORMAT where it is absent')
    .option('--force', 'replace a file that is there')
    .addHelpText(
      'after',
      examples('invoice save INV-2026-000001', 'invoice save INV-2026-000001 --format csv --out october.csv'),
    )
    .action(async (name: string, options: SaveOptions, command: Command) => {
      const client = clientOf(io, command)
      const where = await pathOf(io, command, name)
      const file = options.out ?? `${name.replaceAll(/[^\w.-]+/g, '-')}.${options.format}`
      const bytes = await client.download(where, { format: options.format })
      try {
        writeFileSync(file, bytes, { flag: options.force ? 'w' : 'wx' })
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        const reason = code === 'EEXIST' ? 'it is there already; --force replaces it' : (code ?? 'unknown')
        throw new CliError(`Cannot write ${file}: ${reason}.`)
      }
      if (wantsJson(command)) io.out(JSON.stringify({ file, bytes: bytes.byteLength }))
      else io.talk(`Saved as ${file}.`)
    })
}
