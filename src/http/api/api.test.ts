// The API framework over real sockets: every refusal, the shape of problems, idempotency and streams.
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { GatewayError } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import type { IdempotencyStore, Reservation, StoredAnswer } from '../../idempotency/reservation.ts'
import type { Principal } from '../../identity/principal.ts'
import { createApi, type Api, type ApiOptions } from './api.ts'
import { makePage, pageOf, pageQuery, decodeCursor } from './page.ts'
import { Answer, defineRoute, type Route } from './route.ts'

const alice: Principal = {
  userId: 'usr_alice',
  username: 'alice',
  roles: ['member'],
  accountId: 'acc_a',
  via: 'token',
}

interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  requestId: string
  errors?: { field: string; message: string }[]
}

class MemoryKeys implements IdempotencyStore {
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

let executions = 0
let streamEnded = false
const widget = z.strictObject({ id: z.string(), name: z.string() })

function sampleRoutes(): Route[] {
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
        executions++
        await new Promise((resolve) => setTimeout(resolve, 30))
        if (body.name === 'broke')
          throw new GatewayError('balance_exhausted', { data: { balance: '0' }, retryAfterS: 7 })
        if (body.name === 'crash') throw new Error('select secret from /etc/passwd')
        setHeader('Location', '/api/v1/widgets/1')
        return { id: `w${executions}`, name: body.name }
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
      handler: ({ signal }) => new Answer('text/event-stream', ticks(signal)),
    }),
  ]
}

async function* ticks(signal: AbortSignal): AsyncGenerator<string> {
  try {
    for (let n = 0; !signal.aborted; n++) {
      yield `data: ${n}\n\n`
      await new Promise((resolve) => {
        setTimeout(resolve, 10)
      })
    }
  } finally {
    streamEnded = true
  }
}

let api: Api
let keys: MemoryKeys
let base: string
let stop: () => Promise<void>

async function start(options: Partial<ApiOptions> = {}): Promise<void> {
  keys = new MemoryKeys()
  api = await createApi({
    routes: sampleRoutes(),
    log: silentLog,
    maxBodyBytes: 1000,
    maxDepth: 8,
    authenticate: ({ headers }) =>
      headers.authorization === 'Bearer good' || headers['x-api-key'] === 'good' ? alice : undefined,
    idempotency: keys,
    checkAnswers: true,
    ...options,
  })
  const server = createServer(api.handle)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await api.close()
  }
}

beforeEach(async () => {
  executions = 0
  streamEnded = false
  await start()
})
afterEach(() => stop())

const good = { authorization: 'Bearer good' }
const json = { 'content-type': 'application/json' }
const post = (body: unknown, headers: Record<string, string> = {}, path = '/api/v1/widgets') =>
  fetch(base + path, {
    method: 'POST',
    headers: { ...good, ...json, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const problemOf = async (response: Response): Promise<Problem> => {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  return (await response.json()) as Problem
}

describe('an accepted request', () => {
  test('is answered with the documented status, its headers, and a request id', async () => {
    const response = await post({ name: 'ab' })
    expect(response.status).toBe(201)
    expect(await response.json()).toEqual({ id: 'w1', name: 'ab' })
    expect(response.headers.get('location')).toBe('/api/v1/widgets/1')
    expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{26}$/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('may come by the alias and with X-API-Key', async () => {
    const response = await fetch(`${base}/widgets`, {
      method: 'POST',
      headers: { ...json, 'x-api-key': 'good' },
      body: '{"name":"ab"}',
    })
    expect(response.status).toBe(201)
  })

  test('pages through a list with the cursor of the page before', async () => {
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const response: Response = await fetch(
        `${base}/api/v1/widgets?limit=2${cursor && `&cursor=${cursor}`}`,
        {
          headers: good,
        },
      )
      const page = (await response.json()) as { items: { id: string }[]; nextCursor: string | null }
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    }
    expect(seen).toEqual(['w0', 'w1', 'w2', 'w3', 'w4'])
  })

  test('with HEAD gets the head of GET, and OPTIONS tells the methods', async () => {
    const head = await fetch(`${base}/api/v1/widgets`, { method: 'HEAD', headers: good })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const options = await fetch(`${base}/api/v1/widgets`, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, POST, OPTIONS'])
  })
})

describe('a body that is not what the schema wants', () => {
  test.each([
    ['an unknown field', { name: 'ab', nmae: 'x' }, '/nmae', 'unknown field'],
    [
      'an unknown field deep down',
      { name: 'ab', shape: { type: 'flat', 'a/b': 1 } },
      '/shape/a~1b',
      'unknown field',
    ],
    ['__proto__', '{"name":"ab","__proto__":{"admin":true}}', '/__proto__', 'unknown field'],
    ['a missing field', {}, '/name', 'required'],
    ['a wrong type', { name: 7 }, '/name', 'invalid input: expected string, received number'],
    ['no body', '', '', 'required'],
  ])('is refused with the place: %s', async (_name, body, field, message) => {
    const response = await post(body)
    expect(response.status).toBe(400)
    const problem = await problemOf(response)
    expect(problem).toMatchObject({ code: 'validation_failed', status: 400, title: 'Validation failed' })
    expect(problem.type).toBe('/docs#error-validation_failed')
    expect(problem.requestId).toBe(response.headers.get('x-request-id'))
    expect(problem.errors).toEqual([{ field, message }])
    expect(executions).toBe(0)
  })

  test('names all faults at once', async () => {
    const problem = await problemOf(await post({ name: 'a', size: 0, x: 1, y: 2 }))
    expect(problem.errors?.map(({ field }) => field).toSorted()).toEqual(['/name', '/size', '/x', '/y'])
  })

  test.each([
    ['not JSON', '{"name":', 'invalid_request'],
    ['too deep', `{"name":${'['.repeat(9)}${']'.repeat(9)}}`, 'invalid_request'],
  ])('is refused: %s', async (_name, body, code) => {
    const response = await post(body)
    expect(response.status).toBe(400)
    expect((await problemOf(response)).code).toBe(code)
  })

  test('is refused where a query parameter is unknown, out of range or no cursor', async () => {
    for (const [query, field] of [
      ['ofset=3', 'ofset'],
      ['limit=101', 'limit'],
      ['limit=0', 'limit'],
      ['cursor=abc', 'cursor'],
      ['limit=1&limit=2', 'limit'],
    ]) {
      const response = await fetch(`${base}/api/v1/widgets?${query}`, { headers: good })
      expect(response.status, query).toBe(400)
      expect((await problemOf(response)).errors?.map((error) => error.field)).toEqual([field])
    }
  })

  test('is refused as bytes that are not UTF-8', async () => {
    const response = await fetch(`${base}/api/v1/widgets`, {
      method: 'POST',
      headers: { ...good, ...json },
      body: new Uint8Array([0x22, 0xff, 0x22]),
    })
    expect(response.status).toBe(400)
  })
})

describe('refusals', () => {
  test('401 challenges without an error code where nothing was sent, with one where the credential is wrong', async () => {
    const none = await fetch(`${base}/api/v1/widgets`)
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="tollbridge"'])
    const wrong = await fetch(`${base}/api/v1/widgets`, { headers: { authorization: 'Bearer bad' } })
    expect(wrong.status).toBe(401)
    expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect((await problemOf(wrong)).code).toBe('unauthorized')
  })

  test('401 comes before the body is looked at', async () => {
    const response = await post('x'.repeat(5000), { authorization: 'Bearer bad' })
    expect(response.status).toBe(401)
  })

  test('403 where the policy does not grant the permission', async () => {
    const response = await fetch(`${base}/api/v1/widgets/1`, { method: 'DELETE', headers: good })
    expect([response.status, (await problemOf(response)).code]).toEqual([403, 'forbidden'])
  })

  test.each([
    '/api/v1/nothing',
    '//api/v1/widgets',
    '/api/v1/widgets/',
    '/api/v1/widgets/?x',
    '/API/v1/widgets',
    '/api/v1/./widgets;x',
    '/api%2fv1/widgets',
  ])('404 for %s', async (path) => {
    const status = await new Promise((resolve, reject) => {
      httpRequest(base, { path, headers: { 'x-http-method-override': 'GET' } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .once('error', reject)
        .end()
    })
    expect(status).toBe(404)
  })

  test('400 for a path that cannot be decoded', async () => {
    const response = await fetch(`${base}/api/v1/widgets/%zz`, { headers: good })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).requestId).toMatch(/^req_/)
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
  })

  test('405 names what is allowed, even with a body that nobody would read', async () => {
    const response = await fetch(`${base}/api/v1/widgets`, {
      method: 'PUT',
      headers: { 'content-type': 'text/x' },
      body: 'x',
    })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, OPTIONS'])
    expect((await problemOf(response)).code).toBe('method_not_allowed')
  })

  test('413 for a body over the limit', async () => {
    const response = await post({ name: 'x'.repeat(2000) })
    expect([response.status, (await problemOf(response)).code]).toEqual([413, 'payload_too_large'])
  })

  test.each([
    ['text', { 'content-type': 'text/plain' }],
    ['compressed JSON', { 'content-encoding': 'gzip' }],
  ])('415 for %s', async (_name, headers) => {
    const response = await post('{"name":"ab"}', headers)
    expect([response.status, (await problemOf(response)).code]).toEqual([415, 'unsupported_media_type'])
  })

  test('402 carries its data and Retry-After', async () => {
    const response = await post({ name: 'broke' })
    expect([response.status, response.headers.get('retry-after')]).toEqual([402, '7'])
    expect(await problemOf(response)).toMatchObject({ code: 'balance_exhausted', balance: '0' })
  })

  test('500 shows nothing of what happened', async () => {
    const response = await post({ name: 'crash' })
    expect(response.status).toBe(500)
    expect(JSON.stringify(await problemOf(response))).not.toMatch(/select|passwd|Error|\.ts/)
  })

  test('an answer that is not as documented fails where answers are checked', async () => {
    expect((await fetch(`${base}/api/v1/liar`)).status).toBe(500)
  })
})

describe('an idempotency key', () => {
  test('runs 20 parallel requests once and gives all of them the same answer', async () => {
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => post({ name: 'ab' }, { 'idempotency-key': 'k1' })),
    )
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201))
    const bodies = await Promise.all(responses.map((response) => response.text()))
    expect(new Set(bodies).size).toBe(1)
    expect(executions).toBe(1)
  })

  test('gives the stored answer with its headers later, marked as a repetition', async () => {
    await post({ name: 'ab' }, { 'idempotency-key': 'k2' })
    const again = await post({ name: 'ab' }, { 'idempotency-key': 'k2' })
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(again.headers.get('location')).toBe('/api/v1/widgets/1')
    expect(executions).toBe(1)
  })

  test('with another body is a conflict, running or finished', async () => {
    const [first, second] = await Promise.all([
      post({ name: 'ab' }, { 'idempotency-key': 'k3' }),
      post({ name: 'cd' }, { 'idempotency-key': 'k3' }),
    ])
    expect(new Set([first.status, second.status])).toEqual(new Set([201, 409]))
    const third = await post({ name: 'ef' }, { 'idempotency-key': 'k3' })
    expect([third.status, (await problemOf(third)).code]).toEqual([409, 'idempotency_conflict'])
    expect(executions).toBe(1)
  })

  test('is free again after a refusal', async () => {
    expect((await post({ name: 'broke' }, { 'idempotency-key': 'k4' })).status).toBe(402)
    expect((await post({ name: 'ab' }, { 'idempotency-key': 'k4' })).status).toBe(201)
  })

  test('whose first request never ended is answered as unknown and not run again', async () => {
    await post({ name: 'ab' }, { 'idempotency-key': 'k5' })
    delete keys.rows.get('usr_alice/k5')?.answer
    const response = await post({ name: 'ab' }, { 'idempotency-key': 'k5' })
    expect([response.status, (await problemOf(response)).code]).toEqual([409, 'idempotency_unknown'])
    expect(executions).toBe(1)
  })

  test('that is not printable or too long is refused', async () => {
    expect((await post({ name: 'ab' }, { 'idempotency-key': 'x'.repeat(256) })).status).toBe(400)
    expect((await post({ name: 'ab' }, { 'idempotency-key': 'a b' })).status).toBe(400)
    expect(executions).toBe(0)
  })
})

describe('a streamed answer', () => {
  test('arrives as it is made, and ends when its client goes', async () => {
    const response = await fetch(`${base}/api/v1/ticks`)
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    const reader = response.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value as Uint8Array)).toMatch(/^data: 0/)
    await reader?.cancel()
    await expect.poll(() => streamEnded, { timeout: 3000 }).toBe(true)
  })

  test('ends when the gateway ends its streams', async () => {
    const response = await fetch(`${base}/api/v1/ticks`)
    setTimeout(() => api.endStreams(), 30)
    expect(await response.text()).toMatch(/^data: 0/)
  })
})

describe('cross-origin headers', () => {
  test('go to the configured origins only', async () => {
    await stop()
    await start({ allowedOrigins: ['https://app.example'] })
    const preflight = (origin: string) =>
      fetch(`${base}/api/v1/widgets`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      })
    const ours = await preflight('https://app.example')
    expect(ours.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(ours.headers.get('access-control-allow-methods')).toContain('POST')
    const theirs = await preflight('https://evil.example')
    expect(theirs.headers.get('access-control-allow-origin')).toBeNull()
    expect(theirs.headers.get('access-control-allow-methods')).toBeNull()
  })
})
