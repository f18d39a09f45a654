// The official legacy client at the official modern server, with nothing between them but the bridge.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
  type ClientCapabilities,
  type JSONRPCMessage,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { LegacyOverModern } from '../../src/bridges/legacy-over-modern/bridge.ts'
import { discoverServer } from '../../src/upstreams/discover.ts'
import { systemClock } from '../../src/base/clock.ts'
import { ask } from '../../src/upstreams/ask.ts'
import type { HttpUpstream } from '../../src/upstreams/streamable-http.ts'
import type { UpstreamSink } from '../../src/upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'
import { startDualEra, type DualEra } from '../upstreams/dual-era.ts'
import { cleanUp, serverAt, upstreamTo } from '../upstreams/http-stub.ts'
import { clientRequest } from './scripted-way.ts'
import { until } from '../harness/until.ts'

let fixture: DualEra
beforeAll(async () => void (fixture = await startDualEra({ era: 'modern' })))
afterAll(() => fixture.stop())
afterEach(cleanUp)

/** What a client transport does: messages go to the bridge one by one, and all that its sinks hear comes back. */
class BridgeTransport implements Transport {
  onmessage?: (message: JSONRPCMessage) => void
  onclose?: () => void
  readonly failures: string[] = []
  readonly #bridge: LegacyOverModern

  constructor(bridge: LegacyOverModern) {
    this.#bridge = bridge
  }

  async start(): Promise<void> {
    this.#bridge.listen({}, this.#sink)
  }

  async send(message: JSONRPCMessage): Promise<void> {
    this.#bridge.send(clientRequest(message), this.#sink)
  }

  async close(): Promise<void> {
    await this.#bridge.close()
    this.onclose?.()
  }

  get #sink(): UpstreamSink {
    return {
      head: () => {},
      message: ({ message, bytes }) => {
        if (message) this.onmessage?.(JSON.parse(Buffer.from(bytes).toString()) as JSONRPCMessage)
      },
      end: () => {},
      fail: (failure) => this.failures.push(failure.message),
    }
  }
}

/** The schema of a tool, asked of the server itself. */
async function schemaOf(way: HttpUpstream, tool: string): Promise<unknown> {
  const visit = { upstream: way, clock: systemClock, deadlineMs: systemClock.monotonicMs() + 5000, lastId: 0 }
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }
  const { message } = await ask(visit, 'tools/list', { _meta: meta }, headers)
  const tools = message?.result?.['tools'] as { name: string; inputSchema: unknown }[]
  return tools.find(({ name }) => name === tool)?.inputSchema
}

async function connect(capabilities: ClientCapabilities = {}) {
  const way = upstreamTo(serverAt(Number(new URL(fixture.url).port)))
  const discover = await discoverServer(way, { clock: systemClock, version: '0', timeoutMs: 5000 })
  if (discover === false) throw new Error('the fixture is not modern')
  const bridge = new LegacyOverModern({
    way: () => way,
    discover,
    toolSchema: (tool) => schemaOf(way, tool),
  })
  const transport = new BridgeTransport(bridge)
  const client = new Client({ name: 'legacy', version: '1' }, { capabilities })
  await client.connect(transport)
  const end = async () => {
    await client.close()
    expect(bridge.sizes).toEqual({ calls: 0, questions: 0, ids: 0, subscriptions: 0, streams: 0 })
    await until(() => way.inFlight.calls + way.inFlight.streams === 0)
    expect(transport.failures).toEqual([])
  }
  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const { content } = await client.callTool({ name, arguments: args })
    return (content as { text?: string }[]).map(({ text }) => text).join('')
  }
  return { client, call, end, way, bridge }
}

describe('the official legacy client', () => {
  test('initializes, lists, calls, reads, gets prompts and completes', async () => {
    const { client, call, end } = await connect()
    expect(client.getServerVersion()).toMatchObject({ name: 'dual-era-fixture' })
    expect(client.getServerCapabilities()).toMatchObject({
      tools: { listChanged: true },
      resources: { subscribe: true },
    })
    await client.ping()
    const { tools } = await client.listTools()
    expect(tools.length).toBeGreaterThan(10)
    expect(await call('test_simple_text')).toBe('This is a simple text response for testing.')
    expect(await call('test_x_mcp_header', { region: 'Zürich' })).toBe('region=Zürich')
    const { contents } = await client.readResource({ uri: 'test://static-text' })
    expect(contents).toHaveLength(1)
    expect((await client.listResources()).resources.length).toBeGreaterThan(1)
    expect((await client.getPrompt({ name: 'test_simple_prompt' })).messages).toHaveLength(1)
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' } as const
    await client.complete({ ref, argument: { name: 'arg1', value: 'x' } })
    await end()
  })

  test('gets failures of tools as results and unknown things as legacy errors', async () => {
    const { client, end } = await connect()
    expect(await client.callTool({ name: 'test_error_handling' })).toMatchObject({ isError: true })
    await expect(client.readResource({ uri: 'test://missing' })).rejects.toMatchObject({ code: -32002 })
    await expect(client.request({ method: 'no/such' }, CreateMessageRequestSchema)).rejects.toMatchObject({
      code: -32601,
    })
    await end()
  })

  test('hears progress and logs of its calls, at the level that it set', async () => {
    const { client, call, end } = await connect()
    const logs: unknown[] = []
    client.setNotificationHandler(
      LoggingMessageNotificationSchema,
      ({ params }) => void logs.push(params.level),
    )
    const steps: number[] = []
    const options = { onprogress: ({ progress }: { progress: number }) => void steps.push(progress) }
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, options)
    expect(steps).toEqual([0, 50, 100])
    await call('test_logging_tool')
    expect(logs).toEqual(['info'])
    await client.setLoggingLevel('error')
    await call('test_logging_tool')
    expect(logs).toEqual(['info'])
    await end()
  })

  test('answers elicitation, sampling and roots, alone, together and in several rounds', async () => {
    const { client, call, end } = await connect({ elicitation: {}, sampling: {}, roots: {} })
    const asked: string[] = []
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message)
      const [name = ''] = Object.keys(
        (params as { requestedSchema: { properties: object } }).requestedSchema.properties,
      )
      const value = name === 'ok' ? true : name === 'color' ? 'green' : 'Ada'
      return { action: 'accept', content: { [name]: value } }
    })
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: 'assistant',
      model: 'm',
      content: { type: 'text', text: 'Paris' },
    }))
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///r' }] }))
    const prefix = 'test_input_required_result'
    expect(await call(`${prefix}_elicitation`)).toBe('Hello, Ada!')
    expect(await call(`${prefix}_sampling`)).toBe('Sampling response: Paris')
    expect(await call(`${prefix}_list_roots`)).toContain('file:///r')
    expect(await call(`${prefix}_request_state`)).toBe('state-ok')
    expect(await call(`${prefix}_multiple_inputs`)).toBe('Paris Ada, 1 root(s) visible')
    expect(await call(`${prefix}_multi_round`)).toBe('Ada likes green')
    expect(asked.length).toBe(5)
    const { messages } = await client.getPrompt({ name: `${prefix}_prompt` })
    expect(JSON.stringify(messages)).toContain('context')
    await end()
  })

  test('that declines is asked again and again, and then gets an error', async () => {
    const { client, call, end } = await connect({ elicitation: {} })
    let asked = 0
    client.setRequestHandler(ElicitRequestSchema, () => {
      asked++
      return { action: 'decline' }
    })
    await expect(call('test_input_required_result_elicitation')).rejects.toMatchObject({ code: 42202 })
    expect(asked).toBe(8)
    await end()
  })

  test('that declared nothing gets an error that says what is missing', async () => {
    const { call, end } = await connect()
    await expect(call('test_input_required_result_elicitation')).rejects.toThrow(
      /did not declare: elicitation/,
    )
    await end()
  })

  test('hears of changes, of its subscriptions too', async () => {
    const { client, call, end } = await connect()
    let changes = 0
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++)
    await client.subscribeResource({ uri: 'test://watched-resource' })
    await call('test_trigger_tool_change')
    await until(() => changes === 1)
    await client.unsubscribeResource({ uri: 'test://watched-resource' })
    await call('test_trigger_tool_change')
    await until(() => changes === 2)
    await end()
  })

  test('that cancels closes the exchange with the server', async () => {
    const { client, end, way } = await connect()
    const controller = new AbortController()
    const answer = client.callTool({ name: 'test_tool_with_logging', arguments: {} }, undefined, {
      signal: controller.signal,
    })
    const outcome = expect(answer).rejects.toThrow(/enough/)
    await until(() => way.inFlight.calls === 1)
    controller.abort('enough')
    await outcome
    await until(() => way.inFlight.calls === 0)
    await end()
  })
})

test('a message of the bridge is never one of the modern era', async () => {
  const { bridge, end } = await connect()
  const heard: JsonRpcMessage[] = []
  const done = new Promise<void>((resolve) => {
    bridge.send(clientRequest({ id: 1, method: 'tools/list' }), {
      head: () => {},
      message: ({ message }) => message && heard.push(message),
      end: resolve,
      fail: () => resolve(),
    })
  })
  await done
  expect(Object.keys(heard[0]?.result ?? {})).toEqual(['tools'])
  await end()
})
