// An invoice as commands name and show it.
import type { Command } from 'commander'
import { CliError, type Io } from '../io.ts'
import { clientOf, segment, showThing, wantsJson } from '../show.ts'
import { formatTable } from '../table.ts'

export const invoicesPath = '/billing/invoices'

export interface ShownInvoice {
  readonly id: string
  readonly number?: string
  readonly accountId: string
  readonly status: string
  readonly currency: string
  readonly period: { readonly start: string; readonly end: string }
  readonly total: string
  readonly amountDue: string
  readonly dueAt?: string
}

export interface FullInvoice extends ShownInvoice {
  readonly amountLeft: string
  readonly subtotal: string
  readonly lines: readonly {
    readonly description: string
    readonly quantity: number
    readonly unitPrice?: string
    readonly amount: string
  }[]
}

/** The path of an invoice that somebody named by its id or its number. */
export async function pathOf(io: Io, command: Command, name: string): Promise<string> {
  if (name.startsWith('inv_')) return `${invoicesPath}/${segment(name)}`
  const all = await clientOf(io, command).list<ShownInvoice>(invoicesPath)
  const found = all.find(({ number }) => number === name)
  if (!found) throw new CliError(`There is no invoice "${name}"; \`tollbridge invoice ls\` lists them.`)
  return `${invoicesPath}/${segment(found.id)}`
}

export function showInvoice(io: Io, command: Command, invoice: FullInvoice): void {
  if (wantsJson(command)) return showThing(io, command, invoice)
  const { id, number, accountId, status, period, dueAt } = invoice
  const { subtotal, total, amountDue, amountLeft, currency, lines } = invoice
  if (lines.length > 0)
    io.out(
      formatTable(lines, [
        { title: 'LINE', value: (line) => line.description },
        { title: 'CALLS', align: 'right', value: (line) => line.quantity },
        { title: 'UNIT', align: 'right', value: (line) => line.unitPrice },
        { title: 'AMOUNT', align: 'right', value: (line) => line.amount },
      ]),
    )
  const from = period.start
  showThing(io, command, {
    id,
    number,
    accountId,
    status,
    from,
    to: period.end,
    dueAt,
    subtotal,
    total,
    amountDue,
    amountLeft,
    currency,
  })
}
