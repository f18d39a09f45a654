// A way to a server whose every answer the test gives by hand, and a listener that remembers what it heard.
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonRpcMessage, RequestId } from '../../src/wire/json-rpc.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../src/upstreams/upstream.ts'
import { until } from '../harness/until.ts'

/** One message that reached the scripted server. */
export interface Sent {
  readonly request: UpstreamRequest
  readonly sink: UpstreamSink
  aborted: boolean
  paused: boolean
}

const bytesOf = (message: object): UpstreamMessage => ({
  message: { jsonrpc: '2.0', ...message },
  bytes: Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })),
})

/** Answers nothing by itself. */
export class ScriptedWay implements Upstream {
  readonly transport = 'streamable-http'
  readonly multiplexed: boolean
  readonly sent: Sent[] = []
  closed = 0

  constructor(multiplexed = false) {
    this.multiplexed = multiplexed
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const sent: Sent = { request, sink, aborted: false, paused: false }
    this.sent.push(sent)
    return {
      abort: () => (sent.aborted = true),
      pause: () => (sent.paused = true),
      resume: () => (sent.paused = false),
    }
  }

  listen(): UpstreamExchange {
    throw new Error('the modern era has no GET stream')
  }

  endSession(): Promise<number> {
    return Promise.resolve(405)
  }

  async close(): Promise<void> {
    this.closed++
  }

  /** What was sent with this method, oldest first. */
  of(method: string): Sent[] {
    return this.sent.filter(({ request }) => request.message.method === method)
  }

  /** Waits until `count` messages of this method have come and returns the last of them. */
  async next(method: string, count = 1): Promise<Sent> {
    await until(() => this.of(method).length >= count)
    return this.of(method)[count - 1] as Sent
  }
}

/** Says something to a message's sender; ignored after its abort, as by a real way. */
export const say = (sent: Sent) => ({
  head: (status = 200, contentType: UpstreamHead['contentType'] = 'json') =>
    sent.aborted || sent.sink.head({ status, contentType }),
  message: (message: object) => sent.aborted || sent.sink.message(bytesOf(message)),
  bare: (text: string, frame?: string) =>
    sent.aborted ||
    sent.sink.message({
      message: undefined,
      bytes: Buffer.from(text),
      ...(frame !== undefined && { frame: Buffer.from(frame) }),
    }),
  end: () => sent.aborted || sent.sink.end(),
  fail: (failure: UpstreamFailure) => sent.aborted || sent.sink.fail(failure),
  /** A whole JSON answer. */
  result: (result: object) => {
    say(sent).head()
    say(sent).message({ id: sent.request.message.id, result })
    say(sent).end()
  },
  error: (error: object, status = 200) => {
    say(sent).head(status)
    say(sent).message({ id: sent.request.message.id, error })
    say(sent).end()
  },
})

/** Remembers what a sink hears, and complains where it hears too much. */
export class Ear implements UpstreamSink {
  heads: UpstreamHead[] = []
  messages: UpstreamMessage[] = []
  failure: UpstreamFailure | undefined
  ends = 0

  head(head: UpstreamHead): void {
    this.heads.push(head)
  }

  message(message: UpstreamMessage): void {
    if (this.over) throw new Error('a message after the end')
    if (this.heads.length !== 1) throw new Error('a message without one head before it')
    this.messages.push(message)
  }

  end(): void {
    this.ends++
  }

  fail(failure: UpstreamFailure): void {
    this.ends++
    this.failure = failure
  }

  get over(): boolean {
    return this.ends > 0
  }

  /** As written in the bytes. */
  get written(): JsonRpcMessage[] {
    return this.messages
      .filter(({ message }) => message !== undefined)
      .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as JsonRpcMessage)
  }

  get last(): JsonRpcMessage | undefined {
    return this.written.at(-1)
  }

  /** The requests of the server so far. */
  get questions(): (JsonRpcMessage & { id: RequestId })[] {
    return this.written.filter(
      (message): message is JsonRpcMessage & { id: RequestId } =>
        message.method !== undefined && message.id !== undefined,
    )
  }
}

/** A message as a client transport hands it over. */
export function clientRequest(message: object): UpstreamRequest {
  const whole = { jsonrpc: '2.0', ...message }
  return {
    body: Buffer.from(JSON.stringify(whole)),
    message: whole as JsonRpcMessage,
    headers: { 'mcp-protocol-version': '2025-11-25', 'mcp-session-id': 'secret', accept: 'application/json' },
  }
}

/** Lets all that is due happen. */
export const settle = (): Promise<void> => sleep(5)
