// Clients over each transport that open a legacy session, call, and leave in a word or without one.
import { spawn } from 'node:child_process'
import { Agent, request as httpRequest } from 'node:http'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { initialize, initialized, openSse, openWebSocket, toolCall, type Json } from '../transports/rig.ts'
import { onEnd } from './rig.ts'
import { until } from '../harness/until.ts'

export const clientTransports = ['streamable-http', 'sse', 'websocket', 'stdio'] as const
export type ClientTransport = (typeof clientTransports)[number]

export interface Opened {
  /** The answer to a message with this id; the whole message. */
  ask(message: { readonly id: unknown }): Promise<Json>
  /** Sends and waits for nothing. */
  say(message: object): void
  /** The end of the connection has been seen; for Streamable HTTP, that the session is no longer there. */
  over(): boolean | Promise<boolean>
  /** Only of Streamable HTTP: GET. */
  listen?(): Promise<unknown>
  /** Goes away without a word: sockets are destroyed, the process is killed. */
  vanish(): void
  /** Ends the session as a client should. */
  leave(): Promise<unknown>
  /** Reads nothing more. */
  stopReading(): void
}

interface Opening {
  readonly url: string
  readonly key: string
  readonly name: string
  /** Does not shake hands. */
  readonly bare?: boolean
  /** Opens the session's stream, where that is a request of its own; resolves once it has begun. */
  readonly stream?: boolean
}

const cli = resolve(import.meta.dirname, '../../src/cli.ts')
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** Opens a session; rejects where the gateway refuses it, with the refusal's code in the message. */
export async function open(transport: ClientTransport, opening: Opening): Promise<Opened> {
  const opened = await openers[transport](opening)
  if (opening.bare) return opened
  const answer = await opened.ask(initialize())
  if (!answer?.result) throw new Error(`initialize: ${JSON.stringify(answer)}`)
  opened.say(initialized)
  if (opening.stream) await opened.listen?.()
  return opened
}

export const call = (opened: Opened, id: unknown, tool = 'work'): Promise<Json> =>
  opened.ask(toolCall(id, tool))

async function overHttp({ url, key, name }: Opening): Promise<Opened> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  let session: string | undefined
  const headersOf = () => ({
    ...json,
    authorization: `Bearer ${key}`,
    ...(session !== undefined && { 'mcp-session-id': session }),
  })
  const post = (method: string, message?: object): Promise<{ status: number; messages: Json[] }> =>
    new Promise((done, fail) => {
      const sent = httpRequest(`${url}/mcp/${name}`, { method, agent, headers: headersOf() }, (response) => {
        session ??= response.headers['mcp-session-id'] as string | undefined
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('error', fail)
        response.on('end', () => {
          const isStream = response.headers['content-type']?.startsWith('text/event-stream')
          const parts = isStream ? [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data ?? '') : [text]
          const messages: Json[] = parts.filter((part) => part !== '').map((part) => JSON.parse(part))
          done({ status: response.statusCode ?? 0, messages })
        })
      })
      sent.on('error', fail).end(message && JSON.stringify(message))
    })
  return {
    ask: async (message) => {
      const { messages } = await post('POST', message)
      return messages.find(({ id, method }) => id === message.id && method === undefined) ?? messages[0]
    },
    say: (message) => void post('POST', message).catch(() => {}),
    listen: () => {
      const sent = httpRequest(`${url}/mcp/${name}`, { agent, headers: headersOf() })
      const begun = new Promise<void>((done, fail) => {
        sent.once('error', fail)
        sent.once('response', (response) => {
          response.on('error', () => {}).resume()
          if (response.statusCode === 200) done()
          else fail(new Error(`the stream: ${response.statusCode}`))
        })
      })
      sent.on('error', () => {}).end()
      return begun
    },
    over: async () => (await post('POST', { jsonrpc: '2.0', method: 'notifications/none' })).status === 404,
    vanish: () => agent.destroy(),
    leave: async () => {
      await post('DELETE')
      agent.destroy()
    },
    stopReading: () =>
      Object.values(agent.sockets)
        .flat()
        .forEach((socket) => socket?.pause()),
  }
}

async function overSse({ url, key, name }: Opening): Promise<Opened> {
  const raw = await openSse(url, `/mcp/${name}/sse`, { authorization: `Bearer ${key}` })
  return {
    ask: async (message) => {
      const { status, json: refused } = await raw.say(message)
      return status < 300 ? raw.answer(message.id) : refused
    },
    say: (message) => void raw.say(message).catch(() => {}),
    over: () => raw.closed(),
    vanish: () => raw.cut(),
    leave: () => Promise.resolve(raw.head.destroy()),
    stopReading: () => raw.pause(),
  }
}

async function overWebSocket({ url, key, name }: Opening): Promise<Opened> {
  const raw = await openWebSocket(url, `/mcp/${name}/ws`, { headers: { authorization: `Bearer ${key}` } })
  return {
    ask: async (message) => {
      await raw.say(message)
      return raw.answer(message.id)
    },
    say: (message) => void raw.say(message),
    over: () => raw.closed(),
    vanish: () => raw.cut(),
    leave: () => Promise.resolve(raw.socket.close()),
    stopReading: () => raw.socket.pause(),
  }
}

/** The process that desktop clients start. */
async function overStdio({ url, key, name }: Opening): Promise<Opened> {
  const child = spawn(process.execPath, [cli, 'connect', name, '--url', url, '--key', key], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, XDG_CONFIG_HOME: '/nonexistent' },
  })
  onEnd(() => child.kill('SIGKILL'))
  let talk = ''
  let exited = false
  const exit = new Promise<void>((done) =>
    child.once('close', () => {
      exited = true
      done()
    }),
  )
  child.stderr.on('data', (chunk: Buffer) => (talk = (talk + chunk.toString()).slice(-2000)))
  child.stdin.on('error', () => {})
  const heard: Json[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    // A process that was killed may have ended in the middle of a line.
    if (line.endsWith('}') || !child.killed) heard.push(JSON.parse(line))
  })
  const say = (message: object): void => void child.stdin.write(`${JSON.stringify(message)}\n`)
  return {
    ask: async (message) => {
      say(message)
      const find = (): Json => heard.find(({ id, method }) => id === message.id && method === undefined)
      await until(() => find() !== undefined || exited, `answer ${String(message.id)}`, 20_000)
      if (!find()) throw new Error(`the client ended: ${talk}`)
      return find()
    },
    say,
    over: () => exited,
    vanish: () => void child.kill('SIGKILL'),
    leave: () => {
      child.stdin.end()
      return exit
    },
    stopReading: () => void child.kill('SIGSTOP'),
  }
}

const openers = {
  'streamable-http': overHttp,
  sse: overSse,
  websocket: overWebSocket,
  stdio: overStdio,
} satisfies Record<ClientTransport, (opening: Opening) => Promise<Opened>>
