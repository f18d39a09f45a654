// One child process in its own session: spawned without a shell, given a minimal environment, and never outliving us.
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { StdioTransport } from '../registry/server.ts'
import type { ChildWatch } from './child-watch.ts'
import { LineReader } from './line-reader.ts'
import { killSession } from './processes.ts'

/** Variables of the gateway's own environment that a child may see. */
const inherited = ['PATH', 'HOME', 'LANG', 'TMPDIR'] as const

export interface ChildOptions {
  /** The gateway's environment; only PATH, HOME, LANG and TMPDIR of it reach the child. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly maxLineBytes: number
  /** Between asking the group to stop and killing it. */
  readonly killGraceMs: number
  /** Holds the child to limits; absent: it has none. */
  readonly watch?: Pick<ChildWatch, 'add'> | undefined
  /** Unwritten input that may wait; more is refused. */
  readonly maxQueuedBytes: number
}

export interface ChildEvents {
  line(line: Buffer): void
  /** Nothing more comes: the process is gone, could not start, or was killed. Called once, never synchronously. */
  gone(reason: { readonly message: string; readonly tooLarge?: boolean }): void
}

/** After the leader's death its pipes should close at once; a process that left the group may still hold them. */
const drainMs = 500

const maxStderrLines = 20
const maxStderrLineBytes = 1024

export class StdioChild {
  readonly #options: ChildOptions
  readonly #events: ChildEvents
  readonly #secrets: readonly string[]
  #process: ChildProcessByStdio<Writable, Readable, Readable> | undefined
  /** Set as soon as the end is certain; the first reason counts. */
  #reason: { message: string; tooLarge?: boolean } | undefined
  #alive = true
  #leaderExited = false
  #stderr: string[] = []
  readonly #ended = Promise.withResolvers<void>()
  #killTimer: NodeJS.Timeout | undefined
  #drainTimer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined

  constructor(transport: StdioTransport, options: ChildOptions, events: ChildEvents) {
    this.#options = options
    this.#events = events
    // Longest first, so that a value that holds another is masked whole.
    this.#secrets = Object.values(transport.env)
      .filter((value) => value.length >= 4)
      .toSorted((a, b) => b.length - a.length)
    try {
      this.#start(transport)
    } catch {
      this.#reason = { message: 'The command cannot be started.' }
      queueMicrotask(() => this.#finish())
    }
  }

  /** Resolves once the process is gone and its pipes are closed. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** True until the end is certain; then nothing more can be written. */
  get alive(): boolean {
    return this.#alive && this.#reason === undefined
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  #start(transport: StdioTransport): void {
    const env: Record<string, string> = {}
    for (const name of inherited) {
      const value = this.#options.environment[name]
      if (value !== undefined) env[name] = value
    }
    const child = spawn(transport.command, transport.args, {
      ...(transport.cwd !== undefined && { cwd: transport.cwd }),
      env: Object.assign(env, transport.env),
      shell: false,
      // Its own process group, so that what it starts can be killed with it.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    })
    this.#process = child
    if (child.pid !== undefined)
      this.#unwatch = this.#options.watch?.add(child.pid, (what) => this.#break(what))
    child.on('error', (error: NodeJS.ErrnoException) =>
      this.#break(`The command cannot be started (${error.code ?? 'unknown'}).`),
    )
    child.on('exit', (code, signal) => this.#onExit(code, signal))
    child.on('close', () => this.#finish())
    const lines = new LineReader(this.#options.maxLineBytes, (line) => this.#events.line(line))
    child.stdout.on('data', (chunk: Buffer) => {
      if (this.#reason?.tooLarge || lines.push(chunk)) return
      this.#break('The process wrote a line over the limit of this server (limits.maxResponseBytes).', true)
    })
    child.stdout.on('error', () => {})
    const errors = new LineReader(maxStderrLineBytes, (line) => this.#keep(line))
    child.stderr.on('data', (chunk: Buffer) => this.#readStderr(errors, chunk))
    child.stderr.on('error', () => {})
    child.stdin.on('error', () => this.#break('The process closed its input.'))
  }

  /** Drains standard error whatever it holds; of a line over the cap only the beginning of its chunk is kept. */
  #readStderr(lines: LineReader, chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const end = chunk.indexOf(0x0a, at)
      const to = end === -1 ? chunk.length : end + 1
      if (!lines.push(chunk.subarray(at, to))) {
        this.#keep(chunk.subarray(at, Math.min(to, at + maxStderrLineBytes)))
        lines.push(lineFeed)
      }
      at = to
    }
  }

  #keep(line: Buffer): void {
    const text = this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, '***'), line.toString())
    // Control characters could forge lines or colours wherever this is shown (trust: log injection).
    const clean = text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
    if (clean === '') return
    this.#stderr.push(clean.slice(0, 300))
    if (this.#stderr.length > maxStderrLines) this.#stderr.shift()
  }

  /** The last lines of standard error, oldest first, with the values of the server's own variables masked. */
  get lastStderr(): readonly string[] {
    return this.#stderr
  }

  /** Writes one message and its line end; false where the child is gone or too much waits unread. */
  write(message: Uint8Array): boolean {
    const stdin = this.#process?.stdin
    if (!this.alive || !stdin?.writable) return false
    if (stdin.writableLength > 0 && stdin.writableLength + message.length > this.#options.maxQueuedBytes)
      return false
    const line = Buffer.allocUnsafe(message.length + 1)
    line.set(message)
    for (let at = 0; at < message.length; at++) {
      // JSON may be spread over lines, a message on stdio may not; between its tokens a space means the same.
      const byte = line[at]
      if (byte === 0x0a || byte === 0x0d) line[at] = 0x20
    }
    line[message.length] = 0x0a
    stdin.write(line)
    return true
  }

  pause(): void {
    this.#process?.stdout.pause()
  }

  resume(): void {
    this.#process?.stdout.resume()
  }

  /** Asks the group to stop, and kills it after the grace time. */
  stop(message = 'The process was stopped.'): void {
    this.#reason ??= { message }
    if (!this.#alive || this.#killTimer) return
    this.resume()
    this.#process?.stdin.end()
    this.#signalGroup('SIGTERM')
    this.#killTimer = setTimeout(() => this.killNow(), this.#options.killGraceMs)
    this.#killTimer.unref()
  }

  /** Kills the group without waiting; synchronous, so that it can run while the gateway exits. */
  killNow(): void {
    if (this.#alive) this.#signalGroup('SIGKILL')
  }

  #break(message: string, tooLarge?: boolean): void {
    this.#reason ??= { message, ...(tooLarge && { tooLarge }) }
    this.resume()
    this.killNow()
    // A command that could not be started has no further events.
    if (this.#process?.pid === undefined) queueMicrotask(() => this.#finish())
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#leaderExited = true
    this.#unwatch?.()
    this.#reason ??= { message: `The process ended (${signal ?? `exit code ${code}`}).` }
    // Whatever it started goes with it; what it wrote last is still read.
    this.#signalGroup('SIGKILL')
    this.resume()
    this.#drainTimer = setTimeout(() => this.#finish(), drainMs)
  }

  #signalGroup(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // ESRCH: nobody is left. EPERM: what is left changed its user; its pipes are closed below.
      if (!this.#leaderExited) this.#process?.kill(signal)
    }
    if (signal === 'SIGKILL') killSession(pid)
  }

  #finish(): void {
    if (!this.#alive) return
    this.#alive = false
    clearTimeout(this.#killTimer)
    clearTimeout(this.#drainTimer)
    this.#process?.stdin.destroy()
    this.#process?.stdout.destroy()
    this.#process?.stderr.destroy()
    this.#ended.resolve()
    this.#events.gone(this.#reason ?? { message: 'The process ended.' })
  }
}

const lineFeed = Buffer.from('\n')
