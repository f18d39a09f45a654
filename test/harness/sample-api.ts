// A small API over a real socket, with a route for every kind of answer, for the framework's tests.
import { clientAddresses } from '../../src/http/client-address.ts'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { z } from 'zod'
import { GatewayError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import type { IdempotencyStore, Reservation, StoredAnswer } from '../../src/idempotency/reservation.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { createApi, type Api, type ApiOptions } from '../../src/http/api/api.ts'
import { memoryAudit } from './audit.ts'
import { makePage, pageOf, pageQuery, decodeCursor } from '../../src/http/api/page.ts'
import { Answer, defineRoute, type Route } from '../../src/http/api/route.ts'

const alice: Principal = {
  userId: 'usr_alice',
  username: 'alice',
  roles: ['member'],
  accountId: 'acc_a',
  via: 'token',
}

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  requestId: string
  errors?: { field: string; message: string }[]
}

export class MemoryKeys implements IdempotencyStore {
  readonly rows = new Map<string, { fingerprint: string; answer?: StoredAnswer }>()

  reserve({ scope, key, fingerprint }: Parameters<IdempotencyStore['reserve']>[0]): Promise<Reservation> {
    const row = this.rows.get(`${scope}/${key}`)
    const print = Buffer.from(fingerprint).toString('hex')
    if (!row) this.rows.set(`${scope}/${key}`, { fingerprint: print })
    if (!row) return Promise.resolve({ state: 'new' })
    if (row.fingerprint !== print) return Promise.resolve({ state: 'mismatch' })
    return Promise.resolve(row.answer ? { state: 'stored', answer: row.answer } : { state: 'in-flight' })
  }

  complete({ scope, key }: Parameters<IdempotencyStore['complete']>[0], answer: StoredAnswer): Promise<void> {
    const row = this.rows.get(`${scope}/${key}`)
    if (row) row.answer = answer
    return Promise.resolve()
  }

  release({ scope, key }: Parameters<IdempotencyStore['release']>[0]): Promise<void> {
    this.rows.delete(`${scope}/${key}`)
    return Promise.resolve()
  }
}

interface Counts {
  executions: number
  streamEnded: boolean
}

const widget = z.strictObject({ id: z.string(), name: z.string() })

function sampleRoutes(counts: Counts): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/widgets',
      aliases: ['/widgets'],
      summary: 'Makes a widget',
      permission: 'keys:manage',
      body: z.strictObject({
        name: z.string().min(2),
        size: z.int().min(1).optional(),
        shape: z
          .discriminatedUnion('type', [
            z.strictObject({ type: z.literal('round'), radius: z.string() }),
            z.strictObject({ type: z.literal('flat') }),
          ])
          .optional(),
      }),
      response: widget,
      status: 201,
      handler: async ({ body, setHeader }) => {
        counts.executions++
        await new Promise((resolve) => setTimeout(resolve, 30))
        if (body.name === 'broke')
          throw new GatewayError('balance_exhausted', { data: { balance: '0' }, retryAfterS: 7 })
        if (body.name === 'crash') throw new Error('select secret from /etc/passwd')
        setHeader('Location', '/api/v1/widgets/1')
        return { id: `w${counts.executions}`, name: body.name }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/widgets',
      summary: 'Lists widgets',
      permission: 'signed-in',
      query: z.strictObject({ ...pageQuery }),
      response: pageOf(widget),
      handler: ({ query }) => {
        const [after = -1] = decodeCursor(query.cursor, 1) ?? []
        const rows = [0, 1, 2, 3, 4].filter((n) => n > Number(after)).slice(0, query.limit + 1)
        return makePage(rows, query.limit, {
          positionOf: (n) => [n],
          show: (n) => ({ id: `w${n}`, name: `n${n}` }),
        })
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/v1/widgets/{id}',
      summary: 'Deletes a widget',
      permission: 'users:manage',
      handler: () => undefined,
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/liar',
      summary: 'Answers something else than it says',
      permission: 'public',
      response: widget,
      handler: () => ({ id: 'x', name: 'y', extra: 1 }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/ticks',
      summary: 'Ticks until nobody listens',
      permission: 'public',
      contentType: 'text/event-stream',
      handler: ({ signal }) => new Answer('text/event-stream', ticks(signal, counts)),
    }),
  ]
}

async function* ticks(signal: AbortSignal, counts: Counts): AsyncGenerator<string> {
  try {
    for (let n = 0; !signal.aborted; n++) {
      yield `data: ${n}\n\n`
      await new Promise((resolve) => {
        setTimeout(resolve, 10)
      })
    }
  } finally {
    counts.streamEnded = true
  }
}

export interface SampleApi {
  readonly api: Api
  readonly base: string
  readonly keys: MemoryKeys
  /** What the routes have noticed. */
  readonly counts: Counts
  post(body: unknown, headers?: Record<string, string>): Promise<Response>
  stop(): Promise<void>
}

export const good = { authorization: 'Bearer good' }
export const json = { 'content-type': 'application/json' }

/** Listens on any port of loopback; `Bearer good` is a member called alice. */
export async function startSampleApi(options: Partial<ApiOptions> = {}): Promise<SampleApi> {
  const keys = new MemoryKeys()
  const counts = { executions: 0, streamEnded: false }
  const api = await createApi({
    clientAddress: clientAddresses([]),
    routes: sampleRoutes(counts),
    log: silentLog,
    maxBodyBytes: 1000,
    maxDepth: 8,
    authenticate: ({ headers }) =>
      headers.authorization === 'Bearer good' || headers['x-api-key'] === 'good' ? alice : undefined,
    authenticateBrowser: () => undefined,
    publicUrl: () => 'http://gateway.test',
    idempotency: keys,
    audit: memoryAudit(),
    checkAnswers: true,
    ...options,
  })
  const server = createServer(api.handle)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    api,
    base,
    keys,
    counts,
    post: (body, headers = {}) =>
      fetch(`${base}/api/v1/widgets`, {
        method: 'POST',
        headers: { ...good, ...json, ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await api.close()
    },
  }
}

/** The problem in an answer, which must be one by its media type. */
export async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  return (await response.json()) as Problem
}
