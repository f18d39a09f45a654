// The tree of commands, and what happens to their errors.
import { Command, CommanderError, Option } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { addAccessCommands } from './people/access.ts'
import { addAuditCommands } from './people/audit.ts'
import { addAccountCommands } from './money/account.ts'
import { addBudgetCommands } from './money/budget.ts'
import { addBookCommands } from './prices/book.ts'
import { addBundleCommands } from './servers/bundle.ts'
import { addConnectCommand } from './connect/connect.ts'
import { addDeclaredCommands } from './declared/commands.ts'
import { addGrantCommands } from './money/grant.ts'
import { CliError, type Io } from './io.ts'
import { addInvoiceCommands } from './money/invoice.ts'
import { addKeyCommands } from './people/key.ts'
import { addLimitCommands } from './people/limit.ts'
import { addOauthCommands } from './people/oauth.ts'
import { addLocalCommands } from './local.ts'
import { addLoginCommands } from './people/login.ts'
import { addRuleCommands } from './prices/rule.ts'
import { addSecretCommands } from './people/secret.ts'
import { addBackupCommands } from './store/backup-commands.ts'
import { addServeCommand } from './serve.ts'
import { addServerCommands } from './servers/server.ts'
import { addSessionCommands } from './people/session.ts'
import { addStreamCommands } from './people/stream.ts'
import { addUserCommands } from './people/user.ts'
import { addUsageCommands } from './usage.ts'
import { addWebhookCommands } from './money/webhook.ts'

/** Runs a command line. Returns the exit code: 0 fine, 1 failed, 2 wrong use, 78 wrong configuration. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const program = makeProgram(io)
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    if (thrown instanceof CliError) {
      if (thrown.message !== '') io.talk(`tollbridge: ${thrown.message}`)
      return thrown.exitCode
    }
    io.talk(`tollbridge: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    return 1
  }
}

/** The whole tree; nothing has run yet. */
function makeProgram(io: Io): Command {
  const program = new Command('tollbridge')
    .description('A metered MCP gateway: any client reaches any server, and the bill is right.')
    .version(manifest.version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.talk(text.trimEnd()),
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows how it is used)')
    .addOption(new Option('--url <url>', "the gateway's URL (TOLLBRIDGE_URL)"))
    .addOption(new Option('--key <key>', 'an API key or access token (TOLLBRIDGE_KEY)'))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('serve --demo', 'login', 'server ls', 'usage summary --group-by server,tool'),
    )
  addServeCommand(program, io)
  addLoginCommands(program, io)
  addUserCommands(program, io)
  addServerCommands(program, io)
  addBundleCommands(program, io)
  addSessionCommands(program, io)
  addStreamCommands(program, io)
  addKeyCommands(program, io)
  addAccessCommands(program, io)
  addLimitCommands(program, io)
  addOauthCommands(program, io)
  addSecretCommands(program, io)
  addAuditCommands(program, io)
  addUsageCommands(program, io)
  addRuleCommands(program, io)
  addBookCommands(program, io)
  addAccountCommands(program, io)
  addInvoiceCommands(program, io)
  addDeclaredCommands(program, io)
  addGrantCommands(program, io)
  addBudgetCommands(program, io)
  addWebhookCommands(program, io)
  addConnectCommand(program, io)
  addLocalCommands(program, io)
  addBackupCommands(program, io)
  for (const group of program.commands) addLongNames(group)
  return program
}

const longNames: Readonly<Record<string, string>> = { ls: 'list', rm: 'remove' }

/** Who types `list` means `ls`. */
function addLongNames(group: Command): void {
  for (const command of group.commands) {
    const longName = longNames[command.name()]
    if (longName !== undefined) command.alias(longName)
    addLongNames(command)
  }
}

const examples = (...lines: string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ tollbridge ${line}`).join('\n')}`
