// `invoice finalize`, `pay`, `void`, `uncollectible`, `refresh` and `rm`: what becomes of an invoice.
import type { Command } from 'commander'
import { confirm, type Io } from '../io.ts'
import { clientOf, examples } from '../show.ts'
import { pathOf, showInvoice, type FullInvoice } from './shown-invoice.ts'

interface Step {
  readonly name: string
  readonly does: string
  /** What has to be said with it, and an example of it. */
  readonly says?: readonly [option: 'reference' | 'reason', example: string]
  /** The example invoice is a draft, which has no number. */
  readonly ofDraft?: boolean
}

const steps: readonly Step[] = [
  { name: 'refresh', does: 'compute a draft anew', ofDraft: true },
  { name: 'finalize', does: 'make a draft final, with a number', ofDraft: true },
  { name: 'pay', does: 'mark an invoice as paid', says: ['reference', 'bank-4711'] },
  { name: 'void', does: 'take an invoice back', says: ['reason', 'wrong-tax-id'] },
  { name: 'uncollectible', does: 'give up on an invoice', says: ['reason', 'insolvent'] },
]

export function addInvoiceSteps(invoice: Command, io: Io): void {
  for (const step of steps) addStep(invoice, io, step)
  invoice
    .command('rm <invoice>')
    .description('delete a draft')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('invoice rm inv_01j… --yes'))
    .action(async (which: string, options: { yes?: boolean }, command: Command) => {
      const where = await pathOf(io, command, which)
      await confirm(io, { what: `Delete the draft ${which}`, name: which, yes: options.yes })
      await clientOf(io, command).delete(where)
      io.talk(`Deleted ${which}`)
    })
}

function addStep(invoice: Command, io: Io, { name, does, says, ofDraft }: Step): void {
  const command = invoice.command(`${name} <invoice>`).description(`${does}, by number or id`)
  const [option, example] = says ?? []
  if (option !== undefined)
    command.requiredOption(`--${option} <text>`, option === 'reference' ? 'of the payment' : 'why')
  const words = option === undefined ? '' : ` --${option} ${example}`
  command
    .addHelpText('after', examples(`invoice ${name} ${ofDraft ? 'inv_01j…' : 'INV-2026-000001'}${words}`))
    .action(async (which: string, options: Readonly<Record<string, string>>, action: Command) => {
      const body = option === undefined ? undefined : { [option]: options[option] }
      const where = await pathOf(io, action, which)
      showInvoice(io, action, await clientOf(io, action).post<FullInvoice>(`${where}/${name}`, body))
    })
}
