// Each behaviour of the matrix as a check on one open conversation, which also says what must stand on the bill.
import assert from 'node:assert/strict'
import type { Bill } from './bill.ts'
import { agreedRevision, refusalOf, type Behaviour, type Pair } from './cells.ts'
import { Refused, type Conversation, type ToolAnswer } from './conversation.ts'
import { fixtureName, staticUri, watchedUri } from './fixture-server.ts'
import { contentKinds, patterned, thrown, toolNames } from './fixture-tools.ts'
import type { Journal } from './journal.ts'
import { eraOf, knows } from './revisions.ts'
import { until } from '../harness/until.ts'

export interface Talk {
  readonly pair: Pair
  readonly conversation: Conversation
  readonly bill: Bill
  readonly journal: Journal
  /** Different for every conversation: names calls and resources on the server. */
  readonly token: string
}

export const call = { method: 'tools/call', outcome: 'success', cost: '0.01' }
export const free = { outcome: 'success', cost: '0' }
export const isModernClient = ({ pair }: Talk): boolean => eraOf(pair.client.revision) === 'modern'
export const textOf = (answer: ToolAnswer): string => answer.content.map((part) => part.text ?? '').join('')

/** Resolves with the refusal, however it comes: as an error result or as a JSON-RPC error. */
async function refusedBy(answer: Promise<ToolAnswer>): Promise<string> {
  try {
    const result = await answer
    assert.equal(result.isError, true, `answered instead of refused: ${textOf(result)}`)
    return textOf(result)
  } catch (error) {
    if (error instanceof Refused) return `${error.message} ${JSON.stringify(error.data ?? '')}`
    throw error
  }
}

function open({ pair, conversation, bill }: Talk): void {
  const method = eraOf(pair.client.revision) === 'modern' ? 'server/discover' : 'initialize'
  bill.add('open', { method, ...free })
  assert.equal(conversation.revision, agreedRevision(pair))
  assert.equal(conversation.serverName, fixtureName)
  const { tools, resources, prompts, completions, logging } = conversation.capabilities
  assert.ok(tools && prompts && completions && logging, JSON.stringify(conversation.capabilities))
  assert.equal((resources as { subscribe?: boolean }).subscribe, true)
}

async function list({ conversation, bill }: Talk): Promise<void> {
  for (const method of ['tools/list', 'resources/list', 'prompts/list']) bill.add('list', { method, ...free })
  const tools = await conversation.listTools()
  assert.deepEqual(
    tools.map(({ name }) => name),
    toolNames,
  )
  const region = tools.find(({ name }) => name === 'region')?.inputSchema as
    | { properties: object }
    | undefined
  assert.deepEqual(region?.properties, { region: { type: 'string', 'x-mcp-header': 'Region' } })
  assert.deepEqual(
    (await conversation.listResources()).map(({ uri }) => uri),
    [staticUri],
  )
  assert.deepEqual(
    (await conversation.listPrompts()).map(({ name }) => name),
    ['greet'],
  )
}

async function echo({ conversation, bill, token }: Talk): Promise<void> {
  const args = {
    message: `${token} – "ü"\u2028\n`,
    nested: { list: [1, null, { deep: true }], empty: '' },
    big: 1e21,
  }
  bill.add('call', { ...call, tool: 'echo' })
  assert.deepEqual(JSON.parse(textOf(await conversation.callTool('echo', args))), args)
}

async function structuredResult({ pair, conversation, bill }: Talk): Promise<void> {
  bill.add('structured result', { ...call, tool: 'add' })
  const answer = await conversation.callTool('add', { a: 40, b: 2 })
  // The text is there for those who do not know structured content.
  assert.deepEqual(JSON.parse(textOf(answer)), { sum: 42 })
  const both = [pair.client.revision, pair.upstream.revision].every((one) => knows(one, 'structuredContent'))
  if (both) assert.deepEqual(answer.structuredContent, { sum: 42 })
  bill.add('structured result', { ...call, tool: 'numbers' })
  const numbers = await conversation.callTool('numbers', {})
  assert.deepEqual(JSON.parse(textOf(numbers)), [3, 1, 2])
  const bare = eraOf(pair.client.revision) === 'modern' && eraOf(pair.upstream.revision) === 'modern'
  if (both) assert.deepEqual(numbers.structuredContent, bare ? [3, 1, 2] : { result: [3, 1, 2] })
}

/** A client sees only kinds of content that its revision knows; those that both know arrive as they were sent. */
async function contentOfAllKinds({ pair, conversation, bill }: Talk): Promise<void> {
  bill.add('content', { ...call, tool: 'kinds' })
  const { content } = await conversation.callTool('kinds', {})
  const sent = contentKinds(pair.upstream.revision)
  const known = new Set(contentKinds(pair.client.revision).map(({ type }) => type))
  assert.deepEqual(
    content.filter(({ type }) => !known.has(type as 'text')),
    [],
  )
  assert.equal(content.length, sent.length)
  assert.deepEqual(
    content.filter((_, index) => known.has(sent[index]?.type ?? 'text')),
    sent.filter(({ type }) => known.has(type)),
  )
}

async function mirroredArgument({ conversation, bill }: Talk): Promise<void> {
  bill.add('mirrored argument', { ...call, tool: 'region' })
  assert.equal(textOf(await conversation.callTool('region', { region: ' Zürich ' })), 'region  Zürich ')
}

async function resource({ conversation, bill }: Talk): Promise<void> {
  bill.add('resource', { method: 'resources/read', ...free })
  assert.equal(await conversation.readResource(staticUri), `content of ${staticUri}`)
}

async function prompt({ conversation, bill }: Talk): Promise<void> {
  bill.add('prompt', { method: 'prompts/get', outcome: 'success', cost: '0.002' })
  assert.equal(await conversation.getPrompt('greet', { word: 'hej' }), 'Say hej')
}

async function completion({ conversation, bill }: Talk): Promise<void> {
  bill.add('completion', { method: 'completion/complete', ...free })
  assert.deepEqual(await conversation.complete('greet', { name: 'word', value: 'he' }), ['hej', 'hello'])
}

async function progress({ conversation, bill }: Talk): Promise<void> {
  bill.add('progress', { ...call, tool: 'progress' })
  const answer = await conversation.callTool('progress', { steps: 5 }, { progress: true })
  assert.equal(textOf(answer), '5 steps')
  // All of it before the answer, in order, under the call's own token.
  const { progressed } = conversation.heard
  assert.deepEqual(
    progressed.map((one) => one.progress),
    [1, 2, 3, 4, 5],
  )
  assert.equal(new Set(progressed.map(({ progressToken }) => progressToken)).size, 1)
}

async function log(talk: Talk): Promise<void> {
  const { conversation, bill, token } = talk
  const line = `line of ${token}`
  bill.add('log', { ...call, tool: 'log' })
  if (isModernClient(talk)) await conversation.callTool('log', { line }, { logLevel: 'warning' })
  else {
    bill.add('log', { method: 'logging/setLevel', ...free })
    await conversation.setLogLevel('warning')
    await conversation.callTool('log', { line })
  }
  await until(() => conversation.heard.logged.includes(line), 'the log message')
  assert.equal(conversation.heard.logged.filter((one) => one === line).length, 1)
}

async function cancel({ conversation, bill, journal, token }: Talk): Promise<void> {
  bill.add('cancel', { method: 'tools/call', tool: 'slow', outcome: 'cancelled', cost: '0' })
  const aborter = new AbortController()
  const answer = conversation.callTool('slow', { token }, { signal: aborter.signal })
  const ended = answer.then(
    () => 'answered',
    () => 'cancelled',
  )
  await until(() => journal.has(`started ${token}`), 'the call to start')
  aborter.abort('not needed any more')
  assert.equal(await ended, 'cancelled')
  await until(() => journal.has(`cancelled ${token}`), 'the server to hear of the cancelling')
  // The conversation goes on.
  bill.add('cancel', { ...call, tool: 'echo' })
  assert.match(textOf(await conversation.callTool('echo', { message: 'after' })), /after/)
}

/** A call with a question in the middle; a modern client asks again with the answer, and only that is charged. */
export function billQuestion(talk: Talk, behaviour: string, tool: string): void {
  if (isModernClient(talk)) talk.bill.add(behaviour, { method: 'tools/call', tool, ...free })
  talk.bill.add(behaviour, { ...call, tool })
}

async function elicitation(talk: Talk): Promise<void> {
  const { conversation, bill, pair, token } = talk
  const question = `Who is ${token}?`
  const answer = conversation.callTool('elicit', { question })
  const refusal = refusalOf('elicitation', pair.client.revision, pair.upstream.revision)
  if (refusal) {
    bill.add('elicitation', { method: 'tools/call', tool: 'elicit', cost: '0' })
    assert.match(await refusedBy(answer), refusal.says)
    assert.deepEqual(conversation.heard.asked.includes(question), false)
    return
  }
  billQuestion(talk, 'elicitation', 'elicit')
  assert.equal(textOf(await answer), 'accept Ada')
  assert.equal(conversation.heard.asked.filter((one) => one === question).length, 1)
}

async function sampling(talk: Talk): Promise<void> {
  const { conversation, token } = talk
  billQuestion(talk, 'sampling', 'sample')
  const prompt = `ping ${token}`
  assert.equal(textOf(await conversation.callTool('sample', { prompt })), 'sampled pong')
  assert.equal(conversation.heard.asked.filter((one) => one.includes(prompt)).length, 1)
}

async function listRoots(talk: Talk): Promise<void> {
  billQuestion(talk, 'roots', 'roots')
  assert.equal(textOf(await talk.conversation.callTool('roots', {})), 'roots file:///matrix')
}

async function subscription(talk: Talk): Promise<void> {
  const { conversation, bill, token } = talk
  const uri = watchedUri(token)
  const touch = async (one: string): Promise<void> => {
    bill.add('subscription', { ...call, tool: 'touch' })
    await conversation.callTool('touch', { uri: one })
  }
  if (isModernClient(talk)) bill.add('subscription', { method: 'subscriptions/listen', cost: '0' })
  else bill.add('subscription', { method: 'resources/subscribe', ...free })
  const stop = await conversation.subscribe(uri)
  await touch(watchedUri(`not-${token}`))
  await touch(uri)
  await until(() => conversation.heard.updated.includes(uri), 'the update')
  if (!isModernClient(talk)) bill.add('subscription', { method: 'resources/unsubscribe', ...free })
  await stop()
  assert.deepEqual(conversation.heard.updated, [uri])
}

async function toolError({ conversation, bill }: Talk): Promise<void> {
  bill.add('tool error', { method: 'tools/call', tool: 'fail', outcome: 'tool_error', cost: '0.003' })
  const answer = await conversation.callTool('fail', {})
  assert.equal(answer.isError, true)
  assert.equal(textOf(answer), 'The tool failed on purpose')
}

async function protocolError({ conversation, bill }: Talk): Promise<void> {
  bill.add('protocol error', { method: 'tools/call', tool: 'throw', outcome: 'error', cost: '0' })
  const error = await conversation.callTool('throw', {}).then(
    () => assert.fail('answered instead of refused'),
    (failure: unknown) => failure as Refused,
  )
  assert.deepEqual({ code: error.code, message: error.message, data: error.data }, thrown)
}

async function largeResult({ conversation, bill }: Talk): Promise<void> {
  bill.add('large result', { ...call, tool: 'large' })
  const bytes = 1 << 20
  const answer = textOf(await conversation.callTool('large', { bytes }))
  assert.equal(answer.length, bytes)
  assert.ok(answer === patterned(bytes), 'the megabyte did not arrive as it was sent')
}

/** By the behaviour's name, in the order in which a conversation runs them. */
export type Checks = Readonly<Record<string, (talk: Talk) => void | Promise<void>>>

/** All but the bill, which is looked at afterwards. */
export const checks: Checks & Readonly<Record<Exclude<Behaviour, 'bill'>, unknown>> = {
  open,
  list,
  call: echo,
  'structured result': structuredResult,
  content: contentOfAllKinds,
  'mirrored argument': mirroredArgument,
  resource,
  prompt,
  completion,
  progress,
  log,
  cancel,
  elicitation,
  sampling,
  roots: listRoots,
  subscription,
  'tool error': toolError,
  'protocol error': protocolError,
  'large result': largeResult,
}
