// What a command may touch of the outside world: its streams, its environment, and whoever sits at the terminal.
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

export interface Io {
  /** Data, for pipes; a line end is added. */
  out(line: string): void
  /** Talk, for people. */
  talk(line: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether somebody can be asked. */
  readonly interactive: boolean
  /** Asks a question; `hidden` keeps the answer off the screen. Only where `interactive`. */
  ask(question: string, hidden?: boolean): Promise<string>
  /** All of standard input. */
  readInput(): Promise<string>
}

/** Ends the command with a sentence for people and an exit code: 1 failed, 2 wrong use, 78 wrong configuration. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** The real process. */
export function processIo(): Io {
  return {
    out: (line) => process.stdout.write(`${line}\n`),
    talk: (line) => process.stderr.write(`${line}\n`),
    env: process.env,
    interactive: process.stdin.isTTY && process.stderr.isTTY,
    ask: askTerminal,
    readInput: () => text(process.stdin),
  }
}

async function askTerminal(question: string, hidden = false): Promise<string> {
  process.stderr.write(question)
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({
    input: process.stdin,
    output: hidden ? sink : process.stderr,
    terminal: true,
  })
  try {
    return await lines.question('')
  } finally {
    lines.close()
    if (hidden) process.stderr.write('\n')
  }
}

/**
 * Asks before something is destroyed: its name has to be typed. `--yes` skips the question; where nobody can be
 * asked, that is wrong use.
 */
export async function confirm(
  io: Io,
  options: { what: string; name: string; yes: boolean | undefined },
): Promise<void> {
  if (options.yes) return
  if (!io.interactive) throw new CliError(`${options.what} needs --yes where nobody can be asked`, 2)
  const answer = await io.ask(`${options.what}? Type ${options.name} to go on: `)
  if (answer.trim() !== options.name) throw new CliError('Nothing was changed.', 1)
}
