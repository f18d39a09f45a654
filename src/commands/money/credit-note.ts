// `invoice credit` and `invoice credits`: taking a final invoice back in part.
import type { Command } from 'commander'
import { CliError, type Io } from '../io.ts'
import { clientOf, collect, examples, showList, showThing } from '../show.ts'
import { pathOf } from './shown-invoice.ts'

interface ShownCreditNote {
  readonly id: string
  readonly number: string
  readonly reason?: string
  readonly total?: string
  readonly currency?: string
  readonly createdAt?: string
}

interface CreditOptions {
  readonly reason: string
  readonly line?: readonly string[]
}

export function addCreditCommands(invoice: Command, io: Io): void {
  invoice
    .command('credit <invoice> [amount]')
    .description('make a credit note: of an amount, tax included, or of lines')
    .requiredOption('--reason <text>', 'why, for the note')
    .option('--line <position>', 'a line, whole; or POSITION=AMOUNT of it, net; may be repeated', collect)
    .addHelpText(
      'after',
      examples(
        'invoice credit INV-2026-000001 4.20 --reason outage',
        'invoice credit INV-2026-000001 --line 2 --line 3=1.50 --reason outage',
      ),
    )
    .action(async (which: string, amount: string | undefined, options: CreditOptions, command: Command) => {
      const { reason, line } = options
      if ((amount === undefined) === (line === undefined))
        throw new CliError('Name either an amount or lines with --line.', 2)
      const body = amount === undefined ? { lines: (line ?? []).map(readLine), reason } : { amount, reason }
      const where = await pathOf(io, command, which)
      showThing(io, command, await clientOf(io, command).post(`${where}/credit-notes`, body))
    })
  invoice
    .command('credits <invoice>')
    .description('list the credit notes of an invoice')
    .addHelpText('after', examples('invoice credits INV-2026-000001'))
    .action(async (which: string, _options: object, command: Command) => {
      const where = await pathOf(io, command, which)
      const { items } = await clientOf(io, command).get<{ items: readonly ShownCreditNote[] }>(
        `${where}/credit-notes`,
      )
      const columns = [
        { title: 'NUMBER', value: (row: ShownCreditNote) => row.number },
        { title: 'TOTAL', align: 'right' as const, value: (row: ShownCreditNote) => row.total },
        { title: '', value: (row: ShownCreditNote) => row.currency },
        { title: 'MADE', value: (row: ShownCreditNote) => row.createdAt },
        { title: 'REASON', value: (row: ShownCreditNote) => row.reason },
      ]
      showList(io, command, { rows: items, columns, none: 'No credit note.' })
    })
}

function readLine(text: string): { position: number; amount?: string } {
  const [position = '', amount] = text.split('=')
  if (!/^\d{1,6}$/.test(position)) throw new CliError(`--line ${text}: takes POSITION or POSITION=AMOUNT.`, 2)
  return { position: Number(position), ...(amount !== undefined && { amount }) }
}
