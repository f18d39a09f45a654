// A secret that a command of the operator's tells: run without a shell, once for all who wait, and kept for a while.
import { spawn, type ChildProcess } from 'node:child_process'
import type { Clock } from '../base/clock.ts'
import { maxSecretBytes, SecretProblem, secretOf, type SecretSource } from './named-secret.ts'

export interface CommandSecretOptions {
  readonly command: readonly string[]
  readonly timeoutMs: number
  readonly cacheMs: number
  /** All of the command's environment. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
}

/** After a failure the command is not run for this long, doubled up to `mostPauseMs`. */
const firstPauseMs = 1000
const mostPauseMs = 60_000

export class CommandSecret implements SecretSource {
  readonly #options: CommandSecretOptions
  #held: { readonly value: string; readonly untilMs: number } | undefined
  #failure: { readonly error: SecretProblem; readonly untilMs: number; readonly pauseMs: number } | undefined
  #asking: Promise<string> | undefined
  #child: ChildProcess | undefined
  #closed = false

  constructor(options: CommandSecretOptions) {
    this.#options = options
  }

  get current(): string | undefined {
    return this.#held && this.#options.clock.monotonicMs() < this.#held.untilMs ? this.#held.value : undefined
  }

  async get(): Promise<string> {
    const { current } = this
    if (current !== undefined) return current
    if (this.#asking) return this.#asking
    if (this.#failure && this.#options.clock.monotonicMs() < this.#failure.untilMs) throw this.#failure.error
    this.#asking = this.#ask().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  close(): void {
    this.#closed = true
    if (this.#child) killGroup(this.#child)
  }

  async #ask(): Promise<string> {
    const { clock, cacheMs } = this.#options
    try {
      const value = secretOf(await this.#run())
      this.#held = { value, untilMs: clock.monotonicMs() + cacheMs }
      this.#failure = undefined
      return value
    } catch (thrown) {
      const error =
        thrown instanceof SecretProblem
          ? thrown
          : new SecretProblem('cannot be told by its command', { cause: thrown })
      const pauseMs = Math.min(mostPauseMs, (this.#failure?.pauseMs ?? firstPauseMs / 2) * 2)
      this.#held = undefined
      this.#failure = { error, pauseMs, untilMs: clock.monotonicMs() + pauseMs }
      throw error
    }
  }

  /** What the command wrote. Its standard error goes nowhere: it could hold the secret. */
  #run(): Promise<Buffer> {
    if (this.#closed) throw new SecretProblem('cannot be used while the gateway stops')
    const { command, timeoutMs, environment } = this.#options
    const [program = '', ...args] = command
    const child = spawn(program, args, {
      env: { ...environment },
      shell: false,
      // Its own process group, so that what it starts can be killed with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      windowsHide: true,
    })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const chunks: Buffer[] = []
    let bytes = 0
    const fail = (problem: string): void => {
      reject(new SecretProblem(problem))
      child.stdout.destroy()
      if (child.exitCode === null && child.signalCode === null) killGroup(child)
    }
    const timer = setTimeout(() => fail(`was not told by its command within ${timeoutMs} ms`), timeoutMs)
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxSecretBytes) fail(`is larger than ${maxSecretBytes} bytes`)
      else chunks.push(chunk)
    })
    child.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) =>
      fail(`cannot be told: its command cannot be started (${code})`),
    )
    child.on('exit', (code, signal) => {
      // What it started goes with it; what it wrote is still read.
      killGroup(child)
      if (code !== 0) fail(`was not told: its command ended with ${signal ?? `exit code ${code}`}`)
    })
    child.on('close', () => resolve(Buffer.concat(chunks)))
    return promise.finally(() => {
      clearTimeout(timer)
      if (this.#child === child) this.#child = undefined
    })
  }
}

/** Ends the command with whatever it started. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: nobody is left.
  }
}
