// `rule draft`, `rule publish` and `rule lint`: prices that are prepared, checked, and then published.
import type { Command } from 'commander'
import { draftsOption } from './drafts-option.ts'
import { CliError, confirm, type Io } from '../io.ts'
import { bodyOf, idOf, ownCurrency, withRule, type RuleOptions, type ShownRule } from './rule-options.ts'
import { clientOf, examples, segment, showList, showThing, wantsJson, words } from '../show.ts'

type ShownDraft = ShownRule & { readonly ruleId: string; readonly basedOn?: number }

interface DraftOptions extends RuleOptions {
  readonly rule?: string
  readonly basedOn?: string
}

interface LintAnswer {
  readonly findings: readonly {
    readonly kind: string
    readonly severity: string
    readonly sentence: string
  }[]
  readonly complete: boolean
  readonly rules: number
  readonly unseen: readonly { readonly server: string; readonly reason: string }[]
}

export function addDraftCommands(rule: Command, io: Io): void {
  addEditing(rule.command('draft').description('prices that nobody pays by yet'), io)
  rule
    .command('publish [drafts...]')
    .description('publish drafts at one moment, all or none')
    .option('--all', 'every draft')
    .option('--force', 'in spite of what the linter finds')
    .addHelpText('after', examples('rule publish search', 'rule publish --all --force'))
    .action(async (names: string[], options: { all?: boolean; force?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      const all = await client.list<ShownDraft>('/billing/drafts')
      const ids = options.all ? all.map(({ id }) => id) : names.map((name) => draftId(all, name))
      if (ids.length === 0)
        throw new CliError('Name the drafts to publish, or pass --all where there are any.', 2)
      const body = { ids, force: options.force === true }
      const { items } = await client.post<{ items: readonly ShownRule[] }>('/billing/drafts/publish', body)
      if (wantsJson(command)) return io.out(JSON.stringify(items, undefined, 2))
      for (const { name, id, version } of items) io.talk(`Published ${name}: version ${version} of ${id}`)
    })
  rule
    .command('lint')
    .description(
      'rules that tie or are never chosen, and tools without a price; exits 1 where there are errors',
    )
    .option('--drafts <ids>', 'with these drafts as if they were published: `all`, or ids, comma separated')
    .option('--no-tools', 'do not ask the servers for their tools')
    .addHelpText('after', examples('rule lint', 'rule lint --drafts all'))
    .action(async (options: { drafts?: string; tools: boolean }, command: Command) => {
      const body = { tools: options.tools, ...draftsOption(options.drafts) }
      const answer = await clientOf(io, command).post<LintAnswer>('/billing/lint', body)
      showFindings(io, command, answer)
      if (answer.findings.some(({ severity }) => severity === 'error')) throw new CliError('')
    })
}

function showFindings(io: Io, command: Command, answer: LintAnswer): void {
  if (wantsJson(command)) return io.out(JSON.stringify(answer, undefined, 2))
  for (const { severity, kind, sentence } of answer.findings) io.out(`${severity} ${kind}: ${sentence}`)
  for (const { server, reason } of answer.unseen) io.talk(`The tools of ${server} are not known: ${reason}`)
  if (!answer.complete) io.talk('There was too much to compare; there may be more.')
  if (answer.findings.length === 0) io.talk(`Nothing is wrong with ${answer.rules} rules.`)
}

function addEditing(draft: Command, io: Io): void {
  draft
    .command('ls')
    .description('list drafts')
    .addHelpText('after', examples('rule draft ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownDraft>('/billing/drafts')
      const columns = [
        { title: 'NAME', value: (row: ShownDraft) => row.name },
        { title: 'ID', value: (row: ShownDraft) => row.id },
        { title: 'OF', value: (row: ShownDraft) => (row.basedOn === undefined ? 'new' : row.ruleId) },
        { title: 'BOOK', value: (row: ShownDraft) => row.book },
        { title: 'MATCH', value: (row: ShownDraft) => words(row.match) || 'everything' },
        { title: 'PRICE', value: (row: ShownDraft) => `${words(row.price)} ${row.currency}` },
      ]
      showList(io, command, { rows, columns, none: 'No draft; make one with `tollbridge rule draft add`.' })
    })
  withRule(
    draft.command('add [name]').description('draft a new rule, or with --rule the next version of one'),
  )
    .option('--rule <rule>', 'the rule, by id or name; what is not given stays as it is there')
    .option('--no-book', 'take it out of its price book')
    .addHelpText(
      'after',
      examples(
        "rule draft add search --tool 'search*' --per-call 0.02",
        'rule draft add --rule basic --per-call 0.02',
      ),
    )
    .action(async (name: string | undefined, options: DraftOptions, command: Command) => {
      const client = clientOf(io, command)
      const body = { ...bodyOf(options), ...(name !== undefined && { name }) }
      if (options.rule !== undefined) {
        const ruleId = await idOf(io, command, options.rule)
        return showThing(io, command, await client.post('/billing/drafts', { ...body, ruleId }))
      }
      if (name === undefined) throw new CliError('A new rule needs a name; or name one with --rule.', 2)
      const currency = options.currency ?? (await ownCurrency(client))
      showThing(io, command, await client.post('/billing/drafts', { ...body, currency }))
    })
  withRule(draft.command('set <draft>').description('change a draft'))
    .option('--name <name>', 'a new name')
    .option('--no-book', 'take it out of its price book')
    .option('--based-on <version>', 'the newer version of the rule that you have looked at')
    .addHelpText(
      'after',
      examples('rule draft set search --per-call 0.03', 'rule draft set basic --based-on 4'),
    )
    .action(async (name: string, options: DraftOptions, command: Command) => {
      const client = clientOf(io, command)
      const id = draftId(await client.list<ShownDraft>('/billing/drafts'), name)
      const basedOn = options.basedOn === undefined ? {} : { basedOn: Number(options.basedOn) }
      showThing(
        io,
        command,
        await client.patch(`/billing/drafts/${segment(id)}`, { ...bodyOf(options), ...basedOn }),
      )
    })
  addReading(draft, io)
}

function addReading(draft: Command, io: Io): void {
  draft
    .command('show <draft>')
    .description('show a draft')
    .addHelpText('after', examples('rule draft show search'))
    .action(async (name: string, _options: object, command: Command) => {
      const client = clientOf(io, command)
      const id = draftId(await client.list<ShownDraft>('/billing/drafts'), name)
      showThing(io, command, await client.get(`/billing/drafts/${segment(id)}`))
    })
  draft
    .command('rm <draft>')
    .description('throw a draft away')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('rule draft rm search --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      const id = draftId(await client.list<ShownDraft>('/billing/drafts'), name)
      await confirm(io, { what: `Remove the draft ${name}`, name, yes: options.yes })
      await client.delete(`/billing/drafts/${segment(id)}`)
      io.talk(`Removed ${name}`)
    })
}

function draftId(all: readonly ShownDraft[], name: string): string {
  if (name.startsWith('drf_')) return name
  const found = all.filter((draft) => draft.name === name)
  const [only] = found
  if (!only) throw new CliError(`There is no draft "${name}"; \`tollbridge rule draft ls\` lists them.`)
  if (found.length > 1) throw new CliError(`${found.length} drafts are called "${name}"; name one by its id.`)
  return only.id
}
