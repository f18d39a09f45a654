// Guarantees of the bridge from modern callers to real legacy servers: SDK 1.x over HTTP, server-everything over stdio.
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Seal } from '../../src/base/seal.ts'
import { Conversations } from '../../src/bridges/conversations.ts'
import {
  ModernOverLegacy,
  type ModernOverLegacyOptions,
} from '../../src/bridges/modern-over-legacy/bridge.ts'
import type { StdioUpstream } from '../../src/upstreams/stdio.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import { modernRequest, sendTo, type CallOptions, type Heard } from '../harness/modern-calls.ts'
import { until } from '../harness/until.ts'
import { startDualEra } from '../upstreams/dual-era.ts'
import { cleanUp as cleanUpHttp, serverAt, upstreamTo } from '../upstreams/http-stub.ts'
import { cleanUp as cleanUpStdio, serverOf, start } from '../upstreams/stdio-stub.ts'
import { startSdk1Server } from './sdk1-server.ts'

const everything = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
)

const sealer = new Seal(randomBytes(32))
const seal = {
  seal: (text: string) => sealer.seal(text, 'request-state'),
  open: (sealed: string) => {
    try {
      return sealer.open(sealed, 'request-state')
    } catch {
      return undefined
    }
  },
}

const bridges: ModernOverLegacy[] = []
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const bridge of bridges.splice(0)) {
    await bridge.close()
    expect(bridge.counts()).toEqual({ rounds: 0, calls: 0, parked: 0, listeners: 0, subscriptions: 0 })
  }
  for (const stop of stops.splice(0)) await stop()
  await cleanUpHttp()
  await cleanUpStdio()
})

const asking = { elicitation: {}, sampling: {}, roots: {} }

function bridgeOver(open: () => Upstream, options: Partial<ModernOverLegacyOptions> = {}, capabilities = {}) {
  const bridge = new ModernOverLegacy({
    transport: 'streamable-http',
    open,
    caller: { capabilities, clientInfo: { name: 'test', version: '1' }, principalTag: 'me' },
    seal,
    clock: systemClock,
    handshakeTimeoutMs: 20_000,
    ...options,
  })
  bridges.push(bridge)
  return bridge
}

const portOf = (url: string) => Number(new URL(url).port)

async function overSdk1(capabilities: object = {}, options: Partial<ModernOverLegacyOptions> = {}) {
  const server = await startSdk1Server()
  stops.push(() => server.stop())
  const upstream = upstreamTo(serverAt(portOf(server.url)))
  return { server, upstream, bridge: bridgeOver(() => upstream, options, capabilities) }
}

function overEverything(capabilities: object = {}) {
  const children: StdioUpstream[] = []
  const bridge = bridgeOver(
    () => {
      const child = start(serverOf(process.execPath, [everything, 'stdio']), { maxQueuedMessages: 1000 })
      children.push(child)
      return child
    },
    { transport: 'stdio' },
    capabilities,
  )
  return { bridge, children }
}

const call = (bridge: Upstream, name: string, params: object = {}, options: CallOptions = {}): Heard =>
  sendTo(bridge, modernRequest('tools/call', { name, arguments: {}, ...params }, options))

const textOf = async (heard: Heard): Promise<unknown> => {
  const { result, error } = await heard.answer()
  if (!result) return error
  expect(result['resultType']).toBe('complete')
  return (result['content'] as { text?: string }[]).map(({ text }) => text).join('\n')
}

async function asked(heard: Heard) {
  const { result } = await heard.answer()
  expect(result).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) })
  return result as unknown as {
    inputRequests: Record<string, { method: string; params: Record<string, unknown> }>
    requestState: string
  }
}

const responses: Record<string, object> = {
  'elicitation/create': { action: 'accept', content: { name: 'Ann' } },
  'sampling/createMessage': { role: 'assistant', content: { type: 'text', text: 'hi' }, model: 'm' },
  'roots/list': { roots: [{ uri: 'file:///home', name: 'home' }] },
}

const answersTo = (inputRequests: Record<string, { method: string }>) =>
  Object.fromEntries(Object.entries(inputRequests).map(([key, { method }]) => [key, responses[method]]))

const has = (heard: Heard, method: string) => heard.messages.some((message) => message.method === method)

describe('a stateful SDK 1.x server over HTTP', () => {
  test('is discovered, listed, called and read', async () => {
    const { bridge, server } = await overSdk1()
    expect((await sendTo(bridge, modernRequest('server/discover')).answer()).result).toMatchObject({
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: {
        logging: {},
        resources: { subscribe: true, listChanged: true },
        tools: { listChanged: true },
      },
      instructions: 'Ask nicely.',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'sdk1', version: '1.0.0' } },
    })
    const list = (await sendTo(bridge, modernRequest('tools/list')).answer()).result
    expect(list).toMatchObject({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' })
    expect(list?.['tools']).toContainEqual(expect.objectContaining({ name: 'echo' }))
    expect(await textOf(call(bridge, 'echo', { arguments: { text: 'hello' } }))).toBe('hello')
    const read = await sendTo(bridge, modernRequest('resources/read', { uri: 'test://a' })).answer()
    expect(read.result).toMatchObject({ contents: [{ uri: 'test://a', text: 'content' }], ttlMs: 0 })
    const lost = sendTo(bridge, modernRequest('resources/read', { uri: 'nope://a' }))
    expect((await lost.answer()).error?.code).toBe(-32602)
    expect(
      (await sendTo(bridge, modernRequest('prompts/get', { name: 'hello' })).answer()).result,
    ).toBeDefined()
    const unknown = sendTo(bridge, modernRequest('x/unknown'))
    expect((await unknown.answer()).error?.code).toBe(-32601)
    expect(unknown.headed?.status).toBe(404)
    expect(server.sessions.size).toBe(1)
  })

  test('carries two callers with the same ids and tokens, each with its own progress', async () => {
    const { bridge } = await overSdk1()
    const heard = [2, 3].map((count) =>
      call(bridge, 'steps', { arguments: { count } }, { id: 'x', meta: { progressToken: 'p' } }),
    )
    expect(await Promise.all(heard.map(textOf))).toEqual(['2 steps', '3 steps'])
    expect(heard.map(({ messages }) => messages.slice(0, -1).map(({ params }) => params?.['total']))).toEqual(
      [
        [2, 2],
        [3, 3, 3],
      ],
    )
    for (const { messages } of heard) expect(messages[0]?.params?.['progressToken']).toBe('p')
  })

  test('stops a call that its caller has given up', async () => {
    const { bridge, server } = await overSdk1()
    const heard = call(bridge, 'hang')
    await until(() => server.ran.includes('hang'))
    heard.exchange?.abort()
    await until(() => server.ran.includes('hang cancelled'))
  })

  test('elicits through a round of its caller’s, and runs the tool once', async () => {
    const { bridge, server } = await overSdk1(asking)
    const round = await asked(call(bridge, 'greet', {}, { capabilities: asking }))
    const params = { requestState: round.requestState, inputResponses: answersTo(round.inputRequests) }
    expect(await textOf(call(bridge, 'greet', params, { id: 2, capabilities: asking }))).toBe('accept Ann')
    expect(server.ran).toEqual(['greet'])
  })

  test('elicits, samples and asks for roots in one round', async () => {
    const { bridge } = await overSdk1(asking)
    const round = await asked(call(bridge, 'ask-all', {}, { capabilities: asking }))
    expect(
      Object.values(round.inputRequests)
        .map(({ method }) => method)
        .sort(),
    ).toEqual(['elicitation/create', 'roots/list', 'sampling/createMessage'])
    const params = { requestState: round.requestState, inputResponses: answersTo(round.inputRequests) }
    expect(
      JSON.parse(String(await textOf(call(bridge, 'ask-all', params, { capabilities: asking })))),
    ).toEqual([{ name: 'Ann' }, { type: 'text', text: 'hi' }, [{ uri: 'file:///home', name: 'home' }]])
  })

  test('is understood where it asks on the GET stream', async () => {
    const { bridge } = await overSdk1(asking)
    const round = await asked(call(bridge, 'greet-unrelated', {}, { capabilities: asking }))
    const params = { requestState: round.requestState, inputResponses: answersTo(round.inputRequests) }
    expect(await textOf(call(bridge, 'greet-unrelated', params, { capabilities: asking }))).toBe('hello Ann')
  })

  test('may not ask a caller that has declared nothing', async () => {
    const { bridge } = await overSdk1()
    const { result } = await call(bridge, 'greet').answer()
    expect(result).toMatchObject({ isError: true, resultType: 'complete' })
  })

  test('keeps a parked call for its own caller and its own request alone', async () => {
    const { bridge, server } = await overSdk1(asking, { limits: { parkedMs: 300 } })
    const { requestState, inputRequests } = await asked(call(bridge, 'greet', {}, { capabilities: asking }))
    const inputResponses = answersTo(inputRequests)
    const refused = { error: { code: -32602 } }
    const retry = (params: object, way: Upstream = bridge, name = 'greet') =>
      call(way, name, { inputResponses, ...params }, { capabilities: asking }).answer()
    expect(await retry({ requestState: `${requestState}x` })).toMatchObject(refused)
    expect(await retry({ requestState }, bridge.seenBy('you'))).toMatchObject(refused)
    expect(await retry({ requestState }, bridge, 'ask-all')).toMatchObject(refused)
    await until(() => bridge.counts().parked === 0)
    expect(await retry({ requestState })).toMatchObject(refused)
    expect(server.ran).toEqual(['greet'])
  })

  test('that was restarted is met again without the caller noticing', async () => {
    const { bridge, server } = await overSdk1()
    expect(await textOf(call(bridge, 'echo', { arguments: { text: 'one' } }))).toBe('one')
    server.forgetSessions()
    expect(await textOf(call(bridge, 'echo', { arguments: { text: 'two' } }))).toBe('two')
    expect(server.ran).toEqual(['echo', 'echo'])
    expect(server.sessions.size).toBe(1)
  })

  test('tells listeners of changes, also after a restart, and loses its session with the bridge', async () => {
    const { bridge, server } = await overSdk1()
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['test://a'] }
    const heard = sendTo(bridge, modernRequest('subscriptions/listen', { notifications }, { id: 'sub' }))
    const first = await heard.until(() => true)
    expect(first).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications },
    })
    expect([...server.subscribed]).toEqual(['test://a'])
    await server.announce('test://a')
    const updated = await heard.until(({ method }) => method === 'notifications/resources/updated')
    expect(updated.params).toEqual({
      uri: 'test://a',
      _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' },
    })
    await heard.until(({ method }) => method === 'notifications/tools/list_changed')
    server.forgetSessions()
    server.closeConnections()
    const before = heard.messages.length
    await until(() => server.sessions.size === 1)
    await until(() => heard.messages.length > before)
    await bridge.close()
    expect(await heard.answer()).toMatchObject({ id: 'sub', result: { resultType: 'complete' } })
    await until(() => server.sessions.size === 0)
  })

  test('logs to the call that asked for it, at its level', async () => {
    const { bridge } = await overSdk1()
    const meta = { 'io.modelcontextprotocol/logLevel': 'error' }
    const heard = call(bridge, 'logs', {}, { meta })
    await textOf(heard)
    expect(heard.messages.slice(0, -1).map(({ params }) => params?.['data'])).toEqual(['error'])
    const quiet = call(bridge, 'logs')
    await textOf(quiet)
    expect(quiet.messages).toHaveLength(1)
  })

  test('leaves nothing behind when its conversation is idle for too long', async () => {
    const { server, upstream } = await overSdk1()
    const conversations = new Conversations<ModernOverLegacy>({ clock: systemClock, maxOpen: 2, idleMs: 60 })
    const get = () =>
      conversations.get('k', { serverId: 'srv_1', revision: 1 }, () => bridgeOver(() => upstream))
    const slow = call(get(), 'hang')
    await until(() => server.ran.includes('hang'))
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(conversations.counts()).toEqual({ open: 1, busy: 1, draining: 0 })
    slow.exchange?.abort()
    await until(() => conversations.counts().open === 0)
    await until(() => server.sessions.size === 0)
    expect(await textOf(call(get(), 'echo', { arguments: { text: 'again' } }))).toBe('again')
    await conversations.closeAll()
    expect(server.sessions.size).toBe(0)
    expect(upstream.inFlight).toEqual({ calls: 0, streams: 0 })
  })
})

describe('the dual-era fixture in its legacy half', () => {
  test('closes the stream of an answer, and the answer still arrives', async () => {
    const fixture = await startDualEra({ era: 'legacy' })
    stops.push(() => fixture.stop())
    const upstream = upstreamTo(serverAt(portOf(fixture.url)))
    const bridge = bridgeOver(() => upstream)
    expect(await textOf(call(bridge, 'test_reconnection'))).toMatch(/\w/)
  })

  test('asks round after round', async () => {
    const fixture = await startDualEra({ era: 'legacy' })
    stops.push(() => fixture.stop())
    const upstream = upstreamTo(serverAt(portOf(fixture.url)))
    const bridge = bridgeOver(() => upstream, {}, asking)
    const name = 'test_input_required_result_multi_round'
    let round = await asked(call(bridge, name, {}, { capabilities: asking }))
    const states = new Set([round.requestState])
    for (;;) {
      const params = { requestState: round.requestState, inputResponses: answersTo(round.inputRequests) }
      const heard = call(bridge, name, params, { capabilities: asking })
      const { result } = await heard.answer()
      if (result?.['resultType'] === 'complete') break
      round = await asked(heard)
      states.add(round.requestState)
    }
    expect(states.size).toBeGreaterThan(1)
  })
})

describe('server-everything over stdio', () => {
  test('is discovered, listed and called, two callers with the same ids at once', async () => {
    const { bridge, children } = overEverything()
    expect((await sendTo(bridge, modernRequest('server/discover')).answer()).result).toMatchObject({
      supportedVersions: ['2026-07-28'],
    })
    const { result } = await sendTo(bridge, modernRequest('tools/list')).answer()
    expect(result?.['tools']).toContainEqual(expect.objectContaining({ name: 'echo' }))
    const heard = ['one', 'two'].map((message) => call(bridge, 'echo', { arguments: { message } }))
    expect(await Promise.all(heard.map(textOf))).toEqual(['Echo: one', 'Echo: two'])
    const slow = call(
      bridge,
      'trigger-long-running-operation',
      { arguments: { duration: 0.2, steps: 2 } },
      { meta: { progressToken: 'mine' } },
    )
    await textOf(slow)
    expect(slow.messages.slice(0, -1).map(({ params }) => params)).toMatchObject([
      { progressToken: 'mine', progress: 1 },
      { progressToken: 'mine', progress: 2 },
    ])
    expect(children).toHaveLength(1)
  }, 30_000)

  test('elicits and samples through rounds of its caller’s', async () => {
    const capabilities = { elicitation: {}, sampling: {} }
    const { bridge } = overEverything(capabilities)
    for (const [name, args, expected] of [
      ['trigger-elicitation-request', {}, /Ann/],
      ['trigger-sampling-request', { prompt: 'say hi', maxTokens: 5 }, /hi/],
    ] as const) {
      const round = await asked(call(bridge, name, { arguments: args }, { capabilities }))
      const params = {
        arguments: args,
        requestState: round.requestState,
        inputResponses: answersTo(round.inputRequests),
      }
      expect(await textOf(call(bridge, name, params, { id: 2, capabilities }))).toMatch(expected)
    }
  }, 30_000)

  test('whose process is killed fails its calls, and a new one serves the next', async () => {
    const { bridge, children } = overEverything()
    const slow = call(bridge, 'trigger-long-running-operation', { arguments: { duration: 60, steps: 1 } })
    await until(() => bridge.counts().calls === 1 && children.length === 1, 'started', 15_000)
    await textOf(call(bridge, 'echo', { arguments: { message: 'up' } }))
    children[0]?.killNow()
    expect((await slow.ended()).failure).toMatchObject({ sent: true, gone: true })
    expect(await textOf(call(bridge, 'echo', { arguments: { message: 'back' } }))).toBe('Echo: back')
    expect(children).toHaveLength(2)
    await bridge.close()
    for (const { pid } of children) expect(() => process.kill(pid ?? 0, 0)).toThrow(/ESRCH/)
  }, 30_000)

  test('that hangs while it is opened is closed with its conversation', async () => {
    const child = start(serverOf(process.execPath, ['-e', 'setInterval(() => {}, 1000)']))
    const bridge = bridgeOver(() => child, { transport: 'stdio' })
    const heard = call(bridge, 'echo')
    await until(() => bridge.busy)
    await bridge.close()
    expect((await heard.ended()).failure).toMatchObject({ sent: false })
    expect(() => process.kill(child.pid ?? 0, 0)).toThrow(/ESRCH/)
    expect(has(heard, 'x')).toBe(false)
  }, 15_000)
})
