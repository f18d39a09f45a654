// stdio towards one server: one child for one session is the link that its messages take.
import type { Server, StdioTransport } from '../registry/server.ts'
import { ConnectionUpstream, type ConnectionOptions } from './connection.ts'
import type { Link, LinkEnd, LinkEvents, LinkRefusal } from './link.ts'
import { StdioChild, type ChildOptions } from './stdio-child.ts'
import type { UpstreamRequest } from './upstream.ts'

/** A registered server that is a command. */
export type StdioServer = Server & { readonly transport: StdioTransport }

export type StdioOptions = Omit<ChildOptions, 'maxLineBytes'> & Omit<ConnectionOptions, 'connectMs'>

/**
 * A child process that speaks newline-delimited JSON-RPC (MCP "stdio"). The child starts in the constructor; what is
 * sent before it runs waits in its pipe.
 */
export class StdioUpstream extends ConnectionUpstream {
  readonly #child: StdioChild

  constructor(server: StdioServer, options: StdioOptions) {
    let link!: StdioLink
    const open = (events: LinkEvents): Link => (link = new StdioLink(server, options, events))
    // A pipe is open at once, so there is nothing to wait for.
    super('stdio', open, { ...options, connectMs: 0 })
    this.#child = link.child
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The last lines that the server wrote to its standard error, with the values of its variables masked. */
  get lastStderr(): readonly string[] {
    return this.#child.lastStderr
  }
}

export class StdioLink implements Link {
  readonly opening = undefined
  readonly child: StdioChild

  constructor({ transport, limits }: StdioServer, options: StdioOptions, events: LinkEvents) {
    this.child = new StdioChild(
      transport,
      { ...options, maxLineBytes: limits.maxResponseBytes },
      {
        line: (line) => events.message(line),
        gone: (reason) => {
          const lastWords = this.child.lastStderr.at(-1)
          events.gone({ ...reason, stage: 'process', ...(lastWords !== undefined && { lastWords }) })
        },
      },
    )
  }

  get alive(): boolean {
    return this.child.alive
  }

  get ended(): Promise<void> {
    return this.child.ended
  }

  write({ body }: UpstreamRequest, told: () => void): LinkRefusal | undefined {
    if (this.child.write(body)) {
      queueMicrotask(told)
      return undefined
    }
    // A child that does not read is as good as gone: another one may be started.
    const message = this.child.alive
      ? 'The process does not read its input; too much is waiting.'
      : 'The process has ended.'
    return { stage: 'process', gone: true, message }
  }

  pause(): void {
    this.child.pause()
  }

  resume(): void {
    this.child.resume()
  }

  close({ message }: LinkEnd): void {
    this.child.stop(message)
  }

  killNow(): void {
    this.child.killNow()
  }
}
