// Guarantees of an aggregate: its lists survive slow and broken members, and a call reaches the member that it names.
import { specTypeSchemas } from '@modelcontextprotocol/client'
import { describe, expect, test } from 'vitest'
import { Bench, down, methodNotFound, tool, withTools, type Json } from '../harness/aggregate.ts'
import { Heard, modernRequest, sendTo, type Script } from '../harness/modern-calls.ts'
import { until } from '../harness/until.ts'

const namesOf = (result: Json, list = 'tools', key = 'name'): string[] =>
  result[list].map((item: Record<string, string>) => item[key])
const missingOf = (result: Json): string[] =>
  (result['_meta']['tollbridge/missing'] ?? []).map(({ server }: { server: string }) => server)
/** Whether the official SDK takes it for such a result. */
const valid = (type: 'DiscoverResult' | 'ListToolsResult', result: Json): boolean => {
  const outcome = specTypeSchemas[type]['~standard'].validate(result)
  return !(outcome instanceof Promise) && outcome.issues === undefined
}
const silence: Script = () => undefined
const broken: Script = () => ({ error: { code: -32603, message: 'secret detail' } })

describe('a list', () => {
  test('has the members in the order of their names, each in its own order, under names of the aggregate', async () => {
    const bench = new Bench()
    bench.add('zoo', withTools('b', 'a'))
    bench.add('art', withTools('x__y', 'x'), { view: { exclude: ['x'], rename: {} } })
    bench.add('map', withTools('find', 'admin_drop'), {
      view: { exclude: ['admin_*'], rename: { find: 'look_up' } },
    })
    const result = await bench.result('tools/list')
    expect(namesOf(result)).toEqual(['art__x__y', 'map__look_up', 'zoo__b', 'zoo__a'])
    expect(valid('ListToolsResult', result)).toBe(true)
    expect(result).toMatchObject({ resultType: 'complete', ttlMs: 5000, cacheScope: 'private' })
    expect(result['nextCursor']).toBeUndefined()
    expect(result['_meta']['io.modelcontextprotocol/serverInfo']).toEqual({
      name: 'tollbridge',
      version: '1.2.3',
    })
  })

  test('of prompts, resources and templates likewise; a server without them has an empty one', async () => {
    const bench = new Bench()
    bench.add('9a', ({ method }) => {
      if (method === 'prompts/list') return { prompts: [{ name: 'p', arguments: [] }] }
      if (method === 'resources/list')
        return { resources: [{ uri: 'file:///x', name: 'x' }, { name: 'no uri' }] }
      return { resourceTemplates: [{ uriTemplate: 't://{a}', name: 't' }] }
    })
    bench.add('b', () => methodNotFound)
    const prompts = await bench.result('prompts/list')
    expect([namesOf(prompts, 'prompts'), missingOf(prompts)]).toEqual([['9a__p'], []])
    expect((await bench.result('resources/list'))['resources']).toEqual([
      { uri: 'n.9a+file:///x', name: 'x' },
    ])
    const templates = await bench.result('resources/templates/list')
    expect(namesOf(templates, 'resourceTemplates', 'uriTemplate')).toEqual(['n.9a+t://{a}'])
  })

  test('is asked for with the caller’s metadata, without its progress token, under ids of the gateway', async () => {
    const bench = new Bench()
    const way = bench.add('a', withTools('x'))
    const request = modernRequest('tools/list', { more: 1 }, { meta: { progressToken: 7, traceparent: 't' } })
    await sendTo(bench.way(), request).answer()
    const [sent] = way.sent
    expect(sent?.request.params).toEqual({
      more: 1,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
        traceparent: 't',
      },
    })
    expect(sent?.request.id).not.toBe(request.id)
    expect(sent?.headers).toEqual({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' })
  })

  test('does not wait for a member that hangs beyond the deadline, and says that it is missing', async () => {
    const bench = new Bench({ deadlineMs: 150 })
    const hung = bench.add('hung', silence)
    for (const name of ['a', 'b', 'c']) bench.add(name, withTools('x'))
    const way = bench.way()
    const begin = performance.now()
    const result = await bench.result('tools/list', {}, way)
    const tookMs = performance.now() - begin
    expect(tookMs).toBeGreaterThan(140)
    expect(tookMs).toBeLessThan(600)
    expect(namesOf(result)).toEqual(['a__x', 'b__x', 'c__x'])
    expect(result['_meta']['tollbridge/missing']).toEqual([
      { server: 'hung', reason: 'The MCP server did not answer in time.' },
    ])
    expect(result['ttlMs']).toBe(0)
    expect(hung.sent[0]?.aborted).toBe(true)
    expect(way.sizes).toEqual({ fanOuts: 0, visits: 0, listens: 0, legs: 0 })
  })

  test('names whoever is down without telling why in the server’s words', async () => {
    const bench = new Bench()
    bench.add('a', withTools('x'))
    bench.add('b', broken)
    bench.add('c', down('ECONNREFUSED 10.0.0.1'))
    bench.add('d', withTools('off'), { status: 'inactive' })
    bench.add('e', withTools('x'))
    bench.ways.delete('e')
    const text = JSON.stringify(await bench.result('tools/list'))
    expect(missingOf(JSON.parse(text))).toEqual(['b', 'c', 'd', 'e'])
    expect(text).not.toMatch(/secret|ECONN|off"/)
    expect(bench.ways.get('d')?.sent).toEqual([])
  })

  test('shows the last good list of a member that is down, to the same caller and under the view of now', async () => {
    const bench = new Bench({ cacheMs: 60_000 })
    bench.add('a', withTools('x'))
    const shaky = bench.add('b', withTools('y', 'z'))
    await bench.result('tools/list')
    shaky.script = broken
    const stale = await bench.result('tools/list')
    expect([namesOf(stale), missingOf(stale)]).toEqual([['a__x', 'b__y', 'b__z'], ['b']])
    const others = await bench.result('tools/list', {}, bench.way('bob'))
    expect([namesOf(others), missingOf(others)]).toEqual([['a__x'], ['b']])
    const [a, b] = bench.members
    if (a && b) bench.members = [a, { ...b, exclude: ['y'] }]
    expect(namesOf(await bench.result('tools/list'))).toEqual(['a__x', 'b__z'])
    if (a && b) bench.members = [a, { ...b, server: { ...b.server, revision: 2 } }]
    expect(namesOf(await bench.result('tools/list'))).toEqual(['a__x'])
    if (a && b) bench.members = [a, b]
    bench.clock.advance(60_001)
    expect(namesOf(await bench.result('tools/list'))).toEqual(['a__x'])
  })

  test('that its server calls public is shown to others while that is down, until it stops to be', async () => {
    const bench = new Bench()
    const way = bench.add('a', () => ({ tools: [tool('x')], ttlMs: 0, cacheScope: 'public' }))
    await bench.result('tools/list')
    way.script = broken
    expect(namesOf(await bench.result('tools/list', {}, bench.way('bob')))).toEqual(['a__x'])
    way.script = withTools('y')
    await bench.result('tools/list')
    way.script = broken
    expect(namesOf(await bench.result('tools/list', {}, bench.way('bob')))).toEqual([])
    expect(namesOf(await bench.result('tools/list'))).toEqual(['a__y'])
  })

  test('is remembered within the memory’s bytes, and forgotten with its server', async () => {
    const bench = new Bench({}, { maxBytes: 400 })
    bench.add('a', withTools('x'.repeat(100)))
    bench.add('b', withTools('y'.repeat(100)))
    bench.add('c', withTools('z'.repeat(1000)))
    await bench.result('tools/list')
    expect(bench.memory.sizes.entries).toBe(1)
    expect(bench.memory.sizes.bytes).toBeLessThanOrEqual(400)
    for (const { server } of bench.members) bench.memory.forget(server.id)
    expect(bench.memory.sizes).toEqual({ entries: 0, bytes: 0 })
  })

  test('holds all pages of each member, but no endless ones, and says what it left out', async () => {
    const bench = new Bench({ maxItems: 5 })
    bench.add('a', ({ params }) => {
      const at = Number(params?.['cursor'] ?? 0)
      return {
        tools: [tool(`t${at}`)],
        ...(at < 3 && { nextCursor: String(at + 1) }),
        ttlMs: 0,
        cacheScope: 'private',
      }
    })
    const loop = bench.add('b', () => ({ tools: [tool('same')], nextCursor: 'again' }))
    bench.add('c', ({ params }) => {
      const cursor = typeof params?.['cursor'] === 'string' ? params['cursor'] : ''
      return { tools: [tool(`t${cursor}`)], nextCursor: `${cursor}x` }
    })
    bench.add('d', withTools('x'.repeat(126)))
    const result = await bench.result('tools/list')
    const names = namesOf(result)
    expect(names.filter((name) => name.startsWith('a'))).toEqual(['a__t0', 'a__t1', 'a__t2', 'a__t3'])
    expect(names.filter((name) => name.startsWith('b'))).toEqual(['b__same'])
    expect(loop.sent.length).toBe(2)
    expect(names.filter((name) => name.startsWith('c'))).toHaveLength(5)
    expect(result['_meta']['tollbridge/omitted']).toMatchObject([
      { server: 'c' },
      { server: 'd', name: 'x'.repeat(126) },
    ])
    expect(missingOf(result)).toEqual([])
  })

  test('keeps every number as its server wrote it', async () => {
    const bench = new Bench()
    bench.add('a', (request, { sink }) => {
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},"result":{"tools":[{"name":"x","inputSchema":{"maximum":12345678901234567890,"minimum":1.0}}]}}`
      sink.head({ status: 200, contentType: 'json' })
      sink.message({ message: JSON.parse(text), bytes: Buffer.from(text) })
      sink.end()
      return undefined
    })
    let bytes = ''
    const done = Promise.withResolvers<void>()
    bench.way().send(
      { body: Buffer.from(''), message: modernRequest('tools/list'), headers: {} },
      {
        head: () => {},
        message: (message) => (bytes = Buffer.from(message.bytes).toString()),
        end: () => done.resolve(),
        fail: done.reject,
      },
    )
    await done.promise
    expect(bytes).toContain('"maximum":12345678901234567890,"minimum":1.0')
  })

  test('asks no more members than its limit, and names the others', async () => {
    const bench = new Bench({ maxMembers: 2 })
    for (const name of ['c', 'a', 'b']) bench.add(name, withTools('x'))
    const result = await bench.result('tools/list')
    expect([namesOf(result), missingOf(result)]).toEqual([['a__x', 'b__x'], ['c']])
  })

  test('of 50 members with 200 tools each costs less than 50 ms of CPU to join', async () => {
    const bench = new Bench({ pageSize: 20_000, deadlineMs: 5000 })
    const tools = Array.from({ length: 200 }, (_, index) => ({
      ...tool(`tool_${index}`),
      description: 'What it does, in a sentence or two that a model reads.',
    }))
    for (let index = 0; index < 50; index++)
      bench.add(`server-${index}`, () => ({ tools, ttlMs: 0, cacheScope: 'private' }))
    let bestMs = Infinity
    for (let round = 0; round < 5; round++) {
      const way = bench.way(`caller-${round}`)
      const heard = new Heard()
      const message = modernRequest('tools/list')
      const begin = process.cpuUsage()
      way.send({ body: Buffer.from(''), message, headers: {} }, lean(heard))
      const { result } = await heard.answer()
      const { user, system } = process.cpuUsage(begin)
      expect(result?.['tools']).toHaveLength(10_000)
      bestMs = Math.min(bestMs, (user + system) / 1000)
    }
    console.log(
      `10,000 tools joined in ${bestMs.toFixed(1)} ms of CPU, the scripted members' own work included`,
    )
    expect(bestMs).toBeLessThan(50)
  })
})

/** The same without the harness's own check of the bytes, which costs more than what is measured. */
const lean = (heard: Heard): Heard => {
  heard.message = ({ message }) => void (message && heard.messages.push(message))
  return heard
}

describe('pages', () => {
  const walk = async (bench: Bench, onPage: (page: number) => void = () => {}): Promise<string[]> => {
    const names: string[] = []
    let cursor: string | undefined
    for (let page = 0; page < 100; page++) {
      const result = await bench.result('tools/list', cursor === undefined ? {} : { cursor })
      names.push(...namesOf(result))
      cursor = result['nextCursor']
      if (cursor === undefined) break
      onPage(page)
    }
    return names
  }

  test('hold everything once, and the members are not asked again for each', async () => {
    const bench = new Bench({ pageSize: 3 })
    for (const name of ['a', 'b', 'c'])
      bench.add(name, withTools(...Array.from({ length: 7 }, (_, index) => `t${index}`)))
    const names = await walk(bench)
    expect(names).toHaveLength(21)
    expect(new Set(names).size).toBe(21)
    for (const way of bench.ways.values()) expect(way.sent).toHaveLength(1)
  })

  test('go on where a member goes or breaks meanwhile, and end clearly where their place is gone', async () => {
    const bench = new Bench({ pageSize: 2, walkMs: 0 })
    bench.add('a', withTools('1', '2', '3'))
    const b = bench.add('b', withTools('1', '2', '3'))
    bench.add('c', withTools('1'))
    const names = await walk(bench, (page) => {
      bench.clock.advance(1)
      if (page === 0) bench.remove('a')
      if (page === 1) b.script = broken
    })
    // b's last good list stands in for it.
    expect(names).toEqual(['a__1', 'a__2', 'b__1', 'b__2', 'b__3', 'c__1'])
    b.script = withTools('1', '2', '3')
    const { nextCursor: cursor } = await bench.result('tools/list')
    b.script = withTools('1', '3')
    bench.clock.advance(1)
    expect(await bench.error('tools/list', { cursor })).toEqual({
      code: -32602,
      message: 'This cursor no longer fits the list; start again without a cursor.',
    })
    for (const wrong of ['x', 7, cursor])
      expect((await bench.error('prompts/list', { cursor: wrong }))?.code).toBe(-32602)
  })

  test('are of what the member has now, where it has said that it changed', async () => {
    const bench = new Bench({ pageSize: 1 })
    const a = bench.add('a', withTools('1', '2'))
    const { nextCursor: cursor } = await bench.result('tools/list')
    bench.memory.outdate('srv_a')
    a.script = withTools('1', 'two')
    expect(namesOf(await bench.result('tools/list', { cursor }))).toEqual(['a__two'])
  })
})

describe('discovery', () => {
  test('joins what the members can, and leaves out what would not survive', async () => {
    const bench = new Bench()
    const has =
      (capabilities: object, instructions?: string): Script =>
      () => ({
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities,
        ...(instructions !== undefined && { instructions }),
        ttlMs: 1000,
        cacheScope: 'public',
      })
    bench.add(
      'b',
      has(
        { tools: {}, completions: {}, extensions: { 'io.modelcontextprotocol/tasks': {} }, tasks: {} },
        'Ask b.',
      ),
    )
    bench.add('a', has({ resources: { subscribe: true }, logging: {}, experimental: { x: {} } }, 'Ask a.'))
    const result = await bench.result('server/discover')
    expect(valid('DiscoverResult', result)).toBe(true)
    expect(result).toEqual({
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: {
        tools: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      },
      instructions: 'Two of a kind.\n\n# a\n\nAsk a.\n\n# b\n\nAsk b.',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'tollbridge', version: '1.2.3' } },
    })
  })

  test('answers without members that are down, which may have any list, and with what they said last', async () => {
    const bench = new Bench({ deadlineMs: 100 })
    const way = bench.add('a', silence)
    const first = await bench.result('server/discover')
    expect(first['capabilities']).toEqual({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true },
    })
    expect(missingOf(first)).toEqual(['a'])
    way.script = () => ({ capabilities: { logging: {} } })
    await bench.result('server/discover')
    way.script = silence
    const later = await bench.result('server/discover')
    expect(later['capabilities']).toEqual({ tools: { listChanged: true }, logging: {} })
    expect(missingOf(later)).toEqual(['a'])
  })
})

describe('a call', () => {
  test('reaches its member under its own name, in body and header, with every number as it was', async () => {
    const bench = new Bench()
    const way = bench.add('a', () => ({ resultType: 'complete', content: [] }), {
      view: { rename: { tür: 'door' } },
    })
    const body = `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a__door","arguments":{"n":12345678901234567890},"_meta":{"progressToken":"p"}}}`
    const heard = new Heard()
    // The harness compares bytes by an ordinary parse, which would round the number.
    let seen: { body: string; headers: object } | undefined
    way.send = (request, sink) => {
      seen = { body: Buffer.from(request.body).toString(), headers: request.headers }
      queueMicrotask(() => {
        sink.head({ status: 200, contentType: 'json' })
        const message = { jsonrpc: '2.0' as const, id: 5, result: { content: [] } }
        sink.message({ message, bytes: Buffer.from(JSON.stringify(message)) })
        sink.end()
      })
      return { abort: () => {}, pause: () => {}, resume: () => {} }
    }
    const headers = { 'mcp-method': 'tools/call', 'mcp-name': 'a__door', 'mcp-param-x': '1' }
    bench.way().send({ body: Buffer.from(body), message: JSON.parse(body), headers }, heard)
    expect((await heard.answer()).id).toBe(5)
    expect(seen?.body).toBe(body.replace('a__door', 'tür'))
    expect(seen?.headers).toEqual({ ...headers, 'mcp-name': '=?base64?dMO8cg==?=' })
  })

  test('brings progress as it comes, and resources under the aggregate’s URIs', async () => {
    const bench = new Bench()
    const way = bench.add('a', silence)
    const heard = bench.ask('tools/call', { name: 'a__t' })
    const [side] = way.sent
    if (!side) throw new Error('nothing was sent')
    side.sink.head({ status: 200, contentType: 'event-stream' })
    const progress = {
      jsonrpc: '2.0' as const,
      method: 'notifications/progress',
      params: { progressToken: 1, progress: 1 },
    }
    const frame = Buffer.from('data: x\n\n')
    side.sink.message({ message: progress, bytes: Buffer.from(JSON.stringify(progress)), frame })
    way.say(side, {
      jsonrpc: '2.0',
      id: 'mine',
      result: {
        content: [
          { type: 'text', text: 'file:///x' },
          { type: 'resource_link', uri: 'file:///x', name: 'x' },
          { type: 'resource', resource: { uri: 'file:///y', text: 'y' } },
        ],
      },
    })
    side.sink.end()
    const { result } = await heard.answer()
    expect(heard.messages[0]).toEqual(progress)
    expect(result?.['content']).toEqual([
      { type: 'text', text: 'file:///x' },
      { type: 'resource_link', uri: 'a+file:///x', name: 'x' },
      { type: 'resource', resource: { uri: 'a+file:///y', text: 'y' } },
    ])
  })

  test('of prompts, resources and completion likewise', async () => {
    const bench = new Bench()
    const way = bench.add('a', ({ method, params }) => {
      if (method === 'prompts/get')
        return {
          messages: [
            { role: 'user', content: { type: 'resource', resource: { uri: 'u://1', text: '' } } },
            { role: 'user', content: { type: 'text', text: 'hi' } },
          ],
        }
      if (method === 'completion/complete') return { completion: { values: ['v'] } }
      if (params?.['uri'] === 'u://none')
        return { error: { code: -32602, message: 'Resource not found', data: { uri: 'u://none' } } }
      return { contents: [{ uri: 'u://1', text: 'one' }], ttlMs: 0, cacheScope: 'private' }
    })
    const prompt = await bench.result('prompts/get', { name: 'a__p' })
    expect(prompt['messages'][0].content.resource.uri).toBe('a+u://1')
    expect(prompt['messages'][1].content.text).toBe('hi')
    const read = await bench.result('resources/read', { uri: 'a+u://1' })
    expect(read['contents']).toEqual([{ uri: 'a+u://1', text: 'one' }])
    expect((await bench.error('resources/read', { uri: 'a+u://none' }))?.data).toEqual({ uri: 'a+u://none' })
    await bench.result('completion/complete', {
      ref: { type: 'ref/resource', uri: 'a+u://{x}' },
      argument: {},
    })
    await bench.result('completion/complete', { ref: { type: 'ref/prompt', name: 'a__p' }, argument: {} })
    expect(
      way.sent.map(
        ({ request }) => request.params?.['name'] ?? request.params?.['uri'] ?? request.params?.['ref'],
      ),
    ).toEqual([
      'p',
      'u://1',
      'u://none',
      { type: 'ref/resource', uri: 'u://{x}' },
      { type: 'ref/prompt', name: 'p' },
    ])
    expect(way.sent.map(({ headers }) => headers['mcp-name'])).toEqual([
      'p',
      'u://1',
      'u://none',
      undefined,
      undefined,
    ])
  })

  test('that is asked for input passes with its state untouched, both ways', async () => {
    const bench = new Bench()
    const interim = {
      resultType: 'input_required',
      requestState: 'sealed+file:///x',
      inputRequests: {
        k: {
          method: 'elicitation/create',
          params: { content: [{ type: 'resource_link', uri: 'file:///x' }] },
        },
      },
    }
    const way = bench.add('a', ({ params }) =>
      params?.['requestState'] === undefined ? interim : { content: [] },
    )
    expect(await bench.result('tools/call', { name: 'a__t' })).toEqual(interim)
    const inputResponses = { k: { action: 'accept' } }
    await bench.result('tools/call', { name: 'a__t', requestState: interim.requestState, inputResponses })
    expect(way.sent[1]?.request.params).toMatchObject({ requestState: interim.requestState, inputResponses })
  })

  test('ends at its member when the caller gives up', async () => {
    const bench = new Bench()
    const way = bench.add('a', silence)
    const heard = bench.ask('tools/call', { name: 'a__t' })
    heard.exchange?.abort()
    expect(way.sent[0]?.aborted).toBe(true)
  })

  test('of what is not there, hidden, excluded or not allowed is answered all the same, and nothing is sent', async () => {
    const bench = new Bench()
    const way = bench.add('a', () => ({ content: [] }), { view: { exclude: ['hidden', 'u://hidden'] } })
    const answers: object[] = []
    for (const name of ['a__hidden', 'b__tool', 'none', `a__${'x'.repeat(127)}`]) {
      const heard = bench.ask('tools/call', { name })
      const { error } = await heard.answer()
      answers.push({ ...error, status: heard.headed?.status, message: error?.message.replace(name, 'NAME') })
    }
    expect(answers[0]).toEqual({ code: -32602, message: 'Unknown tool: NAME', status: 200 })
    expect(answers.every((answer) => JSON.stringify(answer) === JSON.stringify(answers[0]))).toBe(true)
    expect((await bench.error('prompts/get', { name: 'a__hidden' }))?.message).toBe(
      'Unknown prompt: a__hidden',
    )
    expect(await bench.error('resources/read', { uri: 'a+u://hidden' })).toEqual({
      code: -32602,
      message: 'Resource not found: a+u://hidden',
      data: { uri: 'a+u://hidden' },
    })
    expect((await bench.error('tools/call', { name: 7 }))?.code).toBe(-32602)
    expect(way.sent).toEqual([])
  })

  test('to a member that is switched off or out of reach is refused as not sent', async () => {
    const bench = new Bench()
    bench.add('off', withTools(), { status: 'inactive' })
    bench.add('lost', withTools())
    bench.ways.delete('lost')
    for (const name of ['off__t', 'lost__t']) {
      const heard = await bench.ask('tools/call', { name }).ended()
      expect(heard.failure).toMatchObject({ sent: false, stage: 'connect' })
    }
  })
})

describe('anything else', () => {
  test('that is no method of an aggregate is not found, as modern servers say it', async () => {
    const bench = new Bench()
    for (const method of ['tasks/get', 'x/y', 'resources/subscribe', 'initialize']) {
      const heard = bench.ask(method)
      expect((await heard.answer()).error?.code).toBe(-32601)
      expect(heard.headed?.status).toBe(404)
    }
    expect(await bench.result('ping')).toEqual({ resultType: 'complete' })
    const notice = sendTo(bench.way(), {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 1 },
    })
    await notice.ended()
    expect(notice.headed).toEqual({ status: 202, contentType: 'none' })
    const stream = new Heard()
    bench.way().listen({}, stream)
    await stream.ended()
    expect(stream.headed?.status).toBe(405)
  })

  test('that the caller gives up on is given up on at every member, and nothing is left', async () => {
    const bench = new Bench({ deadlineMs: 60_000 })
    for (const name of ['a', 'b']) bench.add(name, silence)
    const way = bench.way()
    const heard = bench.ask('tools/list', {}, way)
    expect(way.sizes).toMatchObject({ fanOuts: 1, visits: 2 })
    heard.exchange?.abort()
    for (const member of bench.ways.values()) expect(member.sent[0]?.aborted).toBe(true)
    await until(() => way.sizes.visits === 0)
    expect(way.sizes).toEqual({ fanOuts: 0, visits: 0, listens: 0, legs: 0 })
    expect(heard.messages).toEqual([])
  })
})
