// `serve`: runs the gateway until it is told to stop.
import type { EventEmitter } from 'node:events'
import type { Command } from 'commander'
import type { ConfigFlags } from '../config/leaves.ts'
import { CliError, type Io } from './io.ts'
import { examples } from './show.ts'
import { readConfig, withConfigFlags, withSecret, type RunnableConfig } from './settings.ts'

interface RunningGateway {
  /** Base URL, with the port that it got. */
  readonly url: string
  /** The same of the administration's own listener, where it has one. */
  readonly adminUrl?: string
  stop(): Promise<void>
  /** The admin's password where this start made it. */
  readonly firstPassword?: string
  /** What `--demo` made. */
  readonly demo?: { readonly server: string; readonly username: string; readonly key: string }
}

export type StartGateway = (config: RunnableConfig) => Promise<RunningGateway>

/** A terminal sends its Ctrl-C to every process of the group, and a launcher hands it on: that is one signal. */
const sameSignalMs = 500

export function addServeCommand(program: Command, io: Io): void {
  withConfigFlags(program.command('serve').description('run the gateway'))
    .option('--demo', 'with a sample server, prices and a funded account')
    .addHelpText('after', examples('serve', 'serve --demo', 'serve --port 0 --data /var/lib/tollbridge'))
    .action(async (flags: ConfigFlags) => {
      const config = withSecret(io, readConfig(io, flags))
      const { startGateway } = await import('../main.ts')
      await runGateway(io, config, { start: startGateway, signals: process })
    })
}

/**
 * Starts, says so, and waits for SIGTERM or SIGINT; then stops cleanly. A second signal gives up at once with exit
 * code 1. Throws CliError where the gateway cannot start.
 */
export async function runGateway(
  io: Io,
  config: RunnableConfig,
  given: { start: StartGateway; signals: EventEmitter },
): Promise<void> {
  const signals = listen(given.signals)
  try {
    const gateway = await start(config, given.start)
    announce(io, gateway)
    await signals.first
    await Promise.race([gateway.stop(), signals.second])
    if (signals.isSecond()) throw new CliError('stopped at once, as a second signal asked', 1)
  } finally {
    signals.forget()
  }
}

/** What Node says of an address that cannot be listened on. */
type ListenError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number }

async function start(config: RunnableConfig, startGateway: StartGateway): Promise<RunningGateway> {
  try {
    return await startGateway(config)
  } catch (error) {
    const { code, address: host = config.host, port = config.port } = error as ListenError
    const where = `${host}:${port}`
    // Only the public listener has flags.
    const isAdmin = host === config.admin.host && port === config.admin.port
    const [hostOption, portOption] = isAdmin
      ? ['set admin.host', 'set admin.port']
      : ['pass --host', 'pass --port']
    if (code === 'EADDRINUSE')
      throw new CliError(`${where} is in use; stop what listens there, or ${portOption}`)
    if (code === 'EACCES') throw new CliError(`${where} may not be listened on; ${portOption} above 1023`)
    if (code === 'EADDRNOTAVAIL') throw new CliError(`${host} is no address of this machine; ${hostOption}`)
    throw error
  }
}

function announce(io: Io, gateway: RunningGateway): void {
  if (gateway.firstPassword !== undefined) {
    io.out(`First start: user admin, password ${gateway.firstPassword} (shown this once)`)
  }
  const { adminUrl = gateway.url } = gateway
  io.out(`Console        ${adminUrl}/`)
  io.out(`API reference  ${adminUrl}/docs`)
  if (gateway.demo) {
    io.out(`Demo           ${gateway.url}/mcp/${gateway.demo.server} with the API key ${gateway.demo.key}`)
    io.out(
      `Next           npx tollbridge server tools ${gateway.demo.server} --url ${adminUrl} --key ${gateway.demo.key}`,
    )
  } else {
    const at = gateway.adminUrl === undefined ? '' : ` --url ${adminUrl}`
    io.out(`Next           npx tollbridge login${at}, then npx tollbridge server add NAME URL`)
  }
  io.out(`ready ${gateway.url}`)
}

function listen(source: EventEmitter) {
  const first = Promise.withResolvers<void>()
  const second = Promise.withResolvers<void>()
  let firstAtMs: number | undefined
  let isSecond = false
  const onSignal = (): void => {
    const now = performance.now()
    if (firstAtMs === undefined) {
      firstAtMs = now
      first.resolve()
    } else if (now - firstAtMs > sameSignalMs) {
      isSecond = true
      second.resolve()
    }
  }
  source.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  return {
    first: first.promise,
    second: second.promise,
    isSecond: () => isSecond,
    forget: () => void source.off('SIGTERM', onSignal).off('SIGINT', onSignal),
  }
}
