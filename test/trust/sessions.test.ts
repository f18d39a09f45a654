// Sessions and in-flight calls of many clients at once: nobody guesses, fixes, meets or answers what is another's.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiCaller } from '../harness/gateway.ts'
import type { Exchange, StubMessage } from '../upstreams/recorder.ts'
import { answer } from '../upstreams/replies.ts'
import {
  eras,
  messagesOf,
  startBench,
  toolCall,
  type Bench,
  type Era,
  type McpClient,
  type Message,
} from './bench.ts'
import { until } from '../harness/until.ts'

let bench: Bench
beforeAll(async () => {
  bench = await startBench({
    env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath, TOLLBRIDGE_SESSIONS_MAX_PER_PRINCIPAL: '5000' },
  })
  const file = join(bench.gateway.data, 'echo.cjs')
  writeFileSync(file, echoServer)
  await bench.gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'echo',
    access: 'authenticated',
    transport: { type: 'stdio', command: process.execPath, args: [file] },
  })
})
afterAll(() => bench.stop())

/** Answers with its arguments, a little later and not in order. */
const echoServer = `
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  if (method === 'initialize')
    return say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } } })
  setTimeout(() => say({ id, result: { content: [{ type: 'text', text: JSON.stringify(params.arguments) }] } }), Math.random() * 5)
})
`

const textOf = (json: { result?: { content?: { text?: string }[] } }): string =>
  json.result?.content?.[0]?.text ?? ''

describe('the id of a session', () => {
  const wanted = 2500
  const ids: string[] = []
  beforeAll(async () => {
    let left = wanted
    const open = async (): Promise<void> => {
      while (left-- > 0) {
        const client = bench.client(bench.a)
        await client.open()
        if (client.session !== undefined) ids.push(client.session)
      }
    }
    await Promise.all(Array.from({ length: 24 }, open))
  }, 60_000)

  test('is unique, visible ASCII, and has well over 100 random bits', () => {
    expect(ids.length).toBe(wanted)
    expect(new Set(ids).size).toBe(wanted)
    for (const id of ids) expect(id).toMatch(/^[\x21-\x7E]{22,128}$/)
    const [first = ''] = ids
    expect(new Set(ids.map((id) => id.length)).size).toBe(1)
    const bits = Array.from(first, (_, place) => entropy(ids.map((id) => id[place] ?? '')))
    expect(bits.reduce((sum, each) => sum + each, 0)).toBeGreaterThan(150)
    // No common prefix, and no place that counts up.
    expect(bits[0]).toBeGreaterThan(5)
    expect(Math.min(...bits.slice(0, 20))).toBeGreaterThan(5)
  })

  test('is picked by the gateway, whatever the client sends', async () => {
    const client = bench.client(bench.a)
    for (const chosen of ['x', 'a'.repeat(32), ids[0] ?? '']) {
      const opened = await client.open({ 'mcp-session-id': chosen })
      expect(opened.status).toBe(200)
      expect(client.session).not.toBe(chosen)
      expect(ids).not.toContain(client.session)
    }
    const fixed = bench.client(bench.b)
    fixed.session = 'x'
    expect((await fixed.ask('legacy', toolCall('work'))).status).toBe(404)
  })

  test("is not the server's own, which stays inside", async () => {
    const client = bench.client(bench.a)
    const before = new Set(bench.upstream.sessions)
    await client.open()
    const own = [...bench.upstream.sessions].find((id) => !before.has(id)) ?? ''
    expect(own).not.toBe('')
    expect(client.session).not.toBe(own)
    const thief = bench.client(bench.a)
    thief.session = own
    const hits = await bench.hitsDuring(async () =>
      expect((await thief.ask('legacy', toolCall('work'))).status).toBe(404),
    )
    expect(hits).toEqual([])
    const [hit] = await bench.hitsDuring(() => client.ask('legacy', toolCall('work')))
    expect(hit?.headers['mcp-session-id']).toBe(own)
  })

  test('on a modern request is ignored, not sent on and not echoed', async () => {
    for (const session of ['x', ids[0] ?? '']) {
      const [hit] = await bench.hitsDuring(async () => {
        const { status, headers } = await bench
          .client(bench.b)
          .ask('modern', toolCall('work'), { 'mcp-session-id': session })
        expect([status, headers['mcp-session-id']]).toEqual([200, undefined])
      })
      expect(hit?.headers['mcp-session-id']).toBeUndefined()
    }
  })
})

/** Bits by the frequencies of values. */
function entropy(values: readonly string[]): number {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts.values()].reduce(
    (bits, count) => bits - (count / values.length) * Math.log2(count / values.length),
    0,
  )
}

describe('equal ids of many clients', () => {
  async function crowd(
    era: Era,
    server: string,
    { clients, rounds }: { clients: number; rounds: number },
  ): Promise<number> {
    let answered = 0
    await Promise.all(
      Array.from({ length: clients }, async (_, number) => {
        const client = bench.client(number % 2 ? bench.a : bench.b, server)
        for (let round = 0; round < rounds; round++) {
          const id = round % 2 ? 1 : '1'
          const args = { client: number, round }
          const { json } = await client.ask(era, { id, ...toolCall('work', args) })
          expect([json.id, textOf(json)]).toEqual([id, expect.stringContaining(JSON.stringify(args))])
          answered++
        }
      }),
    )
    return answered
  }

  test.each(eras)(
    'over one pooled server never meet in the %s era, and keep their type',
    async (era) => {
      expect(await crowd(era, 'stub', { clients: 200, rounds: 25 })).toBe(5000)
    },
    60_000,
  )

  test('over processes of one server never meet', async () => {
    expect(await crowd('legacy', 'echo', { clients: 6, rounds: 50 })).toBe(300)
  })

  test('in one session keep their type: 1 and "1" are two calls', async () => {
    const client = bench.client(bench.a, 'echo')
    await client.open()
    const answers = await Promise.all(
      ([1, '1', 2, '2'] as const).map(async (id) => {
        const { json } = await client.ask('legacy', { id, ...toolCall('work', { id }) })
        return [json.id, JSON.parse(textOf(json)).id]
      }),
    )
    expect(answers).toEqual([
      [1, 1],
      ['1', '1'],
      [2, 2],
      ['2', '2'],
    ])
  })

  test('that a server answers with another type or id are not handed to anybody as an answer', async () => {
    for (const [asked, answered] of [
      [1, '1'],
      ['1', 1],
      [1, 2],
    ] as const) {
      bench.upstream.once(({ response, hit }) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const result = {
          content: [{ type: 'text', text: 'not yours' }],
          ...(hit.era === 'modern' && { resultType: 'complete' }),
        }
        response.end(JSON.stringify({ jsonrpc: '2.0', id: answered, result }))
      })
      const { json, text } = await bench.client(bench.a).ask('modern', { id: asked, ...toolCall('work') })
      expect(json.id).toBe(asked)
      expect(text).not.toContain('not yours')
    }
  })
})

const argumentsOf = (message: StubMessage): { who?: string } => message.params?.['arguments'] ?? {}

/** A call whose progress names its caller, and that waits until `release` before it ends. */
function progressing(release: Promise<unknown>): (exchange: Exchange) => Promise<void> {
  return async ({ hit, message, response }) => {
    const { who } = argumentsOf(message)
    const progressToken = message.params?._meta?.['progressToken']
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const say = (body: object) => response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...body })}\n\n`)
    for (let progress = 1; progress <= 3; progress++)
      say({ method: 'notifications/progress', params: { progressToken, progress, message: who } })
    await release
    const result = {
      content: [{ type: 'text', text: who }],
      ...(hit.era === 'modern' && { resultType: 'complete' }),
    }
    say({ id: message.id, result })
    response.end()
  }
}

test.each(eras)(
  'equal progress tokens of %s calls at once bring each caller its own progress',
  async (era) => {
    const { promise: release, resolve } = Promise.withResolvers<void>()
    bench.upstream.on('tools/call', progressing(release))
    const before = bench.upstream.calls().length
    const asked = [bench.a, bench.b, bench.a].map((caller, index) =>
      bench.client(caller).ask(era, toolCall('work', { who: `caller-${index}` }, { progressToken: 1 })),
    )
    await bench.upstream.until((recorder) => recorder.calls().length === before + 3)
    resolve()
    for (const [index, { text }] of (await Promise.all(asked)).entries()) {
      const messages = messagesOf(text)
      const progress = messages.filter(({ method }) => method === 'notifications/progress')
      expect(progress.map(({ params }) => [params.progressToken, params.progress, params.message])).toEqual(
        [1, 2, 3].map((step) => [1, step, `caller-${index}`]),
      )
      expect(textOf(messages.at(-1))).toBe(`caller-${index}`)
    }
    bench.upstream.on('tools/call', answer())
  },
)

describe("a server's question in the middle of a call", () => {
  const question = 'ask-1'
  /** Asks under one id in every session, and answers the call with what this session's client says. */
  const asks = async ({ hit, message, response, recorder }: Exchange): Promise<void> => {
    const session = hit.headers['mcp-session-id']
    const given = (): StubMessage | undefined =>
      recorder.hits.find(
        ({ headers, message: said }) =>
          headers['mcp-session-id'] === session && said?.id === question && said.method === undefined,
      )?.message
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const params = { mode: 'form', message: 'Who?', requestedSchema: { type: 'object', properties: {} } }
    response.write(
      `data: ${JSON.stringify({ jsonrpc: '2.0', id: question, method: 'elicitation/create', params })}\n\n`,
    )
    await recorder.until(() => given() !== undefined)
    const text = JSON.stringify(given()?.result)
    response.end(
      `data: ${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content: [{ type: 'text', text }] } })}\n\n`,
    )
  }
  const accept = (name: string): object => ({
    jsonrpc: '2.0',
    id: question,
    result: { action: 'accept', content: { name } },
  })

  async function startCall(caller: ApiCaller): Promise<{ client: McpClient; answered: Promise<string> }> {
    const client = bench.client(caller)
    await client.open()
    const before = bench.upstream.calls().length
    const answered = client.ask('legacy', toolCall('work')).then(({ json }) => textOf(json))
    await bench.upstream.until((recorder) => recorder.calls().length > before)
    return { client, answered }
  }

  test("is answered by the caller alone; another's answer with that id reaches neither the call nor its server session", async () => {
    bench.upstream.on('tools/call', asks)
    const asked = await startCall(bench.a)
    const other = bench.client(bench.b)
    await other.open()
    const own = bench.upstream.hits.at(-1)?.headers['mcp-session-id']
    let settled = false
    void asked.answered.then(() => (settled = true))
    const thief = bench.client(bench.b)
    thief.session = asked.client.session
    const stolen = await bench.hitsDuring(async () => {
      expect((await thief.post(accept('thief'), thief.legacyHeaders())).status).toBe(404)
    })
    expect(stolen).toEqual([])
    const [hit] = await bench.hitsDuring(() => other.post(accept('stranger'), other.legacyHeaders()))
    const callSession = bench.upstream.calls().at(-1)?.headers['mcp-session-id']
    expect(hit?.headers['mcp-session-id'] ?? own).not.toBe(callSession)
    expect(settled).toBe(false)
    expect((await asked.client.post(accept('owner'), asked.client.legacyHeaders())).status).toBe(202)
    expect(await asked.answered).toContain('owner')
  })

  test('under one id in two sessions gets each its own answer', async () => {
    bench.upstream.on('tools/call', asks)
    const [first, second] = [await startCall(bench.a), await startCall(bench.b)]
    await second.client.post(accept('second'), second.client.legacyHeaders())
    await first.client.post(accept('first'), first.client.legacyHeaders())
    expect([await first.answered, await second.answered]).toEqual([
      expect.stringContaining('first'),
      expect.stringContaining('second'),
    ])
    bench.upstream.on('tools/call', answer())
  })

  test('in the modern era comes back on the answer itself, to the caller that asked', async () => {
    bench.upstream.on('tools/call', (exchange) => {
      const { who = '' } = argumentsOf(exchange.message)
      const inputRequests = { q: { method: 'elicitation/create', params: { mode: 'form', message: who } } }
      return answer({ resultType: 'input_required', inputRequests, requestState: `state-${who}` })(exchange)
    })
    const callers = [bench.a, bench.b, bench.a, bench.b]
    const answers = await Promise.all(
      callers.map((caller, index) =>
        bench.client(caller).ask('modern', toolCall('work', { who: `w${index}` }) satisfies Message),
      ),
    )
    for (const [index, { json }] of answers.entries()) {
      expect(json.result.inputRequests.q.params.message).toBe(`w${index}`)
      expect(json.result.requestState).toBe(`state-w${index}`)
    }
    bench.upstream.on('tools/call', answer())
  })

  test("is not cancelled by another's cancellation", async () => {
    bench.upstream.on('tools/call', asks)
    const asked = await startCall(bench.a)
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }
    for (const caller of [bench.b, bench.a]) {
      const other = bench.client(caller)
      await other.open()
      await until(
        async () => (await other.post(cancel, other.legacyHeaders())).status < 300,
        'the cancellation is taken',
      )
    }
    await asked.client.post(accept('still here'), asked.client.legacyHeaders())
    expect(await asked.answered).toContain('still here')
    bench.upstream.on('tools/call', answer())
  })
})
