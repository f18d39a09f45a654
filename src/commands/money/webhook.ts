// `webhook`: addresses that are told of events, and what became of each delivery.
import { readFileSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, collect, compact, examples, segment, showList, showThing, wantsJson } from '../show.ts'

const path = '/billing/webhooks'

interface ShownWebhook {
  readonly id: string
  readonly name?: string
  readonly url: string
  readonly format: string
  readonly kinds: readonly string[]
  readonly active: boolean
  readonly disabledReason?: string
}

interface ShownDelivery {
  readonly id: string
  readonly kind: string
  readonly events: number
  readonly state: string
  readonly attempts: number
  readonly lastStatus?: number
  readonly lastError?: string
  readonly nextAttemptAt?: string
}

interface CreateOptions {
  readonly kind?: readonly string[]
  readonly format?: string
  readonly name?: string
  readonly secretFile?: string
  readonly batchEvents?: string
  readonly batchMs?: string
  readonly stripeEvent?: string
  readonly stripeValue?: string
  readonly customer?: readonly string[]
}

export function addWebhookCommands(program: Command, io: Io): void {
  const webhook = program.command('webhook').description('addresses that are told of events')
  addReading(webhook, io)
  addCreate(webhook, io)
  addChanging(webhook, io)
  addDeliveries(webhook, io)
}

function addReading(webhook: Command, io: Io): void {
  webhook
    .command('ls')
    .description('list webhooks')
    .addHelpText('after', examples('webhook ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownWebhook>(path)
      const columns = [
        { title: 'ID', value: (row: ShownWebhook) => row.id },
        { title: 'NAME', value: (row: ShownWebhook) => row.name },
        { title: 'FORMAT', value: (row: ShownWebhook) => row.format },
        { title: 'KINDS', value: (row: ShownWebhook) => row.kinds.join(' ') },
        { title: 'ACTIVE', value: (row: ShownWebhook) => row.disabledReason ?? (row.active ? 'yes' : 'no') },
        { title: 'URL', value: (row: ShownWebhook) => row.url },
      ]
      const none = 'No webhook yet; make one with `tollbridge webhook create`.'
      showList(io, command, { rows, columns, none })
    })
  webhook
    .command('show <webhook>')
    .description('show a webhook, by id or name')
    .addHelpText('after', examples('webhook show billing'))
    .action(async (name: string, _options: object, command: Command) => {
      const id = await idOf(io, command, name)
      showThing(io, command, await clientOf(io, command).get(`${path}/${segment(id)}`))
    })
}

function addCreate(webhook: Command, io: Io): void {
  webhook
    .command('create <url>')
    .description('make a webhook; its signing secret is shown this once')
    .requiredOption('--kind <kind>', 'what it is told of, such as call.settled; repeat it', collect)
    .addOption(
      new Option('--format <format>', 'how')
        .choices(['standard', 'cloudevents', 'stripe-meter'])
        .default('standard'),
    )
    .option('--name <name>', 'what to call it')
    .option('--secret-file <file>', 'file with the secret, token or key to use; - is standard input')
    .option('--batch-events <count>', 'calls that go together at most')
    .option('--batch-ms <ms>', 'how long they wait for each other at most')
    .option('--stripe-event <name>', "event name of Stripe's meter")
    .option('--stripe-value <what>', 'calls, cost, bytes, tokens or milliseconds')
    .option('--customer <account=customer>', 'customer of Stripe for an account; repeat it', collect)
    .addHelpText(
      'after',
      examples(
        'webhook create https://app.example/hooks --kind call.settled --kind budget.exhausted --name app',
        'webhook create https://meter.example/events --kind call.settled --format cloudevents --secret-file token \\\n      --batch-events 100 --batch-ms 1000',
        'webhook create https://api.stripe.com/v1/billing/meter_events --kind call.settled --format stripe-meter \\\n      --secret-file stripe-key --stripe-event mcp_calls --customer acc_01j…=cus_123',
      ),
    )
    .action(async (url: string, options: CreateOptions, command: Command) => {
      const { kind: kinds, format, name } = options
      const body = compact({
        url,
        kinds,
        format,
        name,
        secret: await readSecret(io, options.secretFile),
        batch: readBatch(options),
        stripe: readStripe(options),
      })
      showThing(io, command, await clientOf(io, command).post(path, body))
    })
}

function addChanging(webhook: Command, io: Io): void {
  for (const [verb, active] of [
    ['pause', false],
    ['resume', true],
  ] as const)
    webhook
      .command(`${verb} <webhook>`)
      .description(active ? 'send again what waits, and what comes' : 'send nothing for now; nothing is lost')
      .addHelpText('after', examples(`webhook ${verb} app`))
      .action(async (name: string, _options: object, command: Command) => {
        const id = await idOf(io, command, name)
        showThing(io, command, await clientOf(io, command).patch(`${path}/${segment(id)}`, { active }))
      })
  webhook
    .command('rotate <webhook>')
    .description('give it a new secret; the one before signs too for a day')
    .option('--secret-file <file>', 'file with the secret, token or key to use; - is standard input')
    .addHelpText('after', examples('webhook rotate app', 'webhook rotate meter --secret-file new-token'))
    .action(async (name: string, options: { secretFile?: string }, command: Command) => {
      const id = await idOf(io, command, name)
      const body = compact({ secret: await readSecret(io, options.secretFile) })
      showThing(io, command, await clientOf(io, command).post(`${path}/${segment(id)}/rotate-secret`, body))
    })
  webhook
    .command('rm <webhook>')
    .alias('delete')
    .description('remove a webhook with its deliveries')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('webhook rm app --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const id = await idOf(io, command, name)
      await confirm(io, { what: `Remove the webhook ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`${path}/${segment(id)}`)
      io.talk(`Removed ${name}`)
    })
}

function addDeliveries(webhook: Command, io: Io): void {
  webhook
    .command('test <webhook>')
    .description('send a sample now; exit 1 where it is not taken')
    .addHelpText('after', examples('webhook test app'))
    .action(async (name: string, _options: object, command: Command) => {
      const id = await idOf(io, command, name)
      const result = await clientOf(io, command).post<{ delivered: boolean }>(
        `${path}/${segment(id)}/test`,
        {},
      )
      showThing(io, command, result)
      if (!result.delivered) throw new CliError('The sample was not taken; see above.')
    })
  webhook
    .command('deliveries <webhook>')
    .description('list the last 100 deliveries, newest first')
    .addOption(new Option('--state <state>', 'only these').choices(['pending', 'delivered', 'dead']))
    .addHelpText('after', examples('webhook deliveries app --state dead'))
    .action(async (name: string, { state }: { state?: string }, command: Command) => {
      const id = await idOf(io, command, name)
      const rows = await clientOf(io, command).list<ShownDelivery>(
        `${path}/${segment(id)}/deliveries`,
        { state },
        100,
      )
      const columns = [
        { title: 'ID', value: (row: ShownDelivery) => row.id },
        { title: 'KIND', value: (row: ShownDelivery) => row.kind },
        { title: 'EVENTS', align: 'right' as const, value: (row: ShownDelivery) => row.events },
        { title: 'STATE', value: (row: ShownDelivery) => row.state },
        { title: 'TRIES', align: 'right' as const, value: (row: ShownDelivery) => row.attempts },
        { title: 'STATUS', align: 'right' as const, value: (row: ShownDelivery) => row.lastStatus },
        { title: 'NEXT', value: (row: ShownDelivery) => row.nextAttemptAt },
        { title: 'ERROR', value: (row: ShownDelivery) => row.lastError },
      ]
      showList(io, command, { rows, columns, none: 'Nothing was or is to be delivered.' })
    })
  webhook
    .command('redeliver <webhook> [delivery]')
    .description('send dead deliveries again, or the named one')
    .addHelpText('after', examples('webhook redeliver app', 'webhook redeliver app evt_01j…'))
    .action(async (name: string, delivery: string | undefined, _options: object, command: Command) => {
      const id = await idOf(io, command, name)
      const url = `${path}/${segment(id)}/redeliver`
      const result = await clientOf(io, command).post<{ redelivered: number }>(url, compact({ delivery }))
      if (wantsJson(command)) showThing(io, command, result)
      else io.talk(`${result.redelivered} deliveries are sent again.`)
    })
}

/** A secret on the command line would be seen by everybody on the machine. */
async function readSecret(io: Io, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  return (file === '-' ? await io.readInput() : readFileSync(file, 'utf8')).trim()
}

function readBatch({ batchEvents, batchMs }: CreateOptions): object | undefined {
  if (batchEvents === undefined && batchMs === undefined) return undefined
  return { maxEvents: Number(batchEvents ?? 100), maxMs: Number(batchMs ?? 1000) }
}

function readStripe({ stripeEvent, stripeValue, customer = [] }: CreateOptions): object | undefined {
  if (stripeEvent === undefined) return undefined
  const customers = customer.map((pair) => {
    const [account = '', id, ...rest] = pair.split('=')
    if (!id || rest.length > 0) throw new CliError(`"${pair}" is not ACCOUNT=CUSTOMER.`)
    return [account, id] as const
  })
  return compact({ eventName: stripeEvent, value: stripeValue, customers: Object.fromEntries(customers) })
}

async function idOf(io: Io, command: Command, name: string): Promise<string> {
  if (name.startsWith('whk_')) return name
  const found = (await clientOf(io, command).list<ShownWebhook>(path)).filter((each) => each.name === name)
  const [only] = found
  if (!only) throw new CliError(`There is no webhook "${name}"; \`tollbridge webhook ls\` lists them.`)
  if (found.length > 1)
    throw new CliError(`${found.length} webhooks are called "${name}"; name one by its id.`)
  return only.id
}
