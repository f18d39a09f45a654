// Many idle clients in one process: opens their sessions, and tells when each of them has got what was pushed.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { greet, openChannel, Poster } from './raw-channel.ts'
import type { ChannelKind, ChannelTarget, RawChannel } from './raw-channel.ts'

/** The body of `POST /open`: as many more clients of one kind. */
export interface OpenSpec extends ChannelTarget {
  readonly kind: ChannelKind
  readonly clients: number
}

/** The answer to `POST /push`. */
export interface PushResult {
  /** Clients that got exactly one notification, and the milliseconds from the upstream's first write to each, sorted. */
  readonly latenciesMs: readonly number[]
  /** Clients that got none in time. */
  readonly missing: number
  /** Notifications beyond one for each client. */
  readonly repeated: number
}

const openersAtOnce = 32
const pushTimeoutMs = 30_000
const channels: RawChannel[] = []
let broken = 0

async function open({ kind, clients, ...target }: OpenSpec): Promise<void> {
  const { promise: failed, reject } = Promise.withResolvers<never>()
  const posters = Array.from({ length: openersAtOnce }, () => new Poster(target, reject))
  let left = clients
  const opener = async (poster: Poster) => {
    while (left-- > 0) {
      const channel = await openChannel(kind, target, poster)
      await greet(channel)
      channel.onMessage = () => undefined
      channel.onClose = () => broken++
      channels.push(channel)
    }
  }
  await Promise.race([Promise.all(posters.map(opener)), failed])
  // What stays open is the streams alone.
  for (const poster of posters) poster.close()
}

/** Has the upstream push one notification, and waits until every client has it. */
async function push(pushUrl: string): Promise<PushResult> {
  const latenciesMs: number[] = []
  let repeated = 0
  for (const channel of channels) {
    let heard = false
    channel.onMessage = (text) => {
      const nowNs = process.hrtime.bigint()
      const { pushedNs } = (JSON.parse(text) as { params: { _meta: { pushedNs: string } } }).params._meta
      if (heard) repeated++
      else latenciesMs.push(Number(nowNs - BigInt(pushedNs)) / 1e6)
      heard = true
    }
  }
  await fetch(pushUrl, { method: 'POST' })
  const endMs = performance.now() + pushTimeoutMs
  while (latenciesMs.length < channels.length && performance.now() < endMs) await sleep(20)
  // Time for what comes twice.
  await sleep(200)
  latenciesMs.sort((left, right) => left - right)
  return { latenciesMs, missing: channels.length - latenciesMs.length, repeated }
}

function close(): void {
  for (const channel of channels.splice(0)) {
    channel.onClose = () => undefined
    channel.close()
  }
}

async function handle(url: string, body: string): Promise<object> {
  if (url === '/open') await open(JSON.parse(body) as OpenSpec)
  else if (url === '/push') return push(JSON.parse(body) as string)
  else if (url === '/close') close()
  return { open: channels.length, broken }
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (text: string) => (body += text))
  request.on('end', () => {
    handle(request.url ?? '', body).then(
      (result) => response.writeHead(200).end(JSON.stringify(result)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
})
server.requestTimeout = 0
server.listen(0, '127.0.0.1', () =>
  console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`),
)
