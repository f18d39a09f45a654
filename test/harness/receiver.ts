// A receiver of webhooks on a real socket: keeps what came, and answers as it is told.
import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly id: string
  // Tests read whatever shape they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

export type Respond = (received: Received, response: ServerResponse) => void

export const accept: Respond = (_received, response) => void response.writeHead(204).end()
export const answerWith =
  (status: number, body = ''): Respond =>
  (_received, response) =>
    void response.writeHead(status).end(body)

export async function startReceiver(respond: Respond = accept) {
  const received: Received[] = []
  const script = { respond }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const { headers, url: path = '' } = request
      const one = { path, headers, body, id: String(headers['webhook-id']), json: parse(body) }
      received.push(one)
      script.respond(one, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    script,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>

/** Standard Webhooks 1.0, by the book: which of these secrets signed, of those in the header. */
export function signersOf({ headers, body, id }: Received, secrets: readonly string[]): string[] {
  const given = String(headers['webhook-signature']).split(' ')
  return secrets.filter((secret) => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
    const signed = `${id}.${String(headers['webhook-timestamp'])}.${body}`
    return given.includes(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
