// A session speaks the revision that its client asked for, whatever newer one the server answers with.
import { beforeEach, expect, test } from 'vitest'
import { OlderClient } from '../../src/bridges/older-client.ts'
import { revisions } from '../../src/eras/revisions.ts'
import { ScriptedWay, Ear, clientRequest, say, type Sent } from './scripted-way.ts'

let server: ScriptedWay
let client: OlderClient

beforeEach(() => {
  server = new ScriptedWay()
  client = new OlderClient(() => server, revisions['2024-11-05'])
})

const last = (): Sent => server.sent.at(-1) as Sent

function initialize(answered: string): Ear {
  const ear = new Ear()
  client.send(clientRequest({ id: 1, method: 'initialize', params: { protocolVersion: '2024-11-05' } }), ear)
  say(last()).result({ protocolVersion: answered, capabilities: { tools: {} }, serverInfo: { name: 's' } })
  return ear
}

function call(result: object): Ear {
  const ear = new Ear()
  client.send(clientRequest({ id: 2, method: 'tools/call', params: { name: 'x' } }), ear)
  say(last()).result(result)
  return ear
}

test('a newer answer is the asked revision to the client, and stays the newer one to the server', () => {
  expect(initialize('2025-11-25').last?.result).toEqual({
    protocolVersion: '2024-11-05',
    capabilities: { tools: {} },
    serverInfo: { name: 's' },
  })
  call({ content: [] })
  expect(last().request.headers['mcp-protocol-version']).toBe('2025-11-25')
})

test.each(['2024-11-05', '2024-10-07'])('an answer of %s is passed on as it is', (answered) => {
  expect(initialize(answered).last?.result).toMatchObject({ protocolVersion: answered })
  call({ content: [] })
  expect(last().request.headers['mcp-protocol-version']).toBe('2025-11-25')
})

test('content that the revision has no form for is text, and the rest keeps its bytes', () => {
  initialize('2024-11-05')
  const text = { type: 'text', text: 'ok', n: 1.5 }
  const mixed = call({ content: [text, { type: 'audio', data: 'AA==', mimeType: 'audio/wav' }] }).last
  expect(mixed?.result?.['content']).toEqual([
    text,
    { type: 'text', text: expect.stringContaining('audio/wav') },
  ])
  const plain = call({ content: [text] })
  expect(Buffer.from(plain.messages[0]?.bytes ?? []).toString()).toBe(
    JSON.stringify({ jsonrpc: '2.0', id: 2, result: { content: [text] } }),
  )
})

test('long numbers keep their digits where an answer is written again', () => {
  initialize('2024-11-05')
  const ear = new Ear()
  client.send(clientRequest({ id: 2, method: 'tools/call', params: { name: 'x' } }), ear)
  const bytes =
    '{"jsonrpc":"2.0","id":2,"result":{"n":12345678901234567890,"content":[{"type":"audio","data":"","mimeType":"a/b"}]}}'
  last().sink.head({ status: 200, contentType: 'json' })
  last().sink.message({ message: JSON.parse(bytes), bytes: Buffer.from(bytes) })
  expect(Buffer.from(ear.messages[0]?.bytes ?? []).toString()).toContain('"n":12345678901234567890')
})

test('errors, notifications and the end pass', () => {
  const ear = new Ear()
  client.send(clientRequest({ id: 2, method: 'tools/call' }), ear)
  say(last()).head(200, 'event-stream')
  say(last()).message({ method: 'notifications/progress', params: { progress: 1 } })
  say(last()).message({ id: 2, error: { code: -1, message: 'no' } })
  say(last()).end()
  expect([ear.written.length, ear.last?.error, ear.ends]).toEqual([2, { code: -1, message: 'no' }, 1])
})
