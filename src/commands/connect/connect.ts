// `connect`: an MCP server on standard input and output that is the gateway's, for clients that only start processes.
import type { EventEmitter } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { WebSocket } from 'ws'
import { GatewayError } from '../../base/errors.ts'
import { LineReader } from '../../upstreams/line-reader.ts'
import { Conversation } from './conversation.ts'
import { openSocket, type Failure } from './socket.ts'
import { CliError, type Io } from '../io.ts'
import { clientOf, examples } from '../show.ts'

interface ConnectOptions {
  /** The gateway's base URL. */
  readonly base: string
  /** A server's or bundle's name; absent means everything that the caller may use. */
  readonly name: string | undefined
  /** The credential; `rejected` is one that the gateway did not take. Undefined where there is no other. */
  readonly credential: (rejected?: string) => Promise<string | undefined>
  readonly input: Readable
  readonly output: Writable
  readonly signals: EventEmitter
}

export function addConnectCommand(program: Command, io: Io): void {
  program
    .command('connect')
    .description('be an MCP server on standard input and output, for clients that start processes')
    .argument('[name]', "a server's or bundle's name; all that you may use without it")
    .addHelpText(
      'after',
      examples('connect everything', 'connect everything --url https://gate.example --key tb_…'),
    )
    .action(async (name: string | undefined, _options: object, command: Command) => {
      if (name !== undefined && !/^[a-z0-9-]{1,64}$/.test(name))
        throw new CliError(`"${name}" is no name of a server; it has a-z, 0-9 and - only`, 2)
      const client = clientOf(io, command)
      await new Connector(io, {
        base: client.url,
        name,
        credential: (rejected) => client.credential(rejected),
        input: process.stdin,
        output: process.stdout,
        signals: process,
      }).run()
    })
}

/** Input is read on while no more than this waits for the gateway. */
const maxWaitingBytes = 16 * 1024 * 1024
const maxLineBytes = 64 * 1024 * 1024
const firstRetryMs = 300
const longestRetryMs = 10_000
/** Attempts before the first connection, and the time without one after which whoever waits is told. */
const firstAttempts = 4
const patienceMs = 30_000
/** How long the end of the input waits for answers, and a handshake for its own. */
const answersMs = 30_000
const greetingMs = 60_000
/** How long a client has to ask, and be answered, before a process that cannot work ends. */
const lingerMs = 2000

/** Runs until the input ends or nothing can be done; logs to standard error, and writes nothing but messages. */
class Connector {
  readonly #io: Io
  readonly #options: ConnectOptions
  readonly #conversation: Conversation
  readonly #over = Promise.withResolvers<void>()
  #socket: WebSocket | undefined
  #attempts = 0
  #wasConnected = false
  #downSinceMs = performance.now()
  #inputEnded = false
  #ending = false
  #greeting: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(io: Io, options: ConnectOptions) {
    this.#io = io
    this.#options = options
    this.#conversation = new Conversation({
      toClient: (text) => this.#write(text),
      toGateway: (bytes) => this.#send(bytes),
      onRefused: () => this.#socket?.terminate(),
    })
  }

  /** Resolves at the end of the input; rejects with a CliError where there is no way to the server. */
  async run(): Promise<void> {
    const { input, output, signals } = this.#options
    const stop = (): void => this.#end()
    signals.on('SIGTERM', stop).on('SIGINT', stop)
    // A client that is gone reads nothing more; there is nobody to tell.
    output.on('error', stop)
    this.#readInput()
    void this.#connect()
    try {
      await this.#over.promise
    } finally {
      signals.off('SIGTERM', stop).off('SIGINT', stop)
      clearTimeout(this.#retry)
      input.destroy()
      await this.#hangUp()
    }
  }

  #readInput(): void {
    const { input } = this.#options
    const lines = new LineReader(maxLineBytes, (line) => this.#conversation.clientSays(line))
    input.on('data', (chunk: Buffer) => {
      if (!lines.push(chunk)) return this.#fail(new GatewayError('payload_too_large'))
      this.#holdInput()
    })
    const ended = (): void => {
      // The last line may end with the input.
      lines.push(Buffer.from('\n'))
      this.#inputEnds()
    }
    input.on('end', ended).on('error', ended)
  }

  /** A gateway that is away, or slower than the client, is no reason to keep everything in memory. */
  #holdInput(): void {
    const { input } = this.#options
    const waiting = this.#conversation.queuedBytes + (this.#socket?.bufferedAmount ?? 0)
    if (waiting > maxWaitingBytes) input.pause()
    else if (input.isPaused()) input.resume()
  }

  #inputEnds(): void {
    this.#inputEnded = true
    if (this.#conversation.settled) return this.#end()
    setTimeout(() => this.#end(), answersMs).unref()
  }

  async #connect(rejected?: string): Promise<void> {
    try {
      const credential = await this.#options.credential(rejected)
      if (this.#ending) return
      if (credential === undefined) return this.#fail(new GatewayError('unauthorized'))
      const { base, name } = this.#options
      const url = `${base.replace(/^http/, 'ws')}/mcp${name === undefined ? '' : `/${name}`}/ws`
      this.#socket = openSocket(
        url,
        { credential, base },
        {
          opened: () => this.#opened(),
          message: (bytes) => this.#heard(bytes),
          closed: (failure) => this.#closed(failure, rejected === undefined ? credential : undefined),
        },
      )
    } catch (error) {
      // The saved login could not be renewed: no gateway, or no login any more.
      const detail = error instanceof Error ? error.message : String(error)
      this.#closed({ error: new GatewayError('upstream_unavailable', { detail }), final: false }, undefined)
    }
  }

  #opened(): void {
    if (this.#wasConnected) this.#io.talk(`tollbridge: connected to ${this.#options.base} again`)
    this.#attempts = 0
    this.#wasConnected = true
    this.#conversation.connected()
    if (this.#conversation.greeting)
      this.#greeting = setTimeout(() => this.#socket?.terminate(), greetingMs).unref()
    this.#holdInput()
  }

  #heard(bytes: Buffer): void {
    this.#conversation.gatewaySays(bytes)
    if (!this.#conversation.greeting) clearTimeout(this.#greeting)
    this.#holdInput()
    if (this.#inputEnded && this.#conversation.settled) this.#end()
  }

  /** `used` is the credential, where another may be tried in its place. */
  #closed(failure: Failure | undefined, used: string | undefined): void {
    const wasOpen = this.#attempts === 0 && this.#wasConnected
    clearTimeout(this.#greeting)
    this.#socket = undefined
    if (this.#ending) return
    if (wasOpen) {
      this.#downSinceMs = performance.now()
      this.#io.talk(`tollbridge: the connection to ${this.#options.base} broke off; connecting again`)
    }
    this.#conversation.lost(failure?.error.code === 'payload_too_large' ? failure.error.message : undefined)
    this.#attempts++
    if (failure?.unauthorized && used !== undefined) return void this.#connect(used)
    const hopeless = failure?.final || failure?.unauthorized
    if (failure && (hopeless || (!this.#wasConnected && this.#attempts >= firstAttempts)))
      return this.#fail(failure.error)
    if (performance.now() - this.#downSinceMs > patienceMs)
      this.#conversation.giveUp(failure?.error ?? new GatewayError('upstream_unavailable'))
    if (this.#inputEnded && this.#conversation.settled) return this.#end()
    const delayMs = Math.min(firstRetryMs * 2 ** (this.#attempts - 1), longestRetryMs)
    // Many clients lose the same gateway at once, and shall not come back at once.
    this.#retry = setTimeout(() => void this.#connect(), delayMs * (0.5 + Math.random() / 2))
  }

  /** Answers whoever waits, gives a client that has not asked yet a moment to, and ends with `error`. */
  #fail(error: GatewayError): void {
    if (this.#ending) return
    this.#ending = true
    const detail = this.#sentence(error)
    this.#conversation.giveUp(new GatewayError(error.code, { detail }))
    void this.#endWith(new CliError(detail))
  }

  /** What to do here, where the gateway's own words are for callers of its API. */
  #sentence({ code, message }: GatewayError): string {
    const { name, base } = this.#options
    if (code === 'unauthorized')
      return `${base} does not take this credential; pass an API key with --key or TOLLBRIDGE_KEY, or run \`tollbridge login\`.`
    if (code !== 'not_found') return message
    return name === undefined
      ? `${base} has no endpoint for all servers; pass the name of one.`
      : `${base} has no server "${name}" that you may use; \`tollbridge server ls\` lists them.`
  }

  async #endWith(error: CliError): Promise<void> {
    const deadline = performance.now() + lingerMs
    const { input } = this.#options
    input.resume()
    while (!this.#inputEnded && this.#conversation.failed === 0 && performance.now() < deadline)
      await sleep(20)
    await sleep(20)
    this.#over.reject(error)
  }

  #end(): void {
    if (this.#ending) return
    this.#ending = true
    this.#over.resolve()
  }

  /** Closes the connection in good order, or soon. */
  async #hangUp(): Promise<void> {
    const socket = this.#socket
    if (!socket) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.close(1000)
    const timer = setTimeout(() => socket.terminate(), 1000)
    await closed
    clearTimeout(timer)
  }

  #write(text: string): void {
    const { output } = this.#options
    if (output.writable && output.write(`${text}\n`)) return
    const socket = this.#socket
    if (!socket || socket.isPaused) return
    socket.pause()
    output.once('drain', () => socket.resume())
  }

  #send(bytes: Uint8Array): void {
    this.#socket?.send(bytes, { binary: false }, () => this.#holdInput())
  }
}
